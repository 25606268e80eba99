//! What runs adapters, and what it is asked and answers.

use std::path::PathBuf;

use budwood_base::record::Prediction;
use serde::{Deserialize, Serialize};

use crate::local::Data;

/// What is to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Number of the check.
    pub check: i64,
    /// Number of the result.
    pub result: i64,
    /// Its model.
    pub model: String,
    /// The file of the weights.
    pub weights: PathBuf,
    /// The file of the description.
    pub description: PathBuf,
    /// The base model on this machine.
    pub base: String,
    /// SHA-256 of its weights.
    pub base_sha256: String,
    /// The data on this machine.
    pub data: Data,
}

/// What an evaluator found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Scores by the leaderboard's names, in its unit, with their 95 % intervals.
    pub scores: Vec<EvaluatedScore>,
    /// The answer to each example.
    pub predictions: Vec<Prediction>,
    /// Seconds that it took.
    pub seconds: f64,
    /// The machine.
    pub machine: String,
    /// The program and its version.
    pub version: String,
}

/// A score of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedScore {
    /// The metric.
    pub name: String,
    /// The value.
    pub value: f64,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// Runs adapters.
pub trait Evaluator {
    /// Evaluates an adapter on its base and data. An error is the reason why that is not possible;
    /// it is shown on the board.
    fn evaluate(&mut self, job: &Job) -> Result<Evaluation, String>;
}
