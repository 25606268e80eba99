//! BERT (Devlin et al. 2019) and what shares its layout, MiniLM among them.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, InputSpec, NormPlacement, TextInput};
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "bert",
    model_types: &["bert"],
    spec,
    prefix: "bert",
    outer: OUTER,
    layer: "encoder.layer.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "Bert",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead::OVER_POOLER),
    masked_lm: Some(MaskedLmHead::BERT),
    trusts_pooler: Some("a BERT with its pre-trained pooler, as in the paper"),
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention.output.adapters"), Some("output.adapters")],
        prefix: "self_prefix",
        has_models: true,
    }),
};

pub(super) const OUTER: &[(&str, &str)] = &[
    ("embeddings.word", "embeddings.word_embeddings.weight"),
    ("embeddings.position", "embeddings.position_embeddings.weight"),
    ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
    ("embeddings.norm", "embeddings.LayerNorm"),
    ("pooler", "pooler.dense"),
];

pub(super) const INNER: &[(&str, &str)] = &[
    ("query", "attention.self.query"),
    ("key", "attention.self.key"),
    ("value", "attention.self.value"),
    ("attention_out", "attention.output.dense"),
    ("attention_norm", "attention.output.LayerNorm"),
    ("ffn_in", "intermediate.dense"),
    ("ffn_out", "output.dense"),
    ("ffn_norm", "output.LayerNorm"),
];

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let pad = config.id_or("pad_token_id", 0)?;
    bert_like(config, "bert", 0, 1e-12, pad)
}

/// Sizes and switches of BERT and of the families that differ from it in positions only.
pub(super) fn bert_like(
    config: &Config<'_>,
    family: &str,
    position_offset: usize,
    norm_eps: f64,
    pad_id: u32,
) -> Result<EncoderSpec, Error> {
    let positions = config.size("max_position_embeddings")?;
    let input = InputSpec::Text(TextInput {
        vocab: config.size("vocab_size")?,
        positions,
        position_offset,
        token_types: config.size("type_vocab_size")?,
        pad_id,
    });
    let spec = text_like(config, family, input, norm_eps)?;
    match positions > position_offset {
        true => Ok(spec),
        false => Err(config.fault("max_position_embeddings leaves no position for a token")),
    }
}

/// Sizes and switches of encoders whose configuration has BERT's fields but for what they read.
pub(super) fn text_like(
    config: &Config<'_>,
    family: &str,
    input: InputSpec,
    norm_eps: f64,
) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    Ok(EncoderSpec {
        family: family.into(),
        hidden,
        layers: config.size("num_hidden_layers")?,
        heads,
        intermediate: config.size("intermediate_size")?,
        activation: config.activation_or("hidden_act", Activation::Gelu)?,
        norm_eps: config.epsilon_or("layer_norm_eps", norm_eps)?,
        norm: NormPlacement::Post,
        input,
        pooler: true,
        layer_scale: false,
        hidden_dropout: config.dropout_or("hidden_dropout_prob", 0.1)?,
        attention_dropout: config.dropout_or("attention_probs_dropout_prob", 0.1)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}
