//! The shapes that `bench` knows, as the `config.json` of the models that have them.

use std::path::Path;

use anyhow::{Result, ensure};
use budwood_base::encoder::EncoderSpec;
use budwood_formats::family::{self, Config};
use clap::ValueEnum;
use serde_json::{Value, json};

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Shape {
    /// 12 layers x 768.
    BertBase,
    /// 6 layers x 384.
    Minilm,
    /// 12 layers x 768, with disentangled attention.
    DebertaV3Base,
    /// 12 layers x 768, embeddings of the same width.
    ElectraBase,
    /// 22 layers x 768; two of three layers look at 128 tokens.
    ModernbertBase,
    /// 12 layers x 768, with a relative bias.
    MpnetBase,
    /// 12 layers x 768 over patches of 16 x 16 pixels.
    VitBase,
}

impl Shape {
    pub(super) fn spec(self) -> Result<EncoderSpec> {
        let json = self.config();
        let config = Config { path: Path::new("the shape"), json: &json };
        Ok((family::of(&config)?.spec)(&config)?)
    }

    /// What differs from [`base`], which is what most models of this size share.
    fn config(self) -> Value {
        let own = match self {
            Shape::BertBase => json!({ "model_type": "bert" }),
            Shape::Minilm => json!({
                "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6,
                "intermediate_size": 1536,
            }),
            // The settings of microsoft/deberta-v3-base.
            Shape::DebertaV3Base => json!({
                "model_type": "deberta-v2", "vocab_size": 128_100, "type_vocab_size": 0,
                "layer_norm_eps": 1e-7, "relative_attention": true, "position_buckets": 256,
                "max_relative_positions": -1, "norm_rel_ebd": "layer_norm", "share_att_key": true,
                "pos_att_type": "p2c|c2p", "position_biased_input": false,
            }),
            Shape::ElectraBase => json!({ "model_type": "electra", "embedding_size": 768 }),
            // The settings of answerdotai/ModernBERT-base.
            Shape::ModernbertBase => json!({
                "model_type": "modernbert", "vocab_size": 50368, "num_hidden_layers": 22,
                "intermediate_size": 1152, "hidden_activation": "gelu", "norm_eps": 1e-5,
                "max_position_embeddings": 8192, "global_attn_every_n_layers": 3,
                "local_attention": 128, "global_rope_theta": 160_000.0,
                "local_rope_theta": 10_000.0, "pad_token_id": 50283,
            }),
            Shape::MpnetBase => json!({
                "model_type": "mpnet", "vocab_size": 30527, "max_position_embeddings": 514,
                "relative_attention_num_buckets": 32, "pad_token_id": 1,
            }),
            Shape::VitBase => json!({
                "model_type": "vit", "image_size": 224, "patch_size": 16, "num_channels": 3,
                "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
            }),
        };
        let mut config = base();
        if let (Value::Object(config), Value::Object(own)) = (&mut config, own) {
            config.extend(own);
        }
        config
    }
}

fn base() -> Value {
    json!({
        "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "pad_token_id": 0,
    })
}

/// The shape of the model that a `config.json` describes.
pub(super) fn of_file(file: &Path) -> Result<EncoderSpec> {
    let spec = family::spec_of(file)?;
    ensure!(spec.layers <= MOST, "{}: {} layers; at most {MOST}", file.display(), spec.layers);
    Ok(spec)
}

/// Layers that are measured at most: their weights are made in memory.
const MOST: usize = 1000;
