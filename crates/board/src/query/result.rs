//! A result's own page: its record, its evidence, its checks, its history; and the comparison of
//! two.

use budwood_base::record::Prediction;
use budwood_base::statistics::mcnemar;
use budwood_database::{Asked, Row as SqlRow, params};
use serde::Serialize;
use serde_json::Value;

use super::leaderboard::{Metric, Place, Row};
use super::log::{ask_entries, entries};
use super::{LeaderboardItem, LogEntry, LogFilter, Part};
use crate::error::OfDatabase;
use crate::evidence::{self, Calibration, ClassScores};
use crate::verify::Outcome;
use crate::{Board, Error};

/// A result's own page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultPage {
    /// Its leaderboard.
    pub leaderboard: LeaderboardItem,
    /// The leaderboard's metrics, in the order of the row's scores.
    pub metrics: Vec<Metric>,
    /// The row, ranked among re-evaluated ones.
    pub row: Row,
    /// Its rank among all, claims included.
    pub rank_of_claims: Option<u32>,
    /// Where the number was published.
    pub source_url: Option<String>,
    /// SHA-256 of the base model's weights.
    pub base_sha256: Option<String>,
    /// SHA-256 of the adapter's weights.
    pub adapter_sha256: Option<String>,
    /// SHA-256 of the examples that it was scored on.
    pub data_sha256: Option<String>,
    /// Whether those examples are on this machine, so that it can be re-evaluated.
    pub data_here: bool,
    /// Results with the same weights that are not taken back, the oldest first: who came first may
    /// be asked.
    pub same_weights: Vec<SameWeights>,
    /// The files of the adapter.
    pub files: Vec<ResultFile>,
    /// The record that was submitted.
    pub record: Option<Value>,
    /// The command that repeats the training, where the record tells its settings.
    pub command: Option<String>,
    /// Who submitted it.
    pub submitter: Option<String>,
    /// Re-evaluations, newest first.
    pub checks: Vec<Check>,
    /// Whether predictions below are the board's own; otherwise they came with the result.
    pub measured: bool,
    /// Examples with predictions.
    pub predictions: u64,
    /// Scores of each class, from the predictions.
    pub classes: Vec<ClassScores>,
    /// How confidence meets accuracy, from the predictions.
    pub calibration: Option<Calibration>,
    /// What happened to it, newest first.
    pub history: Vec<LogEntry>,
}

/// Another result with the same weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SameWeights {
    /// Its number.
    pub result: i64,
    /// Its model.
    pub model: String,
    /// When it came onto the board, in seconds since 1970.
    pub at: i64,
}

/// A file of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResultFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes: its name under `files/`.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A re-evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Its number.
    pub id: i64,
    /// `waiting`, `running`, `done` or `failed`.
    pub progress: String,
    /// When it was asked for, in seconds since 1970.
    pub asked_at: i64,
    /// By whom.
    pub asked_by: String,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// What came out.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Two results on the same examples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Examples that both got right.
    pub both_right: u64,
    /// Examples that only the first got right.
    pub only_first: u64,
    /// Examples that only the second got right.
    pub only_second: u64,
    /// Examples that neither got right.
    pub both_wrong: u64,
    /// McNemar's exact test: how likely so much imbalance is if both are equally good.
    pub mcnemar_p: f64,
    /// Examples with different answers.
    pub differing: u64,
    /// Some of these, in order.
    pub examples: Vec<Disagreement>,
}

/// An example with different answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// Number of the example in its split, from 0.
    pub row: u64,
    /// What it should be.
    pub expected: String,
    /// What the first said.
    pub first: String,
    /// What the second said.
    pub second: String,
}

