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
    /// To --min-lr on half a wave.
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

/// The recipe of a run. Runs in a record that name none are the paper's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum RecipeChoice {
    /// Begins from a linear probe, trains as long and as fast as the rows suggest, and keeps what
    /// held-out rows prefer.
    #[default]
    Auto,
    /// As auto, with vectors that are trained on pairs of rows first.
    Contrastive,
    /// Houlsby et al. 2019, to the letter.
    Paper,
}

/// What is done with rows that have no label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum MissingChoice {
    /// They end the run.
    #[default]
    Error,
    /// They are left out and counted.
    Drop,
}

/// Where the output of frozen layers is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CacheChoice {
    /// In memory.
    #[default]
    Memory,
    /// In a file beside the checkpoint.
    Disk,
    /// Nowhere.
    Off,
}
