//! ELECTRA (Clark et al. 2020): BERT's layout without a pooler; the embeddings of the small model
//! are narrower than its hidden states.

use budwood_base::encoder::{Activation, Axes, EncoderSpec};

use super::bert::{self, INNER, bert_like};
use super::config::Config;
use super::definition::{ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "electra",
    model_types: &["electra"],
    spec,
    prefix: "electra",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("embeddings.projection", "embeddings_project"),
    ],
    inner: INNER,
    class: "Electra",
    classifier: Some(ClassifierHead::of_two(Activation::Gelu)),
    masked_lm: Some(MaskedLmHead {
        names: &[[
            "generator_predictions.dense",
            "generator_predictions.LayerNorm",
            "generator_lm_head.bias",
        ]],
        activation: Some(Activation::Gelu),
        ..MaskedLmHead::BERT
    }),
    trusts_pooler: None,
    ..bert::FAMILY
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let pad = config.id_or("pad_token_id", 0)?;
    let mut spec = bert_like(config, "electra", 0, 1e-12, pad)?;
    let width = config.size_or("embedding_size", 128)?;
    let embedding_width = (width != spec.hidden).then_some(width);
    spec.axes = Axes { embedding_width, ..Axes::default() };
    Ok(spec)
}
