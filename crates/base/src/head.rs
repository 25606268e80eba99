//! What stands on top of the encoder.

use serde::{Deserialize, Serialize};

use crate::encoder::Activation;

/// How a sequence of hidden states becomes one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The checkpoint's own pooler, frozen: BERT's product and tanh over the first token (the
    /// paper's choice), SigLIP's attention over all tokens.
    Pooler,
    /// The first token.
    Cls,
    /// The mean over all tokens.
    Mean,
    /// The first token, then the mean over all others but registers: twice the width. What
    /// `transformers` classifies images by with DINOv2.
    ClsMean,
    /// The mean over all tokens but class token and registers, before the encoder's final norm.
    /// What `transformers` classifies images by with CLIP.
    PatchMean,
}

impl Pooling {
    /// Width of the pooled vector for hidden states of width `d`.
    pub fn width(self, d: usize) -> usize {
        if self == Self::ClsMean { 2 * d } else { d }
    }
}

/// Form of a head. Tensors: `head.dense.weight [d,d]`, `head.dense.bias [d]` where there are two
/// layers, `head.norm.weight [d]`, `head.norm.bias [d]` where a norm stands between them, then
/// `head.out.weight [outputs,d]`, `head.out.bias [outputs]`; the first layer's input is as wide as
/// the pooling makes it. The last layer of a head for words is the encoder's table of words, so
/// that it has no weight of its own, and its input is as wide as that table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadSpec {
    /// What the head does and which loss it has.
    pub kind: HeadKind,
    /// Number of outputs: classes, tags, 1 for regression, 2 for spans, the vocabulary for words.
    pub outputs: usize,
    /// How the sequence is pooled; without meaning for heads over tokens.
    pub pooling: Pooling,
    /// The activation between two layers; `None` is the paper's single linear layer.
    pub dense: Option<Activation>,
    /// Whether the last layer has a bias.
    pub bias: bool,
    /// Dropout before each linear layer, in training.
    pub dropout: f32,
    /// Whether the first of two layers has no bias.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dense_without_bias: bool,
    /// The norm between two layers, after the activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<HeadNorm>,
}

/// The layer norm between the two layers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadNorm {
    /// What is added to the variance.
    pub eps: f32,
    /// Whether it has a bias.
    pub bias: bool,
}

impl HeadSpec {
    /// One linear layer with a bias, and no dropout.
    pub fn linear(kind: HeadKind, outputs: usize, pooling: Pooling) -> Self {
        Self {
            kind,
            outputs,
            pooling,
            dense: None,
            bias: true,
            dropout: 0.0,
            dense_without_bias: false,
            norm: None,
        }
    }

    /// The head as it answers: dropout acts in training alone.
    #[must_use]
    pub fn acting(&self) -> Self {
        Self { dropout: 0.0, ..self.clone() }
    }

    /// Its tensors with their shapes, on an encoder of this width whose table of words is so wide.
    /// None if a width is beyond any number.
    pub fn tensors(&self, hidden: usize, words: usize) -> Option<Vec<(&'static str, Vec<usize>)>> {
        let pooled = match self.kind.over_tokens() {
            true => hidden,
            false => hidden.checked_mul(self.pooling.width(1))?,
        };
        let tied = self.kind == HeadKind::MaskedLm;
        let inner = match (&self.dense, tied) {
            (Some(_), true) => words,
            (Some(_), false) => hidden,
            (None, _) => pooled,
        };
        let tensors = [
            ("head.dense.weight", self.dense.map(|_| vec![inner, pooled])),
            (
                "head.dense.bias",
                self.dense.filter(|_| !self.dense_without_bias).map(|_| vec![inner]),
            ),
            ("head.norm.weight", self.norm.map(|_| vec![inner])),
            ("head.norm.bias", self.norm.filter(|n| n.bias).map(|_| vec![inner])),
            ("head.out.weight", (!tied).then(|| vec![self.outputs, inner])),
            ("head.out.bias", self.bias.then(|| vec![self.outputs])),
        ];
        Some(tensors.into_iter().filter_map(|(name, shape)| Some((name, shape?))).collect())
    }
}

/// Names of all tensors that a head may have.
pub const TENSORS: [&str; 6] = [
    "head.dense.weight",
    "head.dense.bias",
    "head.norm.weight",
    "head.norm.bias",
    "head.out.weight",
    "head.out.bias",
];

/// What a head does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One of several classes; softmax cross-entropy.
    Classification,
    /// Any number of several labels; a sigmoid each.
    MultiLabel,
    /// One real number; squared error.
    Regression,
    /// One of several tags for each token; softmax cross-entropy.
    TokenClassification,
    /// Start and end of an answer; softmax cross-entropy over positions.
    QuestionAnswering,
    /// The word that belongs at each masked place, by the encoder's own table of words; softmax
    /// cross-entropy over the vocabulary.
    MaskedLm,
}

impl HeadKind {
    /// Whether every token has outputs of its own, so that nothing is pooled.
    pub fn over_tokens(self) -> bool {
        matches!(self, Self::TokenClassification | Self::QuestionAnswering | Self::MaskedLm)
    }

    /// Whether its outputs have names of their own: classes, labels or tags.
    pub fn has_labels(self) -> bool {
        matches!(self, Self::Classification | Self::MultiLabel | Self::TokenClassification)
    }

    /// Number of outputs for so many classes, labels, tags or words.
    pub fn outputs(self, labels: usize) -> usize {
        match self {
            Self::Regression => 1,
            Self::QuestionAnswering => 2,
            Self::Classification
            | Self::MultiLabel
            | Self::TokenClassification
            | Self::MaskedLm => labels,
        }
    }
}
