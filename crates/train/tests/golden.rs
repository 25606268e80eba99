//! Parity with the reference libraries on the cases of `tests/golden`.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use budwood_engine::Device;
use budwood_train::parity::compare;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Compares the cases of all text families on a device.
fn check(cases: &[&str], device: Device) {
    for family in ["bert", "roberta", "distilbert"] {
        for case in cases {
            let folder = golden().join("adapters").join(family).join(case);
            let base = golden().join("base").join(family);
            let io = folder.join("io.safetensors");
            let parity = compare(&base, &folder.join("adapter"), &io, device).unwrap();
            let what = format!("{family}/{case} {}: {parity:?}", device.name());
            assert!(parity.logits < 1e-5, "{what}");
            assert!(parity.last_hidden < 1e-5, "{what}");
            assert!(parity.loss < 1e-5, "{what}");
            assert!(parity.gradients < 1e-4, "{what}");
            assert!(parity.parameters < 1e-4, "{what}");
        }
    }
}

#[test]
fn sequential_bottlenecks_match_on_every_instruction_set() {
    for device in Device::all() {
        check(&["double_seq_bn", "seq_bn", "double_seq_bn_leave_out"], device);
    }
}

#[test]
fn other_bottlenecks_match() {
    check(&["par_bn", "scaled_par_bn", "adapter_plus"], Device::cpu());
}

#[test]
fn a_case_of_another_adapter_does_not_match() {
    let folder = golden().join("adapters/bert");
    let base = golden().join("base/bert");
    let io = folder.join("double_seq_bn/io.safetensors");
    let parity =
        compare(&base, &folder.join("double_seq_bn_leave_out/adapter"), &io, Device::cpu());
    // Another width in one layer: either an error or far off, never a match.
    assert!(parity.is_err() || parity.is_ok_and(|p| p.logits > 1e-2));
}
