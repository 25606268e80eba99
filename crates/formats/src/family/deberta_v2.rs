//! DeBERTa v2 and v3 (He et al. 2021): BERT's layout with disentangled attention.

use budwood_base::encoder::{
    Activation, Axes, Disentangled, EncoderSpec, InputSpec, Positions, TextInput,
};
use budwood_base::tokenizer::Frame;
use serde_json::{Value, json};

use super::bert::{self, text_like};
use super::config::Config;
use super::definition::{ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "deberta-v2",
    model_types: &["deberta-v2"],
    spec,
    prefix: "deberta",
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.position", "embeddings.position_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("embeddings.norm", "embeddings.LayerNorm"),
        ("relative.table", "encoder.rel_embeddings.weight"),
        ("relative.norm", "encoder.LayerNorm"),
    ],
    inner: &[
        ("query", "attention.self.query_proj"),
        ("key", "attention.self.key_proj"),
        ("value", "attention.self.value_proj"),
        ("relative_key", "attention.self.pos_key_proj"),
        ("relative_query", "attention.self.pos_query_proj"),
        ("attention_out", "attention.output.dense"),
        ("attention_norm", "attention.output.LayerNorm"),
        ("ffn_in", "intermediate.dense"),
        ("ffn_out", "output.dense"),
        ("ffn_norm", "output.LayerNorm"),
    ],
    class: "DebertaV2",
    // The second set is that of v2's tokenizers by SentencePiece alone.
    frame: Frame {
        tokens: &[["[CLS]", "[SEP]", "[UNK]"], ["[CLS]", "[SEP]", "<unk>"]],
        ..Frame::BERT
    },
    classifier: Some(ClassifierHead {
        dense: Some((Activation::Gelu, "pooler.dense")),
        ..ClassifierHead::OVER_FIRST
    }),
    masked_lm: Some(MaskedLmHead {
        // The second set is that of checkpoints as they were trained (`legacy` is false).
        names: &[
            MaskedLmHead::BERT.names[0],
            MaskedLmHead::BERT.names[1],
            [
                "lm_predictions.lm_head.dense",
                "lm_predictions.lm_head.LayerNorm",
                "lm_predictions.lm_head.bias",
            ],
        ],
        ..MaskedLmHead::BERT
    }),
    trusts_pooler: None,
    ..bert::FAMILY
};

/// Rows of the table of distances for each direction at most.
const SPAN_MOST: usize = 1 << 15;

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let hidden = config.size("hidden_size")?;
    config.expect("relative_attention", &[json!(true)])?;
    if config.json.get("relative_attention").is_none_or(Value::is_null) {
        return Err(config.fault("lacks 'relative_attention'; only true exists here"));
    }
    config.expect("conv_kernel_size", &[json!(0)])?;
    config.expect("pooler_hidden_act", &["gelu", "gelu_python"].map(Value::from))?;
    config.expect("embedding_size", &[json!(hidden)])?;
    config.expect("attention_head_size", &[json!(hidden / config.size("num_attention_heads")?)])?;
    let positions = config.size_or("max_position_embeddings", 512)?;
    let input = InputSpec::Text(TextInput {
        vocab: config.size("vocab_size")?,
        positions,
        position_offset: 0,
        token_types: config.count_or("type_vocab_size", 0)?,
        pad_id: config.id_or("pad_token_id", 0)?,
    });
    let axes = Axes {
        without_position_table: !config.flag_or("position_biased_input", true)?,
        positions: Positions::Disentangled(disentangled(config, positions)?),
        ..Axes::default()
    };
    Ok(EncoderSpec { axes, ..text_like(config, FAMILY.name, input, 1e-7)? })
}

fn disentangled(config: &Config<'_>, positions: usize) -> Result<Disentangled, Error> {
    // Below 1 means the number of positions; of buckets, -1 means none.
    let below = |field: &str| config.json.get(field).is_none_or(|v| v.is_null() || *v == json!(-1));
    let reach = match below("max_relative_positions") {
        true => positions,
        false => config.size("max_relative_positions")?,
    };
    let (span, reach) = match below("position_buckets") {
        true => (reach, None),
        false => (config.size("position_buckets")?, Some(reach)),
    };
    let fits = reach.is_none_or(|reach| span >= 2 && reach > span / 2 + 1);
    if span > SPAN_MOST || reach.is_some_and(|reach| reach > 1 << 20) || !fits {
        return Err(config.fault(format!(
            "'position_buckets' and 'max_relative_positions' ask for {span} rows in each direction{}; at most {SPAN_MOST} \
             exist here, and buckets are at least 2 and end within half as many distances",
            reach.map(|reach| format!(" for {reach} distances")).unwrap_or_default()
        )));
    }
    let types = match config.json.get("pos_att_type") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(types)) => {
            types.to_lowercase().split('|').map(|t| t.trim().to_string()).collect()
        }
        Some(Value::Array(types)) => {
            types.iter().map(|t| t.as_str().unwrap_or_default().to_string()).collect()
        }
        Some(other) => return Err(config.fault(format!("field 'pos_att_type' is {other}"))),
    };
    if types.is_empty() || types.iter().any(|t| t != "c2p" && t != "p2c") {
        let types = types.join(", ");
        return Err(
            config.fault(format!("'pos_att_type' is '{types}'; only c2p and p2c exist here"))
        );
    }
    config.expect("norm_rel_ebd", &[json!("none"), json!("layer_norm")])?;
    let norm = config.json.get("norm_rel_ebd").and_then(Value::as_str) == Some("layer_norm");
    Ok(Disentangled {
        span,
        reach,
        keys: types.iter().any(|t| t == "c2p"),
        queries: types.iter().any(|t| t == "p2c"),
        shared: config.flag_or("share_att_key", false)?,
        norm,
    })
}
