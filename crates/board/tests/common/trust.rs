//! A board whose adapters are run by a stand-in.

#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use budwood_base::digest;
use budwood_base::record::{DataDigest, Prediction};
use budwood_board::query::{self, Filter, Leaderboard, ResultPage, Row};
use budwood_board::submit::{Attachment, AttachmentLimits, Submission, Submitted, submit};
use budwood_board::token::{Actor, Role};
use budwood_board::verify::{EvaluatedScore, Evaluation, Evaluator, Finished, Job, Worker};
use budwood_board::{Board, Error, State, local};
use serde_json::{Value, json};

pub(crate) const BASE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// The digest of a split of a data set.
pub(crate) fn data(name: &str) -> String {
    digest::of_bytes(name.as_bytes())
}

pub(crate) fn owner() -> Actor {
    Actor::local("local")
}

pub(crate) fn sam() -> Actor {
    Actor { name: "sam".into(), role: Role::Submit }
}

pub(crate) fn eve() -> Actor {
    Actor { name: "eve".into(), role: Role::Submit }
}

pub(crate) fn mo() -> Actor {
    Actor { name: "mo".into(), role: Role::Moderate }
}

/// An adapter with weights of its own.
pub(crate) fn adapter(seed: u8) -> Attachment {
    let header = json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } });
    let header = header.to_string();
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.extend(f32::from(seed).to_le_bytes());
    let meta = json!({ "budwood_adapter": 1, "weights_sha256": digest::of_bytes(&weights), "method": "lora",
        "base": { "name": "tiny", "weights_sha256": BASE }, "parameters_trained": 1 });
    Attachment::new(weights, meta.to_string().into_bytes(), AttachmentLimits::default()).unwrap()
}

/// The record of a result on a split.
pub(crate) fn record(model: &str, data_name: &str, split: &str, metrics: Value) -> Submission {
    let record = json!({ "task": "News", "dataset": { "name": "20 Newsgroups", "split": split, "sha256": data(data_name) },
        "model": { "name": model }, "metrics": metrics });
    serde_json::from_value(record).unwrap()
}

pub(crate) fn accuracy(value: f64) -> Value {
    json!([{ "name": "Accuracy", "value": value }])
}

pub(crate) const NEWS: &str = "news-on-20-newsgroups";

/// Makes two splits of a data set, a toy data set and the base known.
pub(crate) fn know(board: &mut Board) {
    for (name, split) in [("test", "test"), ("dev", "dev"), ("toy", "test")] {
        let (sha256, split) = (data(name), split.into());
        let digest = DataDigest { split, source: name.into(), rows: 100, sha256, skipped: 0 };
        local::add_data(board, &digest, &json!(["--data=/x"]), &owner()).unwrap();
    }
    local::add_base(board, BASE, "tiny", &owner()).unwrap();
}

pub(crate) fn put(board: &mut Board, record: &Submission, seed: u8, who: &Actor) -> Submitted {
    submit(board, record, Some(&adapter(seed)), &[], who).unwrap()
}

/// Finds what it is told to find, and does something meanwhile.
pub(crate) struct Finds<'a> {
    pub(crate) scores: &'a [(&'a str, f64)],
    pub(crate) meanwhile: &'a mut dyn FnMut(&Job),
}

impl Evaluator for Finds<'_> {
    fn evaluate(&mut self, job: &Job) -> Result<Evaluation, String> {
        (self.meanwhile)(job);
        let score = |&(name, value): &(&str, f64)| EvaluatedScore {
            name: name.into(),
            value,
            interval: Some((value - 1.0, value + 1.0)),
        };
        // Enough examples that one of them is less than a point.
        let prediction =
            |row| Prediction { row, expected: "a".into(), predicted: "a".into(), confidence: None };
        Ok(Evaluation {
            scores: self.scores.iter().map(score).collect(),
            predictions: (0..200).map(prediction).collect(),
            seconds: 1.0,
            machine: "m".into(),
            version: "v".into(),
        })
    }
}

/// Runs all that waits.
pub(crate) fn check(board: &mut Board, scores: &[(&str, f64)]) -> Vec<Finished> {
    check_while(board, scores, &mut |_| ())
}

pub(crate) fn check_while(
    board: &mut Board,
    scores: &[(&str, f64)],
    meanwhile: &mut dyn FnMut(&Job),
) -> Vec<Finished> {
    let mut worker = Worker::begin(board).unwrap();
    let mut evaluator = Finds { scores, meanwhile };
    let mut done = Vec::new();
    while let Some(finished) = worker.next(board, &mut evaluator, None).unwrap() {
        done.push(finished);
    }
    done
}

pub(crate) fn table(board: &Board, claims: bool) -> Leaderboard {
    query::leaderboard(board, NEWS, &Filter { claims, ..Filter::default() }).unwrap()
}

pub(crate) fn row(board: &Board, id: i64, claims: bool) -> Row {
    table(board, claims).rows.into_iter().find(|r| r.result == id).unwrap()
}

pub(crate) fn page(board: &Board, id: i64) -> ResultPage {
    query::result(board, id).unwrap()
}

pub(crate) fn state(board: &Board, id: i64) -> State {
    row(board, id, false).state
}

/// Actions of the log, newest first.
pub(crate) fn actions(board: &Board) -> Vec<String> {
    let part = query::Part { offset: 0, limit: 500 };
    let log = query::log(board, &query::LogFilter::default(), part).unwrap();
    log.items.into_iter().map(|e| e.action).collect()
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn conflict<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Conflict(why)) => why,
        other => panic!("no conflict: {other:?}"),
    }
}
