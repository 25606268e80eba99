//! The record of one run: what was trained on what, how, and what came out. Training writes it,
//! the store keeps it, reports and the board read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::method::MethodSpec;

/// One finished (or failed) run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// SHA-256 of the run's specification: equal specifications are the same run.
    pub id: String,
    /// Name of the task, such as `cola` or the data file's stem.
    pub task: String,
    /// Kind of the task: `classification`, `regression`, ...
    pub task_kind: String,
    /// The data, one entry a split.
    pub data: Vec<DataDigest>,
    /// The frozen model.
    pub base: BaseId,
    /// The method with all its options.
    pub method: MethodSpec,
    /// Everything that the training loop was told.
    pub training: BTreeMap<String, Value>,
    /// Seed of initialisation, order and dropout.
    pub seed: u64,
    /// Parameters trained, head included.
    pub parameters_trained: u64,
    /// Of which in the head.
    pub parameters_head: u64,
    /// Parameters of the base model.
    pub parameters_base: u64,
    /// Scores.
    pub metrics: Vec<MetricValue>,
    /// Wall time of training in seconds.
    pub seconds: f64,
    /// Largest resident memory of the process in bytes; 0 where unknown.
    pub peak_bytes: u64,
    /// SHA-256 of the adapter's weights; `None` for a run that kept none.
    pub adapter_sha256: Option<String>,
    /// Bytes of the adapter on disk.
    pub adapter_bytes: u64,
    /// Version of the program and facts on the machine.
    pub environment: BTreeMap<String, String>,
    /// End of the run, RFC 3339 in UTC.
    pub finished_at: String,
    /// Why the run failed, for one that did.
    pub error: Option<String>,
}

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
