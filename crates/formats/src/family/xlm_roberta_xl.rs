//! XLM-R XL and XXL (Goyal et al. 2021): RoBERTa with norms before its sub-layers and none after
//! the embeddings.

use budwood_base::encoder::{Axes, EncoderSpec, NormPlacement};

use super::config::Config;
use super::definition::Family;
use super::roberta;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "xlm-roberta-xl",
    model_types: &["xlm-roberta-xl"],
    spec,
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("final_norm", "encoder.LayerNorm"),
        ("pooler", "pooler.dense"),
    ],
    inner: &[
        ("attention_norm", "attention.self_attn_layer_norm"),
        ("query", "attention.self.query"),
        ("key", "attention.self.key"),
        ("value", "attention.self.value"),
        ("attention_out", "attention.output.dense"),
        ("ffn_norm", "LayerNorm"),
        ("ffn_in", "intermediate.dense"),
        ("ffn_out", "output.dense"),
    ],
    class: "XLMRobertaXL",
    adapterhub: None,
    ..roberta::FAMILY
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let spec = roberta::spec(config)?;
    let axes = Axes { embedding_norm: Some(false), ..Axes::default() };
    let norm_eps = config.epsilon_or("layer_norm_eps", 1e-5)?;
    Ok(EncoderSpec { family: FAMILY.name.into(), norm: NormPlacement::Pre, norm_eps, axes, ..spec })
}
