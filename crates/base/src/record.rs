//! What identifies a run's inputs and states its outcome: the frozen model, the data, the scores.

use serde::{Deserialize, Serialize};

/// One split of a data set, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDigest {
    /// `train`, `dev` or `test`.
    pub split: String,
    /// Where it came from, as the user wrote it.
    pub source: String,
    /// Number of examples.
    pub rows: u64,
    /// SHA-256 over the examples in order, after reading: independent of the file's format.
    pub sha256: String,
}

/// Identity of a frozen model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseId {
    /// Name or path as the user wrote it.
    pub name: String,
    /// Family of the encoder.
    pub family: String,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of the tokenizer; `None` for image models.
    pub tokenizer_sha256: Option<String>,
}

/// One score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// The split it was measured on.
    pub split: String,
    /// Name of the metric, as in `tasks::metric`.
    pub name: String,
    /// The value; shares as fractions of 1.
    pub value: f64,
    /// Whether this metric chose the checkpoint.
    pub primary: bool,
    /// Examples behind the value.
    pub rows: u64,
}
