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

    /// What differs from the defaults of `transformers`.
    fn config(self) -> Value {
        match self {
            Shape::BertBase => json!({ "model_type": "bert", "vocab_size": 30522 }),
            Shape::Minilm => json!({
                "model_type": "bert", "vocab_size": 30522, "hidden_size": 384,
                "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
            }),
            // The settings of microsoft/deberta-v3-base.
            Shape::DebertaV3Base => json!({
                "model_type": "deberta-v2", "vocab_size": 128_100, "hidden_size": 768,
                "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
                "type_vocab_size": 0, "layer_norm_eps": 1e-7, "relative_attention": true,
                "position_buckets": 256, "max_relative_positions": -1,
                "norm_rel_ebd": "layer_norm", "share_att_key": true,
                "pos_att_type": "p2c|c2p", "position_biased_input": false,
            }),
            Shape::ElectraBase => json!({
                "model_type": "electra", "vocab_size": 30522, "embedding_size": 768,
                "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
            }),
            Shape::ModernbertBase => json!({ "model_type": "modernbert" }),
            Shape::MpnetBase => json!({ "model_type": "mpnet", "vocab_size": 30527 }),
            Shape::VitBase => json!({ "model_type": "vit" }),
        }
    }
}

/// The shape of the model that a `config.json` describes.
pub(super) fn of_file(file: &Path) -> Result<EncoderSpec> {
    let spec = family::spec_of(file)?;
    ensure!(spec.layers <= MOST, "{}: {} layers; at most {MOST}", file.display(), spec.layers);
    Ok(spec)
}

/// Layers that are measured at most: their weights are made in memory.
const MOST: usize = 1000;
