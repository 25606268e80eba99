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
}

impl Pooling {
    /// Width of the pooled vector for hidden states of width `d`.
    pub fn width(self, d: usize) -> usize {
        if self == Self::ClsMean { 2 * d } else { d }
    }
}

/// Form of a head. Tensors: `head.dense.weight [d,d]`, `head.dense.bias [d]` where there are two
/// layers, then `head.out.weight [outputs,d]`, `head.out.bias [outputs]`; the first layer's input
/// is as wide as the pooling makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadSpec {
    /// What the head does and which loss it has.
    pub kind: HeadKind,
    /// Number of outputs: classes, tags, 1 for regression, 2 for spans.
    pub outputs: usize,
    /// How the sequence is pooled; without meaning for heads over tokens.
    pub pooling: Pooling,
    /// The activation between two layers; `None` is the paper's single linear layer.
    pub dense: Option<Activation>,
    /// Whether the last layer has a bias.
    pub bias: bool,
    /// Dropout before each linear layer, in training.
    pub dropout: f32,
}

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
}

impl HeadKind {
    /// Whether every token has outputs of its own, so that nothing is pooled.
    pub fn over_tokens(self) -> bool {
        matches!(self, Self::TokenClassification | Self::QuestionAnswering)
    }

    /// Number of outputs for so many classes, labels or tags.
    pub fn outputs(self, labels: usize) -> usize {
        match self {
            Self::Regression => 1,
            Self::QuestionAnswering => 2,
            Self::Classification | Self::MultiLabel | Self::TokenClassification => labels,
        }
    }
}
