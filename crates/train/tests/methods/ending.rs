//! Where a head reads the first row of each sequence alone, the others end with the attention of
//! the last layer. Nothing else may change by that.
//!
//! A head over first row and mean reads all rows. With zeros as the weights of its mean it gives
//! what a head over the first row gives, and sends the same gradient down.

use budwood_base::head::{HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_engine::{Context, Device, Precision};
use budwood_model::{Adapter, Base, Segment, predict};

use crate::support::*;

/// A head over the first row, and one over all rows that gives the same.
fn both(base: &Base, method: &str) -> [Adapter; 2] {
    let of =
        |pooling| adapter(base, method, HeadSpec { dropout: 0.0, ..head(3, pooling, None) }, 4);
    let (first, mut whole) = (of(Pooling::Cls), of(Pooling::ClsMean));
    let d = base.spec().hidden;
    for to in whole.params.entries().to_vec() {
        let from = &first.params.get(&to.name).unwrap().slot;
        let values = &first.params.values[from.clone()];
        let mut wide = values.to_vec();
        if to.name == "head.out.weight" {
            wide = values.chunks(d).flat_map(|row| [row, &vec![0.0; d]].concat()).collect();
        }
        whole.params.values[to.slot].copy_from_slice(&wide);
    }
    whole.refresh(base.device(), 1);
    [first, whole]
}

/// Loss, gradient and answers of both heads, without dropout and with all that there is of it.
fn compare(cx: &mut Context, family: &str, precision: Precision, method: &str) {
    let (_, mut base) = open_as(family, precision);
    base.set_dropout(0.2);
    base.set_drop_path(0.3);
    let inputs = batch(&base, &examples(&base, 7, 6));
    let [first, whole] = both(&base, method);
    for key in [None, Some(Key::new(3).named("masks"))] {
        let (a, b) = (loss(cx, &base, &first, &inputs, key), loss(cx, &base, &whole, &inputs, key));
        assert_eq!(a.0, b.0, "{family} {method} {precision:?}: the loss");
        for entry in first.params.entries().iter().filter(|e| e.name != "head.out.weight") {
            let other = &whole.params.get(&entry.name).unwrap().slot;
            let (x, y) = (&a.1[entry.slot.clone()], &b.1[other.clone()]);
            assert_eq!(x, y, "{family} {method} {precision:?}: {}", entry.name);
        }
    }
    // In a batch with heads that read all rows, all go on.
    let answers = |cx: &mut Context, last| {
        let of = |adapter, sequences| Segment { adapter: Some(adapter), sequences };
        predict(cx, &base, &inputs, &[of(&first, 0..3), of(last, 3..7)])
    };
    assert_eq!(answers(cx, &first), answers(cx, &whole), "{family} {method} {precision:?}");
}

#[test]
fn rows_that_no_head_reads_are_left_out_and_nothing_changes() {
    let mut cx = Context::new(Device::cpu());
    for family in families() {
        let base = open(family).1;
        // Without a first token no head reads one.
        if base.spec().input.first_tokens() == 0 {
            continue;
        }
        for method in methods_of(&base) {
            compare(&mut cx, family, Precision::F32, method);
        }
        for method in ["adapter[width=8]", "lora[r=2,dropout=0.3,targets=[value,ffn_out]]"] {
            compare(&mut cx, family, Precision::Int8, method);
        }
    }
}
