//! RoBERTa with norms before its sub-layers (Wettig et al. 2023, efficient MLM).

use budwood_base::encoder::{EncoderSpec, NormPlacement};

use super::config::Config;
use super::definition::Family;
use super::roberta;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "roberta-prelayernorm",
    model_types: &["roberta-prelayernorm"],
    spec,
    prefix: "roberta_prelayernorm",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("final_norm", "LayerNorm"),
        ("pooler", "pooler.dense"),
    ],
    inner: &[
        ("attention_norm", "attention.LayerNorm"),
        ("query", "attention.self.query"),
        ("key", "attention.self.key"),
        ("value", "attention.self.value"),
        ("attention_out", "attention.output.dense"),
        ("ffn_norm", "intermediate.LayerNorm"),
        ("ffn_in", "intermediate.dense"),
        ("ffn_out", "output.dense"),
    ],
    class: "RobertaPreLayerNorm",
    adapterhub: None,
    ..roberta::FAMILY
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let spec = roberta::spec(config)?;
    Ok(EncoderSpec { family: FAMILY.name.into(), norm: NormPlacement::Pre, ..spec })
}
