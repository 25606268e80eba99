//! ModernBERT (Warner et al. 2024), and mmBERT and Ettin, which share its layout: rotary positions,
//! windows of attention in two of three layers, gated feed-forward networks, norms before the
//! sub-layers, no biases.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, Ffn, InputSpec, NormPlacement, Positions, TextInput, Window,
};
use budwood_base::site::WeightSite;
use budwood_base::tokenizer::Frame;
use serde_json::{Value, json};

use super::config::Config;
use super::definition::{ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "modernbert",
    model_types: &["modernbert"],
    spec,
    prefix: "model",
    outer: &[
        ("embeddings.word", "embeddings.tok_embeddings.weight"),
        ("embeddings.norm", "embeddings.norm"),
        ("final_norm", "final_norm"),
    ],
    layer: "layers.{i}",
    inner: &[
        ("attention_norm", "attn_norm"),
        ("attention_out", "attn.Wo"),
        ("ffn_norm", "mlp_norm"),
        ("ffn_in", "mlp.Wi"),
        ("ffn_out", "mlp.Wo"),
    ],
    fused: &[("attn.Wqkv", &["query", "key", "value"])],
    parted: &[],
    class: "ModernBert",
    frame: Frame {
        // The second set is mmBERT's.
        tokens: &[["[CLS]", "[SEP]", "[UNK]"], ["<bos>", "<eos>", "<unk>"]],
        types: false,
        spaced_words: true,
        ..Frame::BERT
    },
    // Pooling and activation are those of models whose configuration says nothing else.
    classifier: Some(ClassifierHead {
        dense: Some((Activation::Gelu, "head.dense")),
        norm: Some("head.norm"),
        over_tokens: true,
        ..ClassifierHead::OVER_FIRST
    }),
    masked_lm: Some(MaskedLmHead {
        names: &[["head.dense", "head.norm", "decoder.bias"]],
        activation: Some(Activation::Gelu),
        bias_by_flag: true,
    }),
    trusts_pooler: None,
    adapterhub: None,
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    config.expect("rope_scaling", &[])?;
    config.expect("classifier_pooling", &[json!("cls"), json!("mean")])?;
    let layers = config.size("num_hidden_layers")?;
    let every = every(config, layers)?;
    let width = config.size_or("local_attention", 128)?;
    let mut without_bias = Vec::new();
    if !config.flag_or("attention_bias", false)? {
        without_bias.extend(WeightSite::ATTENTION_INPUTS);
        without_bias.push(WeightSite::AttentionOut);
    }
    if !config.flag_or("mlp_bias", false)? {
        without_bias.extend([WeightSite::FfnIn, WeightSite::FfnOut]);
    }
    // One value of `transformers` is dropout of the probabilities and of attention's result,
    // another that inside the feed-forward network.
    let attention_dropout = config.dropout_or("attention_dropout", 0.0)?;
    for field in ["embedding_dropout", "mlp_dropout"] {
        config.dropout_or(field, 0.0)?;
    }
    let (base, window_base) = bases(config)?;
    Ok(EncoderSpec {
        family: FAMILY.name.into(),
        hidden,
        layers,
        heads,
        intermediate: config.size("intermediate_size")?,
        activation: config.activation_or("hidden_activation", Activation::Gelu)?,
        norm_eps: config.epsilon_or("norm_eps", 1e-5)?,
        norm: NormPlacement::Pre,
        input: InputSpec::Text(TextInput {
            vocab: config.size("vocab_size")?,
            positions: config.size_or("max_position_embeddings", 8192)?,
            position_offset: 0,
            token_types: 0,
            pad_id: config.id_or("pad_token_id", 50_283)?,
        }),
        pooler: false,
        layer_scale: false,
        hidden_dropout: 0.0,
        attention_dropout,
        drop_path: 0.0,
        axes: Axes {
            without_position_table: true,
            positions: Positions::Rotary {
                base,
                window_base,
                width: config.even_head_dim(hidden / heads)?,
            },
            window: (every > 1).then_some(Window { reach: width / 2, every }),
            ffn: Ffn::Gated,
            norms_without_bias: !config.flag_or("norm_bias", false)?,
            without_first_norm: true,
            without_bias,
            ..Axes::default()
        },
    })
}

/// Every how many layers one attends to all. `transformers` 5 writes a list of kinds instead.
fn every(config: &Config<'_>, layers: usize) -> Result<usize, Error> {
    const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];
    let every = config.size_or("global_attn_every_n_layers", 3)?;
    let Some(kinds) = config.json.get("layer_types").filter(|v| !v.is_null()) else {
        return Ok(every);
    };
    let listed = kinds.as_array().map(Vec::as_slice).unwrap_or_default();
    let second = listed.iter().skip(1).position(|kind| kind == KINDS[0]);
    let every = second.map_or(listed.len().max(1), |after| after + 1);
    let as_ours = |(i, kind): (usize, &Value)| kind == KINDS[usize::from(i % every != 0)];
    if listed.len() == layers && listed.iter().enumerate().all(as_ours) {
        return Ok(every);
    }
    Err(config.fault(format!(
        "'layer_types' is {kinds}; one kind for each layer is read, {} in the first and in every n-th after it, {} else",
        KINDS[0], KINDS[1]
    )))
}

/// Bases of rotary positions: of layers that attend to all, and of those with a window.
fn bases(config: &Config<'_>) -> Result<(f32, f32), Error> {
    const DEFAULTS: (f64, f64) = (160_000.0, 10_000.0);
    let Some(kinds) = config.json.get("rope_parameters").filter(|v| !v.is_null()) else {
        let base = config.base_or("global_rope_theta", DEFAULTS.0)?;
        return Ok(match config.json.get("local_rope_theta") {
            // All layers have one.
            Some(Value::Null) => (base, base),
            _ => (base, config.base_or("local_rope_theta", DEFAULTS.1)?),
        });
    };
    // The form of `transformers` 5: one for each kind of layer, or one for all.
    let of =
        |json: &Value, default: f64| Config { path: config.path, json }.rope_parameters(default);
    let all = ["full_attention", "sliding_attention"].map(|kind| kinds.get(kind));
    match (all, kinds.as_object().map_or(0, serde_json::Map::len)) {
        ([None, None], _) => {
            let base = of(kinds, DEFAULTS.0)?;
            Ok((base, base))
        }
        ([full, sliding], n) if n == all.iter().flatten().count() => {
            let base = |json: Option<&Value>, default| json.map_or(Ok(default as f32), |j| of(j, default));
            Ok((base(full, DEFAULTS.0)?, base(sliding, DEFAULTS.1)?))
        }
        _ => Err(config.fault(format!(
            "'rope_parameters' is {kinds}; one for full_attention and one for sliding_attention exist here"
        ))),
    }
}
