//! What loading a model leaves in memory. A test of its own process, as the system counts whole
//! processes.

use std::collections::HashMap;
use std::fs;

use budwood_base::tensor::Tensor;
use budwood_engine::{Device, Precision};
use budwood_model::Base;

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0)
}

/// Tensors as they are read lie behind the weights that are packed from them, so that they leave no
/// holes between weights: after loading, memory has the weights and the room of one tensor.
#[test]
#[cfg(target_os = "linux")]
fn loading_leaves_no_holes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    // ModernBERT's shape at half its width: its matrices are of three sizes.
    let config = r#"{
        "model_type": "modernbert", "vocab_size": 1000, "hidden_size": 384,
        "num_hidden_layers": 22, "num_attention_heads": 6, "intermediate_size": 576,
        "hidden_activation": "gelu", "norm_eps": 1e-5, "max_position_embeddings": 512,
        "global_attn_every_n_layers": 3, "local_attention": 128, "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0, "pad_token_id": 0
    }"#;
    fs::write(&file, config).unwrap();
    let spec = budwood_formats::family::spec_of(&file).unwrap();
    let shapes: HashMap<_, _> = spec.tensors().into_iter().map(|t| (t.name, t.shape)).collect();
    let largest = shapes.values().map(|shape| shape.iter().product::<usize>()).max().unwrap();
    let fetch = |name: &str| {
        let shape = shapes[name].clone();
        let data = vec![0.5; shape.iter().product()];
        Ok::<_, budwood_train::Error>(Tensor::new(shape, data))
    };
    let before = resident();
    let base = Base::load(spec, Device::cpu(), Precision::F32, false, fetch).unwrap();
    let (held, weights) = (resident() - before, base.bytes());
    let room = 2 * largest * size_of::<f32>() + weights / 100;
    assert!(held > weights / 2 && held < weights + room, "{held} bytes for {weights} of weights");
}