/// A result by its number.
///
/// # Errors
/// If there is none.
pub fn result(board: &Board, id: i64) -> Result<ResultPage, Error> {
    let sql = board.sql();
    let missing = || Error::missing("result", id);
    let found = sql.ask(
        "SELECT r.source_url, r.base_sha256, r.adapter_sha256, r.data_sha256, r.record, r.submitter,
                r.data_sha256 IN (SELECT sha256 FROM data_sources),
                EXISTS (SELECT 1 FROM predictions WHERE result = r.id),
                EXISTS (SELECT 1 FROM result_files WHERE result = r.id),
                EXISTS (SELECT 1 FROM checks WHERE result = r.id),
                EXISTS (SELECT 1 FROM log WHERE subject = 'result' AND subject_id = r.id)
         FROM results r WHERE r.id = ?1",
        params![id],
    )?;
    let place = Place::ask(sql, id)?;
    let found = found.first(|r| {
        let texts: [Option<String>; 6] =
            [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?];
        let has: [bool; 4] = [r.get(7)?, r.get(8)?, r.get(9)?, r.get(10)?];
        Ok((texts, r.get::<Option<bool>>(6)?.unwrap_or(false), has))
    })?;
    let (
        [source_url, base_sha256, adapter_sha256, data_sha256, record, submitter],
        data_here,
        [has_predictions, has_files, has_checks, has_history],
    ) = found.ok_or_else(missing)?;
    // Most results have nothing of all this, and a question costs more than its answer.
    let ask = |has: bool, what| has.then(|| sql.ask(what, params![id])).transpose();
    let same = ask(adapter_sha256.is_some(), SAME_WEIGHTS)?;
    let evidence = ask(has_predictions, BEST_PREDICTIONS)?;
    let (files, checked) = (ask(has_files, FILES)?, ask(has_checks, CHECKS)?);
    let of_it = LogFilter { subject: Some("result".into()), id: Some(id) };
    let all = Part { offset: 0, limit: 100 };
    let history = has_history.then(|| ask_entries(sql, &of_it, all)).transpose()?;
    let (table, row, rank_of_claims) = place.read()?.ok_or_else(missing)?;
    let (measured, predictions) = read(evidence, best_predictions)?;
    let record: Option<Value> = record.and_then(|r| serde_json::from_str(&r).ok());
    Ok(ResultPage {
        leaderboard: table.item,
        metrics: table.metrics,
        row,
        rank_of_claims,
        source_url,
        base_sha256,
        adapter_sha256,
        data_sha256,
        data_here,
        same_weights: read(same, same_weights)?,
        files: read(files, files_of)?,
        command: record.as_ref().and_then(|r| r["command"].as_str()).map(Into::into),
        record,
        submitter,
        checks: read(checked, checks)?,
        measured,
        predictions: predictions.len() as u64,
        classes: evidence::classes(&predictions),
        calibration: evidence::calibration(&predictions),
        history: read(history, entries)?,
    })
}

