//! The canonical names of tensors, the contract between `formats` and `model`.
//!
//! Base model (all `[out, in]` for products, as `torch.nn.Linear`):
//! `embeddings.word|position|token_type` (tables), `embeddings.norm.weight|bias`,
//! `embeddings.patch.weight|bias` (`[d, channels*patch*patch]`), `embeddings.cls` and
//! `embeddings.distillation` (`[d]`), `embeddings.registers` (`[registers, d]`),
//! `embeddings.projection.weight|bias`, `relative.table`,
//! `relative.norm.weight|bias`,
//! `layers.{i}.{site}.weight|bias` for the six weight sites below, `layers.{i}.{norm}.weight|bias`,
//! `layers.{i}.relative_key|relative_query.weight|bias`, `layers.{i}.attention_scale` and
//! `layers.{i}.ffn_scale` (`[d]`, layer scale), `final_norm.weight|bias` (pre-norm encoders),
//! `pooler.weight|bias`; of pooling by attention `pooler.probe` (`[d]`), `pooler.in.weight|bias`
//! (`[3 d, d]`: query, key, value), `pooler.out|norm|ffn_in|ffn_out.weight|bias`.
//!
//! Adapters: `layers.{i}.{site}.{method}.{role}` with a site of this file, and
//! `shared.{method}.{role}` for what all layers share; trained base tensors (layer norms, biases,
//! whole products) keep their canonical base name; the head is `head.{role}`.
//! Roles by method:
//! - bottleneck at an output site: `down.weight [m,d]`, `down.bias [m]`, `up.weight [d,m]`,
//!   `up.bias [d]`, `scaling [1]` or `[d]`, `gate.weight [1,d]`, `gate.bias [1]`,
//!   `norm_before.weight|bias`, `norm_after.weight|bias`
//! - compacter (also `bottleneck`): `down.w_left [n,d/n,r]`, `down.w_right [n,r,m/n]`, `down.bias`,
//!   `up.w_left [n,m/n,r]`, `up.w_right [n,r,d/n]`, `up.bias`, and `shared.bottleneck.phm_rule
//!   [n,n,n]`
//! - lora at a weight site: `a [r,in]`, `b [out,r]`, `magnitude [out]` (DoRA), `gate.weight
//!   [1,in]`, `gate.bias [1]`
//! - ia3 at a weight site: `scale [out]` (output) or `scale_in [in]` (input)
//! - vera at a weight site: `d [r]`, `b [out]`; its projections are functions of a seed
//! - prefix at [`ATTENTION_KV`]: `key [n,d]`, `value [n,d]` (flat form), or the reparametrised
//!   `shared.prefix.embedding [n,d]`, `...prefix.in.weight|bias`, `...prefix.out.weight|bias`
//!   with gates `gate.weight [1,d]` or `[2,d]` (keys, values) and `gate.bias` at [`ATTENTION_KV`]
//! - prompt: `shared.prompt.embedding [n,d]`

use std::fmt::Write as _;

/// Query product.
pub const QUERY: &str = "query";
/// Key product.
pub const KEY: &str = "key";
/// Value product.
pub const VALUE: &str = "value";
/// Output product of attention; as an output site, the attention sub-layer's output.
pub const ATTENTION_OUT: &str = "attention_out";
/// First product of the feed-forward network.
pub const FFN_IN: &str = "ffn_in";
/// Second product of the feed-forward network; as an output site, that sub-layer's output.
pub const FFN_OUT: &str = "ffn_out";
/// The six products of a layer, in the order of the data flow.
pub const WEIGHT_SITES: [&str; 6] = [QUERY, KEY, VALUE, ATTENTION_OUT, FFN_IN, FFN_OUT];
/// Rules of Compacter's products, which all layers share.
pub const PHM_RULE: &str = "shared.bottleneck.phm_rule";
/// Keys and values of a layer's attention.
pub const ATTENTION_KV: &str = "attention_kv";
/// Norm of the attention sub-layer: after it (post-norm) or before it (pre-norm).
pub const ATTENTION_NORM: &str = "attention_norm";
/// Norm of the feed-forward sub-layer.
pub const FFN_NORM: &str = "ffn_norm";
/// Norm of the embeddings.
pub const EMBEDDING_NORM: &str = "embeddings.norm";
/// Table of words.
pub const WORD: &str = "embeddings.word";
/// Table of positions.
pub const POSITION: &str = "embeddings.position";
/// Table of token types.
pub const TOKEN_TYPE: &str = "embeddings.token_type";
/// Projection of a patch.
pub const PATCH: &str = "embeddings.patch";
/// Class token of an image.
pub const CLASS_TOKEN: &str = "embeddings.cls";
/// Distillation token of an image.
pub const DISTILLATION_TOKEN: &str = "embeddings.distillation";
/// Register tokens of an image.
pub const REGISTERS: &str = "embeddings.registers";
/// Layer scale of the attention sub-layer.
pub const ATTENTION_SCALE: &str = "attention_scale";
/// Layer scale of the feed-forward sub-layer.
pub const FFN_SCALE: &str = "ffn_scale";
/// Product that makes the hidden width of narrower embeddings.
pub const EMBEDDING_PROJECTION: &str = "embeddings.projection";
/// Table of distances between tokens, which all layers share.
pub const RELATIVE: &str = "relative.table";
/// Norm of that table's rows.
pub const RELATIVE_NORM: &str = "relative.norm";
/// Product of a layer that makes keys of distances.
pub const RELATIVE_KEY: &str = "relative_key";
/// Product of a layer that makes queries of distances.
pub const RELATIVE_QUERY: &str = "relative_query";
/// Norm after the last layer of pre-norm encoders.
pub const FINAL_NORM: &str = "final_norm";
/// Product over the first token that some checkpoints bring.
pub const POOLER: &str = "pooler";
/// The query of pooling by attention.
pub const POOLER_PROBE: &str = "pooler.probe";
/// Its product that makes query, keys and values, one after another.
pub const POOLER_IN: &str = "pooler.in";
/// Its output product.
pub const POOLER_OUT: &str = "pooler.out";
/// The norm before its feed-forward network.
pub const POOLER_NORM: &str = "pooler.norm";
/// First product of its feed-forward network.
pub const POOLER_FFN_IN: &str = "pooler.ffn_in";
/// Second product of its feed-forward network.
pub const POOLER_FFN_OUT: &str = "pooler.ffn_out";

/// `layers.{layer}.{rest}`.
pub fn in_layer(layer: usize, rest: &str) -> String {
    let mut name = String::with_capacity(rest.len() + 12);
    let _ = write!(name, "layers.{layer}.{rest}");
    name
}

/// The number of a layer in a tensor's name; none of a number that no encoder reaches.
pub fn layer_number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|layer| *layer < LAYERS_MOST)
}

/// Layers that an encoder has at most, by names of tensors.
pub const LAYERS_MOST: usize = 1 << 12;

/// Splits `layers.{i}.{rest}` into `i` and `rest`.
pub fn split_layer(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    Some((layer_number(layer)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_names_go_both_ways() {
        let name = in_layer(11, "query.lora.a");
        assert_eq!(name, "layers.11.query.lora.a");
        assert_eq!(split_layer(&name), Some((11, "query.lora.a")));
        assert_eq!(split_layer("head.out.weight"), None);
        assert_eq!(split_layer("layers.x.query"), None);
    }
}
