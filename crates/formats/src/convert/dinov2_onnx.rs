//! A DINOv2 encoder inside a network in ONNX, as PyTorch exports `transformers`' model: named
//! weights under a prefix, products transposed and without a name of their own, and the table of
//! positions cut in two. What follows the encoder is left out.

use std::path::Path;

use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::json;

use super::checkpoint::{Checkpoint, preprocessor, side, transposed};
use super::onnx::{self, Network};
use crate::Error;

/// The first tensor of the encoder; what stands before is the encoder's prefix in the network.
const CLASS_TOKEN: &str = "embeddings.cls_token";
const PATCH: &str = "embeddings.patch_embeddings.projection.weight";
/// Width of a head in all models of the family.
const HEAD_WIDTH: usize = 64;
/// Side in pixels of the images that the family's features are made from.
const IMAGE_SIZE: usize = 224;

/// Reads a network.
///
/// # Errors
/// If the file is damaged or holds no such encoder.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Checkpoint, Error> {
    let network = onnx::read(path, bytes)?;
    let fault = |message: &str| Error::content(path, message);
    let prefix = network.initializers.keys().find_map(|name| name.strip_suffix(CLASS_TOKEN));
    let prefix = prefix.ok_or_else(|| {
        fault("holds no weights of an encoder in DINOv2's layout: no 'embeddings.cls_token'")
    })?;
    let mut tensors: TensorMap = network
        .initializers
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_string(), tensor.clone())))
        .collect();
    products(&network, prefix, &mut tensors);
    let patch = tensors.get(PATCH).map(|t| t.shape.clone()).unwrap_or_default();
    let [d, channels, patch, _] = patch[..] else {
        return Err(fault("holds no projection of patches"));
    };
    let positions = positions(&network, prefix, d)
        .ok_or_else(|| fault("holds no table of positions beside its class token"))?;
    let image_size = side(path, positions.shape[1] - 1)? * patch;
    tensors.insert("embeddings.position_embeddings".into(), positions);
    let has = |i: usize| tensors.contains_key(&format!("encoder.layer.{i}.norm1.weight"));
    let layers = (0..).take_while(|&i| has(i)).count();
    let inner = tensors.get("encoder.layer.0.mlp.fc1.bias").map_or(0, Tensor::len);
    if d % HEAD_WIDTH != 0 || inner == 0 {
        return Err(fault(
            "is not of DINOv2's widths: heads of 64 and a plain feed-forward network",
        ));
    }
    let config = json!({
        "architectures": ["Dinov2Model"],
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": d,
        "image_size": image_size,
        "layer_norm_eps": 1e-6,
        "mlp_ratio": inner as f64 / d as f64,
        "model_type": "dinov2",
        "num_attention_heads": d / HEAD_WIDTH,
        "num_channels": channels,
        "num_hidden_layers": layers,
        "patch_size": patch,
        "qkv_bias": true,
        "use_swiglu_ffn": false,
    });
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let preprocessor = preprocessor(IMAGE_SIZE, 3, mean, deviation);
    Ok(Checkpoint { config, tensors, preprocessor })
}

/// Weights of products: `/PREFIX/a/b/MatMul` reads that of `a.b`, transposed.
fn products(network: &Network, prefix: &str, tensors: &mut TensorMap) {
    let scope = format!("/{}", prefix.replace('.', "/"));
    for node in network.nodes.iter().filter(|n| n.operation == "MatMul") {
        let module = node.name.strip_prefix(&scope).and_then(|n| n.strip_suffix("/MatMul"));
        let weight = node.inputs.get(1).and_then(|name| network.initializers.get(name));
        if let (Some(module), Some(weight)) = (module, weight)
            && let [inputs, outputs] = weight.shape[..]
        {
            let name = format!("{}.weight", module.replace('/', "."));
            tensors.insert(name, transposed(weight, inputs, outputs));
        }
    }
}

/// The table of positions `[1, n, d]`: the class token's and the patches', which the embeddings
/// read from tensors of their own.
fn positions(network: &Network, prefix: &str, d: usize) -> Option<Tensor> {
    let scope = format!("/{}embeddings/", prefix.replace('.', "/"));
    let nodes = network.nodes.iter().filter(|n| n.name.starts_with(&scope));
    let read = nodes.flat_map(|n| &n.inputs).filter(|name| !name.starts_with(prefix));
    let tensors: Vec<&Tensor> = read
        .filter_map(|name| network.initializers.get(name))
        .filter(|t| matches!(t.shape[..], [1, _, width] if width == d))
        .collect();
    let first = tensors.iter().find(|t| t.shape[1] == 1)?;
    let rest = tensors.iter().find(|t| t.shape[1] > 1)?;
    let data = [&first.data[..], &rest.data].concat();
    Some(Tensor::new([1, 1 + rest.shape[1], d], data))
}
