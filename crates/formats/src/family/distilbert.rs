//! DistilBERT (Sanh et al. 2019): BERT without token types and pooler, under other names.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, InputSpec, NormPlacement, TextInput};
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "distilbert",
    model_types: &["distilbert"],
    spec,
    prefix: "distilbert",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
    ],
    layer: "transformer.layer.{i}",
    inner: &[
        ("query", "attention.q_lin"),
        ("key", "attention.k_lin"),
        ("value", "attention.v_lin"),
        ("attention_out", "attention.out_lin"),
        ("attention_norm", "sa_layer_norm"),
        ("ffn_in", "ffn.lin1"),
        ("ffn_out", "ffn.lin2"),
        ("ffn_norm", "output_layer_norm"),
    ],
    fused: &[],
    parted: &[],
    class: "DistilBert",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead {
        dense: Some((Activation::Relu, "pre_classifier")),
        ..ClassifierHead::OVER_FIRST
    }),
    masked_lm: Some(MaskedLmHead {
        names: &[["vocab_transform", "vocab_layer_norm", "vocab_projector.bias"]],
        ..MaskedLmHead::BERT
    }),
    trusts_pooler: None,
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention_adapters.adapters"), Some("output_adapters.adapters")],
        prefix: "self",
        has_models: true,
    }),
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("dim")?, config.size("n_heads")?);
    config.check(hidden, heads)?;
    Ok(EncoderSpec {
        family: "distilbert".into(),
        hidden,
        layers: config.size("n_layers")?,
        heads,
        intermediate: config.size("hidden_dim")?,
        activation: config.activation_or("activation", Activation::Gelu)?,
        // Not in the configuration: the library has it in its code.
        norm_eps: 1e-12,
        norm: NormPlacement::Post,
        input: InputSpec::Text(TextInput {
            vocab: config.size("vocab_size")?,
            positions: config.size("max_position_embeddings")?,
            position_offset: 0,
            token_types: 0,
            pad_id: config.id_or("pad_token_id", 0)?,
        }),
        pooler: false,
        layer_scale: false,
        hidden_dropout: config.dropout_or("dropout", 0.1)?,
        attention_dropout: config.dropout_or("attention_dropout", 0.1)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}
