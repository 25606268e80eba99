//! ViT (Dosovitskiy et al. 2021): patches after a class token, norms before the sub-layers.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, ImageAxes, ImageInput, InputSpec, NormPlacement,
};
use budwood_base::tokenizer::Frame;
use serde_json::json;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "vit",
    model_types: &["vit"],
    spec,
    prefix: "vit",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings.projection"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.position", "embeddings.position_embeddings"),
        ("final_norm", "layernorm"),
        ("pooler", "pooler.dense"),
    ],
    layer: "encoder.layer.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "ViT",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead::OVER_FIRST),
    masked_lm: None,
    trusts_pooler: None,
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention_adapters.adapters"), Some("output.output_adapters.adapters")],
        prefix: "self_prefix",
        has_models: true,
    }),
};

pub(super) const INNER: &[(&str, &str)] = &[
    ("attention_norm", "layernorm_before"),
    ("query", "attention.attention.query"),
    ("key", "attention.attention.key"),
    ("value", "attention.attention.value"),
    ("attention_out", "attention.output.dense"),
    ("ffn_norm", "layernorm_after"),
    ("ffn_in", "intermediate.dense"),
    ("ffn_out", "output.dense"),
];

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    vit_like(config, "vit", false)
}

/// Sizes and switches of ViT and of DeiT, which differs from it by one token.
pub(super) fn vit_like(
    config: &Config<'_>,
    family: &str,
    distillation: bool,
) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    if !config.flag_or("qkv_bias", true)? {
        let message = "'qkv_bias' is false; only queries, keys and values with a bias exist here";
        return Err(config.fault(message));
    }
    config.expect("pooler_act", &[json!("tanh")])?;
    config.expect("pooler_output_size", &[json!(hidden)])?;
    Ok(EncoderSpec {
        family: family.into(),
        hidden,
        layers: config.size("num_hidden_layers")?,
        heads,
        intermediate: config.size("intermediate_size")?,
        activation: config.activation_or("hidden_act", Activation::Gelu)?,
        norm_eps: config.epsilon_or("layer_norm_eps", 1e-12)?,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image(config, distillation)?),
        pooler: true,
        layer_scale: false,
        hidden_dropout: config.dropout_or("hidden_dropout_prob", 0.0)?,
        attention_dropout: config.dropout_or("attention_probs_dropout_prob", 0.0)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}

/// Sizes of the input.
pub(super) fn image(config: &Config<'_>, distillation: bool) -> Result<ImageInput, Error> {
    let (image_size, patch) = (config.square("image_size")?, config.square("patch_size")?);
    check_sizes(config, image_size, patch)?;
    let (channels, axes) = (config.size("num_channels")?, ImageAxes::default());
    Ok(ImageInput { image_size, patch, channels, distillation, axes })
}

/// As [`image`], with the sizes that `transformers` takes where the file says nothing.
pub(super) fn image_or(
    config: &Config<'_>,
    image_size: usize,
    patch: usize,
    axes: ImageAxes,
) -> Result<ImageInput, Error> {
    let image_size = config.square_or("image_size", image_size)?;
    let patch = config.square_or("patch_size", patch)?;
    check_sizes(config, image_size, patch)?;
    config.expect("num_channels", &[json!(3)])?;
    Ok(ImageInput { image_size, patch, channels: 3, distillation: false, axes })
}

fn check_sizes(config: &Config<'_>, image_size: usize, patch: usize) -> Result<(), Error> {
    if patch > image_size {
        let message = format!("'patch_size' is {patch}, larger than 'image_size', {image_size}");
        return Err(config.fault(message));
    }
    // A few thousand positions at most are sensible; this keeps products of sizes within bounds.
    if image_size > 1 << 14 {
        return Err(config.fault(format!("'image_size' is {image_size}, above {}", 1 << 14)));
    }
    Ok(())
}
