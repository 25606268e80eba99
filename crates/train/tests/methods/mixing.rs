//! Adapters side by side in one batch.

use budwood_base::head::Pooling;
use budwood_engine::{Context, Device};
use budwood_model::{Adapter, Segment, predict};

use crate::support::*;

#[test]
fn a_row_of_a_mixed_batch_equals_the_row_alone() {
    let mut cx = Context::new(Device::cpu());
    for family in families() {
        let (_, base) = open(family);
        // Heads of different sizes side by side, too.
        let adapters: Vec<Adapter> = methods_of(&base)
            .iter()
            .enumerate()
            .map(|(i, m)| {
                adapter(&base, m, any_head(i / 3, 2 + i % 3, Pooling::Cls, None), i as u64)
            })
            .collect();
        let inputs = examples(&base, 2 * adapters.len(), 3);
        let segments: Vec<Segment<'_>> = adapters
            .iter()
            .enumerate()
            .map(|(i, a)| Segment { adapter: Some(a), sequences: 2 * i..2 * i + 2 })
            .collect();
        let together = predict(&mut cx, &base, &batch(&base, &inputs), &segments);
        for (i, input) in inputs.iter().enumerate() {
            let one = std::slice::from_ref(input);
            let alone = predict(&mut cx, &base, &batch(&base, one), &all(&adapters[i / 2], 1));
            assert_eq!(alone[0], together[i], "{family} {} row {i}", methods_of(&base)[i / 2]);
        }
    }
}