/// The answer to a question, if it was asked.
fn read<T: Default>(
    asked: Option<Asked<'_>>,
    answer: impl FnOnce(Asked<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    asked.map_or_else(|| Ok(T::default()), answer)
}

const SAME_WEIGHTS: &str =
    "SELECT o.id, o.model, o.at FROM results r JOIN results o ON o.adapter_sha256 = r.adapter_sha256
     WHERE r.id = ?1 AND o.id <> r.id AND o.state <> 'retracted' ORDER BY o.id LIMIT 20";

fn same_weights(asked: Asked<'_>) -> Result<Vec<SameWeights>, Error> {
    Ok(asked.rows(|r| Ok(SameWeights { result: r.get(0)?, model: r.get(1)?, at: r.get(2)? }))?)
}

/// The model of a result.
///
/// # Errors
/// If there is no such result.
pub fn model(board: &Board, result: i64) -> Result<String, Error> {
    let found =
        board
            .sql()
            .first("SELECT model FROM results WHERE id = ?1", params![result], |r| r.get(0))?;
    found.ok_or_else(|| Error::missing("result", result))
}

/// The files of a result; none where there is no such result.
///
/// # Errors
/// If the board cannot be read.
pub fn files(board: &Board, result: i64) -> Result<Vec<ResultFile>, Error> {
    files_of(board.sql().ask(FILES, params![result])?)
}

const FILES: &str =
    "SELECT x.name, x.sha256, f.bytes FROM result_files x JOIN files f ON f.sha256 = x.sha256
     WHERE x.result = ?1 ORDER BY x.name";

fn files_of(asked: Asked<'_>) -> Result<Vec<ResultFile>, Error> {
    Ok(asked.rows(|r| {
        Ok(ResultFile { name: r.get(0)?, sha256: r.get(1)?, bytes: r.get::<i64>(2)? as u64 })
    })?)
}

const CHECKS: &str =
    "SELECT id, progress, asked_at, asked_by, finished_at, outcome, error FROM checks
     WHERE result = ?1 ORDER BY id DESC LIMIT 50";

fn checks(asked: Asked<'_>) -> Result<Vec<Check>, Error> {
    Ok(asked.rows(|r| {
        let outcome: Option<String> = r.get(5)?;
        Ok(Check {
            id: r.get(0)?,
            progress: r.get(1)?,
            asked_at: r.get(2)?,
            asked_by: r.get(3)?,
            finished_at: r.get(4)?,
            outcome: outcome.and_then(|o| serde_json::from_str(&o).ok()),
            error: r.get(6)?,
        })
    })?)
}

/// Asks for what [`best_predictions`] reads.
const BEST_PREDICTIONS: &str =
    "SELECT \"row\", expected, predicted, confidence, origin FROM predictions
     WHERE result = ?1 AND origin = CASE WHEN EXISTS (
       SELECT 1 FROM predictions WHERE result = ?1 AND origin = 'measured')
     THEN 'measured' ELSE 'claimed' END ORDER BY \"row\"";

/// The predictions of a result: the board's own if there are any, else those that came with it.
/// Says which.
fn best_predictions(asked: Asked<'_>) -> Result<(bool, Vec<Prediction>), Error> {
    let mut measured = false;
    let all = asked.rows(|r| {
        measured = r.get::<String>(4)? == MEASURED;
        read_prediction(r)
    })?;
    Ok((measured, all))
}

const MEASURED: &str = "measured";

/// The predictions of a result by example: those that the board measured, or those that came with
/// it.
///
/// # Errors
/// If the board cannot be read.
pub fn predictions(board: &Board, result: i64, measured: bool) -> Result<Vec<Prediction>, Error> {
    let origin = if measured { MEASURED } else { "claimed" };
    Ok(board.sql().query(
        "SELECT \"row\", expected, predicted, confidence FROM predictions
         WHERE result = ?1 AND origin = ?2 ORDER BY \"row\"",
        params![result, origin],
        read_prediction,
    )?)
}

fn read_prediction(r: &SqlRow<'_>) -> OfDatabase<Prediction> {
    Ok(Prediction {
        row: r.get::<i64>(0)? as u64,
        expected: r.get(1)?,
        predicted: r.get(2)?,
        confidence: r.get::<Option<f64>>(3)?.map(|x| x as f32),
    })
}

/// Compares two results example by example; at most `show` examples with different answers are
/// given.
///
/// # Errors
/// If one of them is missing, has no predictions, or they were not scored on the same examples.
pub fn compare(board: &Board, first: i64, second: i64, show: usize) -> Result<Comparison, Error> {
    let sql = board.sql();
    let ask_data = |id| sql.ask("SELECT data_sha256 FROM results WHERE id = ?1", params![id]);
    let ask_predictions = |id| sql.ask(BEST_PREDICTIONS, params![id]);
    let (first_data, second_data) = (ask_data(first)?, ask_data(second)?);
    let (a, b) = (ask_predictions(first)?, ask_predictions(second)?);
    let data = |id: i64, asked: Asked<'_>| -> Result<Option<String>, Error> {
        asked.first(|r| r.get(0))?.ok_or_else(|| Error::missing("result", id))
    };
    let (first_data, second_data) = (data(first, first_data)?, data(second, second_data)?);
    let same = first_data.is_some() && first_data == second_data;
    let (a, b) = (best_predictions(a)?.1, best_predictions(b)?.1);
    if !same || a.is_empty() || a.len() != b.len() {
        return Err(Error::Refused(format!(
            "results {first} and {second} have no predictions for the same examples, so they cannot be compared"
        )));
    }
    let right = |p: &Prediction| p.expected == p.predicted;
    let count = |x: bool, y: bool| {
        a.iter().zip(&b).filter(|(p, q)| right(p) == x && right(q) == y).count() as u64
    };
    let (only_first, only_second) = (count(true, false), count(false, true));
    let differing: Vec<_> = a.iter().zip(&b).filter(|(p, q)| p.predicted != q.predicted).collect();
    let examples = differing.iter().take(show).map(|(p, q)| Disagreement {
        row: p.row,
        expected: p.expected.clone(),
        first: p.predicted.clone(),
        second: q.predicted.clone(),
    });
    Ok(Comparison {
        both_right: count(true, true),
        only_first,
        only_second,
        both_wrong: count(false, false),
        mcnemar_p: mcnemar(only_first, only_second),
        differing: differing.len() as u64,
        examples: examples.collect(),
    })
}
