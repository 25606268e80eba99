//! Parity with the reference libraries on the cases of `tests/golden`.

use std::path::PathBuf;

use budwood_engine::Device;
use budwood_train::parity::compare;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

#[test]
fn adapterhub_bottlenecks_match_on_every_instruction_set() {
    for family in ["bert", "roberta", "distilbert"] {
        for case in [
            "double_seq_bn",
            "seq_bn",
            "double_seq_bn_leave_out",
            "par_bn",
            "scaled_par_bn",
            "adapter_plus",
        ] {
            for isa in Device::all() {
                let folder = golden().join("adapters").join(family).join(case);
                let base = golden().join("base").join(family);
                let io = folder.join("io.safetensors");
                let parity = compare(&base, &folder.join("adapter"), &io, isa).unwrap();
                let what = format!("{family}/{case} {}: {parity:?}", isa.name());
                assert!(parity.logits < 1e-5, "{what}");
                assert!(parity.last_hidden < 1e-5, "{what}");
                assert!(parity.loss < 1e-5, "{what}");
                assert!(parity.gradients < 1e-4, "{what}");
                assert!(parity.parameters < 1e-4, "{what}");
            }
        }
    }
}
