//! Re-evaluation: the board runs a result's adapter itself and compares.

use serde::{Deserialize, Serialize};

use crate::State;

/// What came out of a re-evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The state that it led to.
    pub state: State,
    /// Each metric that the row claims or the evaluation gives.
    pub metrics: Vec<Measured>,
    /// Examples.
    pub rows: u64,
    /// Examples whose prediction is not that of the claim; none if the claim came without predictions.
    pub flipped: Option<u64>,
    /// SHA-256 over the predictions.
    pub predictions_sha256: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// The machine, as its system describes it.
    pub machine: String,
    /// The program and its version.
    pub version: String,
}

/// A metric of a re-evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// The claim, in the leaderboard's unit.
    pub claimed: Option<f64>,
    /// What was measured, in the leaderboard's unit.
    pub measured: f64,
    /// 95 % interval, by bootstrap over the examples.
    pub interval: Option<(f64, f64)>,
    /// The largest difference that confirms the claim.
    pub tolerance: f64,
    /// Whether it does.
    pub confirmed: bool,
}
