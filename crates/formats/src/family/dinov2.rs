//! DINOv2 (Oquab et al. 2023): ViT with layer scale; with a gated feed-forward network in its giant
//! model, and with registers in later ones (Darcet et al. 2024). The mask token of its pre-training
//! is not read.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, Ffn, ImageAxes, ImageInput, InputSpec, NormPlacement,
    PositionResize,
};
use budwood_base::head::Pooling;
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family};
use super::vit::{image, image_or};
use crate::Error;

/// Registers of a model at most; those that exist have 4.
const REGISTERS_MOST: usize = 1 << 10;

const fn inner([ffn_in, ffn_out]: [&'static str; 2]) -> [(&'static str, &'static str); 10] {
    [
        ("attention_norm", "norm1"),
        ("query", "attention.attention.query"),
        ("key", "attention.attention.key"),
        ("value", "attention.attention.value"),
        ("attention_out", "attention.output.dense"),
        ("attention_scale", "layer_scale1.lambda1"),
        ("ffn_norm", "norm2"),
        ("ffn_in", ffn_in),
        ("ffn_out", ffn_out),
        ("ffn_scale", "layer_scale2.lambda1"),
    ]
}

const INNER: &[(&str, &str)] = &inner(["mlp.fc1", "mlp.fc2"]);
const GATED_INNER: &[(&str, &str)] = &inner(["mlp.weights_in", "mlp.weights_out"]);

pub(super) const FAMILY: Family = Family {
    name: "dinov2",
    model_types: &["dinov2"],
    spec,
    prefix: "dinov2",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings.projection"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.position", "embeddings.position_embeddings"),
        ("final_norm", "layernorm"),
    ],
    layer: "encoder.layer.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "Dinov2",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead { pooling: Pooling::ClsMean, ..ClassifierHead::OVER_FIRST }),
    masked_lm: None,
    trusts_pooler: None,
    // AdapterHub has no DINOv2: these are the names that its ViT would give.
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention_adapters.adapters"), Some("output.output_adapters.adapters")],
        prefix: "self_prefix",
        has_models: false,
    }),
};

/// DINOv2-giant, whose feed-forward network is gated.
pub(super) const GATED: Family =
    Family { name: "dinov2_swiglu", model_types: &[], spec: gated, inner: GATED_INNER, ..FAMILY };

pub(super) const WITH_REGISTERS: Family = Family {
    name: "dinov2_with_registers",
    model_types: &["dinov2_with_registers"],
    spec: with_registers,
    prefix: "dinov2_with_registers",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings.projection"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.registers", "embeddings.register_tokens"),
        ("embeddings.position", "embeddings.position_embeddings"),
        ("final_norm", "layernorm"),
    ],
    class: "Dinov2WithRegisters",
    adapterhub: None,
    ..FAMILY
};

pub(super) const WITH_REGISTERS_GATED: Family = Family {
    name: "dinov2_with_registers_swiglu",
    model_types: &[],
    spec: with_registers_gated,
    inner: GATED_INNER,
    ..WITH_REGISTERS
};

fn gated(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    Ok(as_gated("dinov2_swiglu", spec(config)?))
}

fn with_registers(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let position_resize = PositionResize::Antialiased;
    let axes =
        ImageAxes { registers: registers(config, 4)?, position_resize, ..ImageAxes::default() };
    sizes(config, "dinov2_with_registers", image_or(config, 224, 16, axes)?)
}

/// Register tokens, with the default that `transformers` has.
pub(super) fn registers(config: &Config<'_>, default: usize) -> Result<usize, Error> {
    let registers = config.count_or("num_register_tokens", default)?;
    if registers <= REGISTERS_MOST {
        return Ok(registers);
    }
    let message = format!("field 'num_register_tokens' is {registers}, above {REGISTERS_MOST}");
    Err(config.fault(message))
}

fn with_registers_gated(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    Ok(as_gated("dinov2_with_registers_swiglu", with_registers(config)?))
}

/// The gated form: two thirds of the width, to the next multiple of 8; SiLU whatever `hidden_act`.
fn as_gated(family: &str, spec: EncoderSpec) -> EncoderSpec {
    let intermediate = (spec.intermediate * 2 / 3).div_ceil(8) * 8;
    let axes = Axes { ffn: Ffn::Gated, ..spec.axes.clone() };
    EncoderSpec { family: family.into(), intermediate, activation: Activation::Silu, axes, ..spec }
}

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    sizes(config, "dinov2", image(config, false)?)
}

fn sizes(config: &Config<'_>, family: &str, image: ImageInput) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    if !config.flag_or("qkv_bias", true)? {
        let message = "'qkv_bias' is false; only queries, keys and values with a bias exist here";
        return Err(config.fault(message));
    }
    let ratio = config.number_or("mlp_ratio", 4.0)?;
    let intermediate = hidden as f64 * ratio;
    if !(1.0..f64::from(1 << 30)).contains(&intermediate) {
        return Err(
            config.fault(format!(
                "field 'mlp_ratio' is {ratio}, which is not a sensible ratio of a 'hidden_size' of {hidden}"
            ))
        );
    }
    Ok(EncoderSpec {
        family: family.into(),
        hidden,
        layers: config.size("num_hidden_layers")?,
        heads,
        intermediate: intermediate as usize,
        activation: config.activation_or("hidden_act", Activation::Gelu)?,
        norm_eps: config.epsilon_or("layer_norm_eps", 1e-6)?,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image),
        pooler: false,
        layer_scale: true,
        hidden_dropout: config.dropout_or("hidden_dropout_prob", 0.0)?,
        attention_dropout: config.dropout_or("attention_probs_dropout_prob", 0.0)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}
