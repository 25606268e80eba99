//! What came out of a re-evaluation.

use serde::{Deserialize, Serialize};

use crate::State;

/// What came out of a re-evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The state that it led to.
    pub state: State,
    /// Each metric that the evaluation gives and the leaderboard has.
    pub metrics: Vec<Measured>,
    /// The data that it was measured on; not known of checks by older programs.
    #[serde(default)]
    pub data: Option<MeasuredOn>,
    /// Examples.
    pub rows: u64,
    /// Examples whose prediction is not that of the claim; none if the claim came without
    /// predictions.
    pub flipped: Option<u64>,
    /// Examples whose prediction is not that of the check before; none for the first.
    pub changed: Option<u64>,
    /// SHA-256 over the predictions.
    pub predictions_sha256: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// The machine, as its system describes it.
    pub machine: String,
    /// The program and its version.
    pub version: String,
}

/// The data of a re-evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredOn {
    /// SHA-256 over the examples.
    pub sha256: String,
    /// The split, as the board's owner named it.
    pub split: String,
}

/// A metric of a re-evaluation, in the leaderboard's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// The claim.
    pub claimed: Option<f64>,
    /// What was measured.
    pub measured: f64,
    /// What was measured in the check before.
    pub before: Option<f64>,
    /// 95 % interval, by bootstrap over the examples.
    pub interval: Option<(f64, f64)>,
    /// The largest difference that confirms the claim.
    pub tolerance: f64,
    /// Whether it does; none without a claim.
    pub confirmed: Option<bool>,
}
