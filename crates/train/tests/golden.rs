//! Parity with the reference libraries on the cases of `tests/golden`.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use budwood_base::encoder::InputSpec;
use budwood_base::tensor::Tensor;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::Weights;
use budwood_model::{Adapter, Base, Batch, Segment, hidden_states};
use budwood_train::parity::{compare, compare_imported};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Compares the cases of these families on a device.
fn check_of(families: &[&str], cases: &[&str], device: Device) {
    for family in families {
        for case in cases {
            let (folder, base) = match case.strip_prefix("peft/") {
                Some(case) => {
                    let peft = golden().join("peft").join(family);
                    (peft.join(case), peft.join("base"))
                }
                None => (
                    golden().join("adapters").join(family).join(case),
                    golden().join("base").join(family),
                ),
            };
            let io = folder.join("io.safetensors");
            let on = (device, Precision::F32);
            let parity = compare(&base, &folder.join("adapter"), &io, on).unwrap();
            let what = format!("{family}/{case} {}: {parity:?}", device.name());
            assert!(parity.logits < 1e-5, "{what}");
            assert!(parity.last_hidden < 1e-5, "{what}");
            assert!(parity.loss < 1e-5, "{what}");
            assert!(parity.gradients < 1e-4, "{what}");
            assert!(parity.parameters < 1e-4, "{what}");
        }
    }
}

