//! ViT as its authors published it (Dosovitskiy et al. 2021; `ViT-B_16.npz` and its sisters):
//! arrays of Flax. Heads are left out; the layer before them, where there is one, is what Hugging
//! Face calls the pooler.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::json;

use super::checkpoint::{Checkpoint, preprocessor, side, transposed};
use super::npz;
use crate::Error;

/// Reads a checkpoint.
///
/// # Errors
/// If the file is damaged or an array is missing or of another shape.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Checkpoint, Error> {
    let mut file = File { path, arrays: npz::read(path, bytes)?, tensors: TensorMap::new() };
    let kernel = file.take("embedding/kernel")?;
    let [patch, _, channels, d] = file.dimensions::<4>("embedding/kernel", &kernel)?;
    file.expect("embedding/kernel", &kernel, &[patch, patch, channels, d])?;
    file.put("embeddings.patch_embeddings.projection.weight", convolution(&kernel));
    let bias = "embeddings.patch_embeddings.projection.bias";
    file.move_shaped("embedding/bias", bias, &[d])?;
    file.move_shaped("cls", "embeddings.cls_token", &[1, 1, d])?;

    let positions = "Transformer/posembed_input/pos_embedding";
    let table = file.take(positions)?;
    let [_, rows, _] = file.dimensions::<3>(positions, &table)?;
    file.expect(positions, &table, &[1, rows, d])?;
    let image_size = side(path, rows.saturating_sub(1))? * patch;
    file.put("embeddings.position_embeddings", table);

    let layers =
        (0..).take_while(|i| file.has(&format!("{}/LayerNorm_0/scale", block(*i)))).count();
    let (mut heads, mut intermediate) = (1, 1);
    for i in 0..layers {
        (heads, intermediate) = file.layer(i, d)?;
    }
    file.norm("Transformer/encoder_norm", "layernorm", d)?;
    if file.has("pre_logits/kernel") {
        file.dense("pre_logits", "pooler.dense", (&[d, d], d, d), &[d])?;
    }
    let config = json!({
        "architectures": ["ViTModel"],
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": d,
        "image_size": image_size,
        "intermediate_size": intermediate,
        "layer_norm_eps": 1e-6,
        "model_type": "vit",
        "num_attention_heads": heads,
        "num_channels": channels,
        "num_hidden_layers": layers,
        "patch_size": patch,
        "qkv_bias": true,
    });
    // The published weights were trained on pixels in -1..1.
    let preprocessor = preprocessor(image_size, 2, [0.5; 3], [0.5; 3]);
    Ok(Checkpoint { config, tensors: file.tensors, preprocessor })
}

fn block(layer: usize) -> String {
    format!("Transformer/encoderblock_{layer}")
}

/// `[height, width, channels, d]` -> `[d, channels, height, width]`
fn convolution(kernel: &Tensor) -> Tensor {
    let [height, width, channels, d] = kernel.shape[..] else { return kernel.clone() };
    let at = |o: usize, c: usize, y: usize, x: usize| {
        kernel.data[((y * width + x) * channels + c) * d + o]
    };
    let mut data = Vec::with_capacity(kernel.len());
    for (o, c) in (0..d).flat_map(|o| (0..channels).map(move |c| (o, c))) {
        data.extend((0..height).flat_map(|y| (0..width).map(move |x| at(o, c, y, x))));
    }
    Tensor::new([d, channels, height, width], data)
}

/// The arrays that are left, and the tensors made from the others.
struct File<'a> {
    path: &'a Path,
    arrays: BTreeMap<String, Tensor>,
    tensors: TensorMap,
}

