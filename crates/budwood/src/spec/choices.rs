//! The choices among which settings pick, by the names that files and flags use.

use serde::{Deserialize, Serialize};

/// Yes or no, where the usual answer is yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Yes.
    #[default]
    On,
    /// No.
    Off,
}

/// How the frozen weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Four bytes a weight.
    F32,
    /// One byte a weight, with a scale for each row.
    Int8,
}

/// How a sequence becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum PoolingChoice {
    /// By the checkpoint: mean for sentence encoders, pooler for a BERT with one, else the first
    /// token.
    #[default]
    Auto,
    /// The pre-trained pooler, frozen: the paper's.
    Pooler,
    /// The first token.
    Cls,
    /// The mean of all tokens.
    Mean,
    /// The first token and the mean of all others: how DINOv2 classifies images.
    ClsMean,
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleChoice {
    /// To zero on a line, as in BERT's code.
    #[default]
    Linear,
    /// To the smallest rate on half a wave.
    Cosine,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerChoice {
    /// Adam without bias correction, as in BERT's code.
    #[default]
    Bert,
    /// AdamW, with bias correction.
    Adamw,
}
