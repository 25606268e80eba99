//! ALBERT (Lan et al. 2020): one layer that is gone through many times, after embeddings that are
//! narrower than its hidden states.

use budwood_base::encoder::{Activation, Axes, EncoderSpec};
use budwood_base::tokenizer::Frame;
use serde_json::json;

use super::bert::{self, bert_like};
use super::config::Config;
use super::definition::{AdapterHub, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "albert",
    model_types: &["albert"],
    spec,
    prefix: "albert",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("embeddings.projection", "encoder.embedding_hidden_mapping_in"),
        ("pooler", "pooler"),
    ],
    layer: "encoder.albert_layer_groups.0.albert_layers.0",
    inner: &[
        ("query", "attention.query"),
        ("key", "attention.key"),
        ("value", "attention.value"),
        ("attention_out", "attention.dense"),
        ("attention_norm", "attention.LayerNorm"),
        ("ffn_in", "ffn"),
        ("ffn_out", "ffn_output"),
        ("ffn_norm", "full_layer_layer_norm"),
    ],
    class: "Albert",
    frame: FRAME,
    masked_lm: Some(MaskedLmHead {
        names: &[
            ["predictions.dense", "predictions.LayerNorm", "predictions.bias"],
            ["predictions.dense", "predictions.LayerNorm", "predictions.decoder.bias"],
        ],
        ..MaskedLmHead::BERT
    }),
    trusts_pooler: Some("an ALBERT with its pre-trained pooler"),
    adapterhub: Some(AdapterHub {
        // After attention, the library gives its bottleneck the sub-layer's input for its output.
        outputs: [None, Some("output_adapters.adapters")],
        prefix: "self_prefix",
        has_models: true,
    }),
    ..bert::FAMILY
};

const FRAME: Frame = Frame { tokens: &[["[CLS]", "[SEP]", "<unk>"]], ..Frame::BERT };

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    for field in ["num_hidden_groups", "inner_group_num"] {
        config.expect(field, &[json!(1)])?;
    }
    let pad = config.id_or("pad_token_id", 0)?;
    let spec = bert_like(config, "albert", 0, 1e-12, pad)?;
    Ok(EncoderSpec {
        activation: config.activation_or("hidden_act", Activation::GeluTanh)?,
        hidden_dropout: config.dropout_or("hidden_dropout_prob", 0.0)?,
        attention_dropout: config.dropout_or("attention_probs_dropout_prob", 0.0)?,
        axes: Axes {
            embedding_width: Some(config.size_or("embedding_size", 128)?),
            shared_layers: true,
            ..Axes::default()
        },
        ..spec
    })
}
