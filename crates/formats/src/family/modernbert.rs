//! ModernBERT (Warner et al. 2024), and mmBERT and Ettin, which share its layout: rotary positions,
//! windows of attention in two of three layers, gated feed-forward networks, norms before the
//! sub-layers, no biases.

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, Ffn, InputSpec, NormPlacement, Positions, TextInput, Window,
};
use budwood_base::site::WeightSite;
use budwood_base::tokenizer::Frame;
use serde_json::json;

use super::config::Config;
use super::definition::Family;
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
    // A norm stands between its two layers.
    classifier: None,
    trusts_pooler: None,
    adapterhub: None,
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    config.expect("rope_scaling", &[])?;
    config.expect("classifier_pooling", &[json!("cls"), json!("mean")])?;
    let layers = config.size("num_hidden_layers")?;
    let every = config.size_or("global_attn_every_n_layers", 3)?;
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
    let base = config.base_or("global_rope_theta", 160_000.0)?;
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
                window_base: config.base_or("local_rope_theta", f64::from(base))?,
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
