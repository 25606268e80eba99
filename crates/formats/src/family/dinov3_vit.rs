//! DINOv3 (Siméoni et al. 2025): patches turned by row and column, registers, layer scale, keys
//! without a bias; its largest models have a gated feed-forward network. The mask token of its
//! pre-training is not read, and positions are not moved at random in training.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, Ffn, ImageAxes, InputSpec, NormPlacement, Positions,
};
use budwood_base::site::WeightSite;
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::Family;
use super::dinov2::registers;
use super::vit::image_or;
use crate::Error;

const fn inner(ffn_in: &'static str) -> [(&'static str, &'static str); 10] {
    [
        ("attention_norm", "norm1"),
        ("query", "attention.q_proj"),
        ("key", "attention.k_proj"),
        ("value", "attention.v_proj"),
        ("attention_out", "attention.o_proj"),
        ("attention_scale", "layer_scale1.lambda1"),
        ("ffn_norm", "norm2"),
        ("ffn_in", ffn_in),
        ("ffn_out", "mlp.down_proj"),
        ("ffn_scale", "layer_scale2.lambda1"),
    ]
}

pub(super) const FAMILY: Family = Family {
    name: "dinov3_vit",
    model_types: &["dinov3_vit"],
    spec,
    prefix: "dinov3_vit",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.registers", "embeddings.register_tokens"),
        ("final_norm", "norm"),
    ],
    layer: "layer.{i}",
    inner: &inner("mlp.up_proj"),
    fused: &[],
    parted: &[],
    class: "DINOv3ViT",
    frame: Frame::BERT,
    // The library has no model of it with a head.
    classifier: None,
    masked_lm: None,
    trusts_pooler: None,
    adapterhub: None,
};

/// With a gated feed-forward network: two modules hold its first product.
pub(super) const GATED: Family = Family {
    name: "dinov3_vit_gated",
    model_types: &[],
    spec: gated,
    inner: &inner("mlp.gate_proj"),
    parted: &[("ffn_in", &["mlp.gate_proj", "mlp.up_proj"])],
    ..FAMILY
};

fn gated(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let spec = spec(config)?;
    let axes = Axes { ffn: Ffn::Gated, ..spec.axes.clone() };
    Ok(EncoderSpec { family: GATED.name.into(), axes, ..spec })
}

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let hidden = config.size_or("hidden_size", 384)?;
    let heads = config.size_or("num_attention_heads", 6)?;
    config.check(hidden, heads)?;
    let dim = hidden / heads;
    if !dim.is_multiple_of(4) {
        return Err(config.fault(format!(
            "positions turn pairs in two dimensions, and heads of {dim} elements are no multiple of 4"
        )));
    }
    config.expect("rope_scaling", &[])?;
    let base = match config.json.get("rope_parameters").filter(|v| !v.is_null()) {
        None => config.base_or("rope_theta", 100.0)?,
        // The form of `transformers` 5.
        Some(json) => Config { path: config.path, json }.rope_parameters(100.0)?,
    };
    let image = ImageAxes { registers: registers(config, 0)?, ..ImageAxes::default() };
    let mut without_bias = Vec::new();
    for (site, field, default) in [
        (WeightSite::Query, "query_bias", true),
        (WeightSite::Key, "key_bias", false),
        (WeightSite::Value, "value_bias", true),
        (WeightSite::AttentionOut, "proj_bias", true),
        (WeightSite::FfnIn, "mlp_bias", true),
        (WeightSite::FfnOut, "mlp_bias", true),
    ] {
        if !config.flag_or(field, default)? {
            without_bias.push(site);
        }
    }
    Ok(EncoderSpec {
        family: FAMILY.name.into(),
        hidden,
        layers: config.size_or("num_hidden_layers", 12)?,
        heads,
        intermediate: config.size_or("intermediate_size", 1536)?,
        activation: config.activation_or("hidden_act", Activation::Gelu)?,
        norm_eps: config.epsilon_or("layer_norm_eps", 1e-5)?,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image_or(config, 224, 16, image)?),
        pooler: false,
        layer_scale: true,
        hidden_dropout: 0.0,
        attention_dropout: config.dropout_or("attention_dropout", 0.0)?,
        drop_path: 0.0,
        axes: Axes {
            without_position_table: true,
            positions: Positions::RotaryPatches { base },
            without_bias,
            ..Axes::default()
        },
    })
}
