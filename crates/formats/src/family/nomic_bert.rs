//! Nomic's BERT (Nussbaum et al. 2024): BERT with rotary positions, a gated feed-forward network
//! and no biases. `transformers` reads it by code of the model's own.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, Ffn, InputSpec, NormPlacement, Positions, TextInput,
};
use budwood_base::site::WeightSite;
use serde_json::{Value, json};

use super::bert;
use super::config::Config;
use super::definition::{ClassifierHead, Family};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "nomic_bert",
    model_types: &["nomic_bert"],
    spec,
    outer: &[
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.token_type", "embeddings.token_type_embeddings.weight"),
        ("embeddings.norm", "emb_ln"),
        ("pooler", "pooler.dense"),
    ],
    layer: "encoder.layers.{i}",
    inner: &[
        ("attention_out", "attn.out_proj"),
        ("attention_norm", "norm1"),
        ("ffn_out", "mlp.fc2"),
        ("ffn_norm", "norm2"),
    ],
    fused: &[("attn.Wqkv", &["query", "key", "value"])],
    // The half that the activation reads, and the half that it gates.
    parted: &[("ffn_in", &["mlp.fc12", "mlp.fc11"])],
    class: "NomicBert",
    classifier: Some(ClassifierHead::OVER_POOLER),
    masked_lm: None,
    trusts_pooler: None,
    adapterhub: None,
    ..bert::FAMILY
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("n_embd")?, config.size("n_head")?);
    config.check(hidden, heads)?;
    let (off, one_each) = ([json!(false)], [json!(heads)]);
    let fixed: [(&str, &[Value]); 12] = [
        ("prenorm", &off),
        ("causal", &off),
        ("parallel_block", &off),
        ("use_rms_norm", &off),
        ("rotary_emb_interleaved", &off),
        ("rotary_emb_scale_base", &[]),
        ("scale_attn_weights", &[json!(true)]),
        ("scale_attn_by_inverse_layer_idx", &off),
        ("rotary_head_dim", &off),
        ("norm_mlp", &off),
        ("num_heads_kv", &one_each),
        ("num_experts", &[json!(0)]),
    ];
    for (field, values) in fixed {
        config.expect(field, values)?;
    }
    let base = config.base_or("rotary_emb_base", 1000.0)?;
    Ok(EncoderSpec {
        family: FAMILY.name.into(),
        hidden,
        layers: config.size("n_layer")?,
        heads,
        intermediate: config.size("n_inner")?,
        activation: activation(config)?,
        norm_eps: config.epsilon_or("layer_norm_epsilon", 1e-5)?,
        norm: NormPlacement::Post,
        input: InputSpec::Text(TextInput {
            vocab: config.size("vocab_size")?,
            positions: positions(config)?,
            position_offset: 0,
            token_types: config.count_or("type_vocab_size", 2)?,
            pad_id: config.id_or("pad_token_id", 0)?,
        }),
        pooler: false,
        layer_scale: false,
        hidden_dropout: config.dropout_or("resid_pdrop", 0.1)?,
        attention_dropout: config.dropout_or("attn_pdrop", 0.1)?,
        drop_path: 0.0,
        axes: Axes {
            without_position_table: true,
            positions: Positions::Rotary {
                base,
                window_base: base,
                width: rotary_width(config, hidden / heads)?,
            },
            ffn: Ffn::Gated,
            without_bias: without_bias(config)?,
            ..Axes::default()
        },
    })
}

/// Its own code has swiglu, geglu and glu for gated networks, and names of plain ones.
fn activation(config: &Config<'_>) -> Result<Activation, Error> {
    match config.json.get("activation_function").and_then(Value::as_str) {
        Some("swiglu") => Ok(Activation::Silu),
        Some("geglu") => Ok(Activation::Gelu),
        Some("glu") => Ok(Activation::Sigmoid),
        other => {
            let other = other.unwrap_or("missing");
            Err(config.fault(format!(
                "field 'activation_function' is {other}; only swiglu, geglu and glu exist here"
            )))
        }
    }
}

/// The products without a bias.
fn without_bias(config: &Config<'_>) -> Result<Vec<WeightSite>, Error> {
    let [query, key, value] = WeightSite::ATTENTION_INPUTS;
    let attention = [query, key, value, WeightSite::AttentionOut];
    let products: [(&str, &[WeightSite]); 3] = [
        ("qkv_proj_bias", &attention),
        ("mlp_fc1_bias", &[WeightSite::FfnIn]),
        ("mlp_fc2_bias", &[WeightSite::FfnOut]),
    ];
    let mut without = Vec::new();
    for (field, sites) in products {
        if !config.flag_or(field, true)? {
            without.extend(sites);
        }
    }
    Ok(without)
}

/// How many elements of a head of this width are turned by their position.
fn rotary_width(config: &Config<'_>, head: usize) -> Result<usize, Error> {
    let fraction = config.number_or("rotary_emb_fraction", 0.0)?;
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(config.fault(format!(
            "field 'rotary_emb_fraction' is {fraction}; only rotary positions, above 0 and up to 1, exist here"
        )));
    }
    config.even_head_dim((head as f64 * fraction) as usize)
}

/// How long an input may be.
fn positions(config: &Config<'_>) -> Result<usize, Error> {
    let positions = config.size("n_positions")?;
    let scaling = config.number_or("rotary_scaling_factor", 0.0)?;
    if !(0.0..1e6).contains(&scaling) {
        return Err(config.fault(format!(
            "field 'rotary_scaling_factor' is {scaling}, not a number from 0 on and below 10^6"
        )));
    }
    if scaling == 0.0 {
        return Ok(positions);
    }
    // The base grows with inputs that are longer than those of training; those are left out.
    Ok(positions.min(config.size_or("max_trained_positions", 2048)?))
}
