//! MPNet (Song et al. 2020): BERT's layout with RoBERTa's positions, no token types, and biases of
//! scores by distance.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, InputSpec, Positions, TextInput};
use budwood_base::tokenizer::Frame;
use serde_json::json;

use super::bert::{self, text_like};
use super::config::Config;
use super::definition::{ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "mpnet",
    model_types: &["mpnet"],
    spec,
    prefix: "mpnet",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("relative.table", "encoder.relative_attention_bias.weight"),
        ("pooler", "pooler.dense"),
    ],
    inner: &[
        ("query", "attention.attn.q"),
        ("key", "attention.attn.k"),
        ("value", "attention.attn.v"),
        ("attention_out", "attention.attn.o"),
        ("attention_norm", "attention.LayerNorm"),
        ("ffn_in", "intermediate.dense"),
        ("ffn_out", "output.dense"),
        ("ffn_norm", "output.LayerNorm"),
    ],
    class: "MPNet",
    frame: Frame {
        tokens: &[["<s>", "</s>", "[UNK]"], ["<s>", "</s>", "<unk>"]],
        doubled: true,
        types: false,
        spaced_words: false,
    },
    classifier: Some(ClassifierHead::of_two(Activation::Tanh)),
    masked_lm: Some(MaskedLmHead::ROBERTA),
    trusts_pooler: None,
    adapterhub: None,
    ..bert::FAMILY
};

/// Buckets and the distance at which they end, both in the code of `transformers` and nowhere else.
const BUCKETS: usize = 32;
const REACH: usize = 128;
/// The padding id, after which positions begin there whatever the configuration says.
const PADDING: u32 = 1;

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    config.expect("relative_attention_num_buckets", &[json!(BUCKETS)])?;
    let positions = config.size("max_position_embeddings")?;
    let input = TextInput {
        vocab: config.size("vocab_size")?,
        positions,
        position_offset: PADDING as usize + 1,
        token_types: 0,
        pad_id: config.id_or("pad_token_id", PADDING)?,
    };
    if positions <= input.position_offset {
        return Err(config.fault("max_position_embeddings leaves no position for a token"));
    }
    let axes =
        Axes { positions: Positions::Bias { buckets: BUCKETS, reach: REACH }, ..Axes::default() };
    Ok(EncoderSpec { axes, ..text_like(config, FAMILY.name, InputSpec::Text(input), 1e-12)? })
}
