//! The image encoder of CLIP (Radford et al. 2021): a norm right after the embeddings, patches
//! projected without a bias. The encoder of texts and the projections of both are not read.
//!
//! `transformers` classifies by the mean of the patches before the final norm.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, ImageAxes, InputSpec, NormPlacement};
use budwood_base::head::Pooling;
use budwood_base::tokenizer::Frame;
use serde_json::Value;

use super::config::Config;
use super::definition::{ClassifierHead, Family};
use super::vit::image_or;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "clip",
    model_types: &["clip", "clip_vision_model"],
    spec,
    prefix: "vision_model",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embedding"),
        ("embeddings.cls", "embeddings.class_embedding"),
        ("embeddings.position", "embeddings.position_embedding.weight"),
        // Spelled so.
        ("embeddings.norm", "pre_layrnorm"),
        ("final_norm", "post_layernorm"),
    ],
    layer: "encoder.layers.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "CLIP",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead { pooling: Pooling::PatchMean, ..ClassifierHead::OVER_FIRST }),
    masked_lm: None,
    trusts_pooler: None,
    adapterhub: None,
};

pub(super) const INNER: &[(&str, &str)] = &[
    ("attention_norm", "layer_norm1"),
    ("query", "self_attn.q_proj"),
    ("key", "self_attn.k_proj"),
    ("value", "self_attn.v_proj"),
    ("attention_out", "self_attn.out_proj"),
    ("ffn_norm", "layer_norm2"),
    ("ffn_in", "mlp.fc1"),
    ("ffn_out", "mlp.fc2"),
];

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    vision(config, "clip", |config| {
        let image = ImageAxes { without_patch_bias: true, ..ImageAxes::default() };
        Ok(EncoderSpec {
            family: "clip".into(),
            activation: config.activation_or("hidden_act", Activation::QuickGelu)?,
            norm_eps: config.epsilon_or("layer_norm_eps", 1e-5)?,
            input: InputSpec::Image(image_or(config, 224, 32, image)?),
            axes: Axes { embedding_norm: Some(true), ..Axes::default() },
            ..sizes(config)?
        })
    })
}

/// Reads the configuration of an image encoder: the file itself, or, of a model that reads texts
/// too, `vision_config` in it.
pub(super) fn vision(
    config: &Config<'_>,
    both: &str,
    read: impl Fn(&Config<'_>) -> Result<EncoderSpec, Error>,
) -> Result<EncoderSpec, Error> {
    if config.json.get("model_type").and_then(Value::as_str) != Some(both) {
        return read(config);
    }
    // Old files hold it under a second name, which goes before the first.
    let old = config.json.get("vision_config_dict").is_some_and(|old| !old.is_null());
    read(&config.part(if old { "vision_config_dict" } else { "vision_config" })?)
}

/// What CLIP and SigLIP have in common, with the sizes that `transformers` takes where the file
/// says nothing.
pub(super) fn sizes(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let hidden = config.size_or("hidden_size", 768)?;
    let heads = config.size_or("num_attention_heads", 12)?;
    config.check(hidden, heads)?;
    Ok(EncoderSpec {
        family: String::new(),
        hidden,
        layers: config.size_or("num_hidden_layers", 12)?,
        heads,
        intermediate: config.size_or("intermediate_size", 3072)?,
        activation: Activation::Gelu,
        norm_eps: 0.0,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image_or(config, 224, 16, ImageAxes::default())?),
        pooler: false,
        layer_scale: false,
        hidden_dropout: 0.0,
        attention_dropout: config.dropout_or("attention_dropout", 0.0)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}
