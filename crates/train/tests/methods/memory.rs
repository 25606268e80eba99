//! What a step asks of the system, counted by an allocator that counts what this thread asks for.

use allocation_counter::measure;
use budwood_base::head::Pooling;
use budwood_base::random::Key;
use budwood_engine::{Context, Device};
use budwood_model::train_chunk;

use crate::support::*;

/// Buffers of activations come from the arena, which asks for none once it is warm. What is left
/// are lists of buffers and spans, and the outputs: at any time less than one matrix of hidden
/// states.
#[test]
fn a_warm_step_allocates_no_activations() {
    for family in families() {
        let (_, base) = open(family);
        for (i, method) in methods_of(&base).iter().enumerate() {
            let adapter = adapter(&base, method, any_head(i, 3, Pooling::Mean, None), 11);
            let inputs = batch(&base, &examples(&base, 24, 9));
            let (targets, weights) = targets(&adapter, &inputs);
            let mut gradient = vec![0.0; adapter.params.len()];
            let mut cx = Context::new(Device::cpu());
            let mut step = |key: u64| {
                let (given, key) = ((&targets, &weights, 0), Some(Key::new(key)));
                let counted = measure(|| {
                    train_chunk(&mut cx, &base, &adapter, &inputs, given, key, &mut gradient);
                });
                (counted.bytes_max, cx.arena().allocations())
            };
            let hidden_states =
                (inputs.spans.rows() * base.spec().hidden * size_of::<f32>()) as u64;
            let (cold, _) = step(0);
            assert!(cold > 5 * hidden_states, "{family} {method}: the count sees {cold} bytes");
            let (_, before) = step(1);
            let (warm, after) = step(2);
            assert_eq!(before, after, "{family} {method}: the arena asked for memory");
            assert!(
                warm < hidden_states,
                "{family} {method}: {warm} bytes, hidden states have {hidden_states}"
            );
        }
    }
}

/// The input of a product is kept for backward only where a method's gradient reads it.
#[test]
fn inputs_of_products_are_kept_only_where_a_method_reads_them() {
    for family in families() {
        let (_, base) = open(family);
        let inputs = batch(&base, &examples(&base, 24, 9));
        let held = |method: &str| {
            let adapter = adapter(&base, method, head(3, Pooling::Mean, None), 11);
            let (targets, weights) = targets(&adapter, &inputs);
            let mut gradient = vec![0.0; adapter.params.len()];
            let mut cx = Context::new(Device::cpu());
            let given = (&targets, &weights, 0);
            train_chunk(&mut cx, &base, &adapter, &inputs, given, None, &mut gradient);
            cx.arena().bytes()
        };
        let (spec, rows) = (base.spec(), inputs.spans.rows());
        let without = held("layer_norm");
        for (site, width) in [("query", spec.hidden), ("ffn_out", spec.intermediate)] {
            let with = held(&format!("layer_norm|lora[r=1,targets=[{site}]]"));
            let kept = spec.layers * rows * width * size_of::<f32>();
            assert!(with >= without + kept, "{family} {site}: {with} bytes, {without} without");
        }
    }
}