/// As [`check_of`], of all families that the library has.
fn check(cases: &[&str], device: Device) {
    check_of(&["bert", "roberta", "distilbert", "vit"], cases, device);
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
fn hypercomplex_bottlenecks_match() {
    check(&["compacter"], Device::cpu());
}

#[test]
fn low_rank_updates_and_scales_match() {
    check(&["lora", "ia3", "peft/lora", "peft/rslora_dora"], Device::cpu());
}

#[test]
fn prompts_and_prefixes_match() {
    // The case `prompt_tuning` has padding, to which the library's prompts attend: its rows depend
    // on their neighbours.
    check_of(&["bert", "roberta", "distilbert"], &["prompt_tuning_whole"], Device::cpu());
    check_of(&["vit"], &["prompt_tuning"], Device::cpu());
    check(&["prompt_tuning_after", "prefix_tuning", "prefix_tuning_flat", "mam"], Device::cpu());
    check(&["prefix_tuning_gates", "unipelt"], Device::cpu());
}

#[test]
fn families_that_only_one_library_has_match() {
    check_of(&["deit", "dinov2"], &["peft/lora"], Device::cpu());
}

#[test]
fn later_families_that_the_libraries_have_match() {
    let cases = ["lora", "prefix_tuning_flat", "peft/lora"];
    check_of(&["electra", "albert", "deberta-v2"], &cases, Device::cpu());
    check_of(&["electra", "deberta-v2"], &["double_seq_bn"], Device::cpu());
    // In ALBERT the library's bottleneck after attention reads that sub-layer's input.
    check_of(&["albert"], &["seq_bn"], Device::cpu());
    check_of(&["mpnet"], &["peft/lora"], Device::cpu());
}

#[test]
fn heads_over_tokens_match() {
    for device in Device::all() {
        check_of(&["bert", "roberta", "distilbert"], &["tagging", "question_answering"], device);
    }
}

/// Methods that train the model's own weights: the case's folder has the head, the other values
/// begin as the base's.
fn check_own_weights(family: &str, case: &str, method: &str) {
    let folder = golden().join("adapters").join(family).join(case);
    let base = golden().join("base").join(family);
    let mut read = budwood_formats::import(&folder.join("adapter")).unwrap();
    read.method = method.parse().unwrap();
    let model = BaseModel::open(&base).unwrap();
    let packed = Base::load::<budwood_train::Error>(
        model.spec().clone(),
        Device::cpu(),
        Precision::F32,
        true,
        |name| Ok(model.tensor(name)?),
    );
    let begun =
        Adapter::new(&packed.unwrap(), &read.method, read.head.clone().unwrap(), 0).unwrap();
    let family = budwood_formats::family::find(family).unwrap();
    for (name, tensor) in begun.params.to_tensors() {
        if !name.starts_with("head.") {
            // Tables have no `.weight` here.
            let theirs = family.checkpoint_name(&name).unwrap();
            read.tensors.insert(name.clone(), tensor);
            read.names.push((name, theirs));
        }
    }
    let io = folder.join("io.safetensors");
    let parity = compare_imported(&base, &read, &io, (Device::cpu(), Precision::F32)).unwrap();
    let what = format!("{}/{case}: {parity:?}", family.name);
    assert!(parity.logits < 1e-5 && parity.last_hidden < 1e-5, "{what}");
    assert!(parity.gradients < 1e-4 && parity.parameters < 1e-4, "{what}");
}

#[test]
fn trained_weights_of_the_model_match() {
    for family in ["bert", "roberta", "distilbert", "vit"] {
        check_own_weights(family, "bitfit", "bitfit");
        check_own_weights(family, "layer_norm", "layer_norm");
        check_own_weights(family, "top_k", "top_k[layers=1]");
        check_own_weights(family, "full", "full");
    }
    for family in ["deit", "dinov2"] {
        check_own_weights(family, "full", "full");
    }
}

#[test]
fn images_of_another_size_match() {
    for family in ["vit", "deit", "dinov2"] {
        check_own_weights(family, "full_other_size", "full");
    }
}

/// What rounding to bytes costs on these random models, whose widths of 32 average little out.
#[test]
fn int8_stays_near_the_reference() {
    for device in Device::all() {
        for family in ["bert", "roberta", "distilbert"] {
            let folder = golden().join("adapters").join(family).join("double_seq_bn");
            let base = golden().join("base").join(family);
            let io = folder.join("io.safetensors");
            let on = (device, Precision::Int8);
            let parity = compare(&base, &folder.join("adapter"), &io, on).unwrap();
            let what = format!("{family} {}: {parity:?}", device.name());
            assert!(parity.logits < 0.08, "{what}");
            assert!(parity.last_hidden < 0.05, "{what}");
            assert!(parity.gradients < 0.25, "{what}");
            assert!(parity.logits > 1e-5, "bytes were not used: {what}");
        }
    }
}

#[test]
fn an_encoder_from_onnx_computes_what_it_did_in_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("model");
    budwood_formats::convert(&golden().join("convert/dinov2.onnx"), &folder).unwrap();
    let case = Weights::open(&golden().join("convert/dinov2.safetensors")).unwrap();
    let states = states(&folder, &case.tensor("input.pixel_values").unwrap());
    let expected = case.tensor("out.last_hidden_state").unwrap().data;
    let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = states.iter().zip(&expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert_eq!(states.len(), expected.len());
    assert!(worst < 1e-5 * largest, "{worst} of {largest}");
}

/// The last hidden states of images `[n, channels, height, width]`.
fn states(base: &Path, pixels: &Tensor) -> Vec<f32> {
    let model = BaseModel::open(base).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let device = Device::cpu();
    let base = Base::load(model.spec().clone(), device, Precision::F32, false, fetch).unwrap();
    let InputSpec::Image(spec) = &base.spec().input else { panic!("no encoder of images") };
    let [n, channels, height, width] = pixels.shape[..] else { panic!("no images") };
    let images = pixels.data.chunks(channels * height * width);
    let batch = Batch::from_images(spec, (height, width), images);
    let segment = Segment { adapter: None, sequences: 0..n };
    hidden_states(&mut Context::new(device), &base, &batch, &[segment])
}

#[test]
fn a_case_of_another_adapter_does_not_match() {
    let folder = golden().join("adapters/bert");
    let base = golden().join("base/bert");
    let io = folder.join("double_seq_bn/io.safetensors");
    let on = (Device::cpu(), Precision::F32);
    let parity = compare(&base, &folder.join("double_seq_bn_leave_out/adapter"), &io, on);
    // Another width in one layer: either an error or far off, never a match.
    assert!(parity.is_err() || parity.is_ok_and(|p| p.logits > 1e-2));
}
