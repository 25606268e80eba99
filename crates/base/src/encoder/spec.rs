//! Sizes and switches of an encoder.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::activation::Activation;
use super::axes::{Axes, Ffn};
use super::input::InputSpec;
use crate::digest;
use crate::site::{Sublayer, WeightSite};

/// Sizes and switches of one frozen encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderSpec {
    /// Name of the family, as in `formats::family`: `bert`, `roberta`, `distilbert`, `vit`, ...
    pub family: String,
    /// Width of the residual stream (d).
    pub hidden: usize,
    /// Number of layers (L).
    pub layers: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width inside the feed-forward network.
    pub intermediate: usize,
    /// Activation of the feed-forward network.
    pub activation: Activation,
    /// Epsilon of every layer norm.
    pub norm_eps: f32,
    /// Where the layer norms stand.
    pub norm: NormPlacement,
    /// What the encoder reads.
    pub input: InputSpec,
    /// Whether the checkpoint holds a tanh pooler over the first token.
    pub pooler: bool,
    /// Whether each sub-layer's output is multiplied by a learned vector (DINOv2's layer scale).
    pub layer_scale: bool,
    /// Dropout after the embeddings and after each sub-layer's output product.
    pub hidden_dropout: f32,
    /// Dropout on attention probabilities.
    pub attention_dropout: f32,
    /// Stochastic depth in training (Huang et al. 2016): probability of skipping a sub-layer in the
    /// top layer. See [`EncoderSpec::drop_path_at`].
    #[serde(default)]
    pub drop_path: f32,
    /// Where it is other than BERT and ViT.
    #[serde(default, skip_serializing_if = "Axes::is_default")]
    pub axes: Axes,
}

impl EncoderSpec {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// The part of it that changes answers, as JSON: without dropout, which acts in training only,
    /// and the padding token, which is never fed.
    pub fn acting(&self) -> Value {
        // By way of the text, in which numbers of 32 bits are as short as people write them.
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            for field in ["hidden_dropout", "attention_dropout", "drop_path"] {
                map.remove(field);
            }
        }
        if let Some(Value::Object(input)) = value.get_mut("input") {
            input.remove("pad_id");
        }
        value
    }

    /// SHA-256 of [`EncoderSpec::acting`].
    pub fn sha256(&self) -> String {
        digest::of_json(&self.acting())
    }

    /// Probability of skipping a sub-layer of a layer: it rises from 0 in the lowest layer to
    /// `drop_path` in the top layer by equal steps, as in DeiT's and NOAH's training.
    pub fn drop_path_at(&self, layer: usize) -> f32 {
        self.drop_path * layer as f32 / (self.layers.max(2) - 1) as f32
    }

    /// Layers that have weights, and sites, of their own: all, or the one that all are.
    pub fn own_layers(&self) -> usize {
        if self.axes.shared_layers { self.layers.min(1) } else { self.layers }
    }

    /// Width of the embeddings' tables.
    pub fn embedding_width(&self) -> usize {
        self.axes.embedding_width.unwrap_or(self.hidden)
    }

    /// Whether a norm follows the embeddings.
    pub fn has_embedding_norm(&self) -> bool {
        self.axes.embedding_norm.unwrap_or(matches!(self.input, InputSpec::Text(_)))
    }

    /// Whether a sub-layer has a norm.
    pub fn has_norm(&self, layer: usize, sublayer: Sublayer) -> bool {
        layer > 0 || sublayer == Sublayer::Ffn || !self.axes.without_first_norm
    }

    /// Whether a product has a bias.
    pub fn has_bias(&self, site: WeightSite) -> bool {
        !self.axes.without_bias.contains(&site)
    }

    /// Tokens to each side that a token attends to in a layer; none where it attends to all.
    pub fn window(&self, layer: usize) -> Option<usize> {
        let window = self.axes.window?;
        (!layer.is_multiple_of(window.every)).then_some(window.reach)
    }

    /// `[outputs, inputs]` of the weight at a site.
    pub fn site_shape(&self, site: WeightSite) -> [usize; 2] {
        match site {
            WeightSite::FfnIn if self.axes.ffn == Ffn::Gated => {
                [2 * self.intermediate, self.hidden]
            }
            WeightSite::FfnIn => [self.intermediate, self.hidden],
            WeightSite::FfnOut => [self.hidden, self.intermediate],
            _ => [self.hidden, self.hidden],
        }
    }

    /// Multiplications of a token with the weights at the sites of all layers.
    pub fn multiplications(&self) -> usize {
        let weights = WeightSite::ALL.map(|site| self.site_shape(site).iter().product::<usize>());
        self.layers * weights.iter().sum::<usize>()
    }
}

/// Where a layer's norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// After the residual sum, as in BERT.
    Post,
    /// Before each sub-layer, with a final norm after the last layer, as in ViT.
    Pre,
}