impl File<'_> {
    fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    fn take(&mut self, name: &str) -> Result<Tensor, Error> {
        self.arrays.remove(name).ok_or_else(|| {
            let message = format!("has no array '{name}': it is not ViT's original checkpoint");
            Error::content(self.path, message)
        })
    }

    fn put(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    fn expect(&self, name: &str, array: &Tensor, shape: &[usize]) -> Result<(), Error> {
        if array.shape == shape && !array.is_empty() {
            return Ok(());
        }
        let message = format!("array '{name}' has shape {:?}, not {shape:?}", array.shape);
        Err(Error::content(self.path, message))
    }

    fn dimensions<const N: usize>(&self, name: &str, array: &Tensor) -> Result<[usize; N], Error> {
        <[usize; N]>::try_from(&array.shape[..]).map_err(|_| {
            let message = format!("array '{name}' has shape {:?}, not {N} dimensions", array.shape);
            Error::content(self.path, message)
        })
    }

    /// Moves an array of that shape.
    fn move_shaped(&mut self, from: &str, to: &str, shape: &[usize]) -> Result<(), Error> {
        let array = self.take(from)?;
        self.expect(from, &array, shape)?;
        self.put(to, array);
        Ok(())
    }

    fn norm(&mut self, from: &str, to: &str, d: usize) -> Result<(), Error> {
        self.move_shaped(&format!("{from}/scale"), &format!("{to}.weight"), &[d])?;
        self.move_shaped(&format!("{from}/bias"), &format!("{to}.bias"), &[d])
    }

    /// A kernel of that shape, which is `[inputs, outputs]`, and a bias.
    fn dense(
        &mut self,
        from: &str,
        to: &str,
        (shape, inputs, outputs): (&[usize], usize, usize),
        bias_shape: &[usize],
    ) -> Result<(), Error> {
        let name = format!("{from}/kernel");
        let kernel = self.take(&name)?;
        self.expect(&name, &kernel, shape)?;
        self.put(&format!("{to}.weight"), transposed(&kernel, inputs, outputs));
        let name = format!("{from}/bias");
        let mut bias = self.take(&name)?;
        self.expect(&name, &bias, bias_shape)?;
        bias.shape = vec![outputs];
        self.put(&format!("{to}.bias"), bias);
        Ok(())
    }

    /// One layer; gives the number of heads and the width of the feed-forward network.
    fn layer(&mut self, i: usize, d: usize) -> Result<(usize, usize), Error> {
        let (from, to) = (block(i), format!("encoder.layer.{i}"));
        self.norm(&format!("{from}/LayerNorm_0"), &format!("{to}.layernorm_before"), d)?;
        self.norm(&format!("{from}/LayerNorm_2"), &format!("{to}.layernorm_after"), d)?;
        let attention = format!("{from}/MultiHeadDotProductAttention_1");
        let bias = format!("{attention}/query/bias");
        let missing = Tensor::zeros([0]);
        let [heads, width] =
            self.dimensions::<2>(&bias, self.arrays.get(&bias).unwrap_or(&missing))?;
        if heads.checked_mul(width) != Some(d) {
            let message =
                format!("array '{bias}' has {heads} heads of {width}, which do not make {d}");
            return Err(Error::content(self.path, message));
        }
        for name in ["query", "key", "value"] {
            let (from, to) =
                (format!("{attention}/{name}"), format!("{to}.attention.attention.{name}"));
            self.dense(&from, &to, (&[d, heads, width], d, d), &[heads, width])?;
        }
        let out = (format!("{attention}/out"), format!("{to}.attention.output.dense"));
        self.dense(&out.0, &out.1, (&[heads, width, d], d, d), &[d])?;
        let mlp = format!("{from}/MlpBlock_3");
        let f = self.arrays.get(&format!("{mlp}/Dense_0/bias")).map_or(0, Tensor::len);
        let inner = format!("{to}.intermediate.dense");
        self.dense(&format!("{mlp}/Dense_0"), &inner, (&[d, f], d, f), &[f])?;
        let outer = format!("{to}.output.dense");
        self.dense(&format!("{mlp}/Dense_1"), &outer, (&[f, d], f, d), &[d])?;
        Ok((heads, f))
    }
}
