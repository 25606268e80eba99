//! Re-evaluation: the board runs a result's adapter itself and compares.
//!
//! Checks stand in a queue on the board. One worker at a time works on it, and holds a lock that
//! the system frees however the worker ends: what it was at is then taken up again. The evaluator
//! is handed in, as this crate knows no model; it gets files by hash, a base and data that the
//! board's owner named, and nothing else that a submitter wrote.

mod compare;
mod evaluator;
mod outcome;
mod queue;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::PathBuf;

use budwood_base::digest;
use budwood_database::{Connection, params};
use serde::Serialize;
use serde_json::{Value, json};

use crate::db::now;
use crate::local::{self, Data};
use crate::log::{Entry, Subject};
use crate::state::{Change, change};
use crate::submit::put;
use crate::text::without_folders;
use crate::{Board, Error, State, query, setting, summary};

use compare::{compare, differing, digest_of};
pub use evaluator::{EvaluatedScore, Evaluation, Evaluator, Job};
pub use outcome::{Measured, MeasuredOn, Outcome};
pub use queue::{ask, ask_all};
pub(crate) use queue::{give_up, queue, queue_measured};

/// A check that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finished {
    /// Number of the check.
    pub check: i64,
    /// Number of the result.
    pub result: i64,
    /// Its model.
    pub model: String,
    /// State before.
    pub before: State,
    /// What came out.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Times that a check is begun, at most: what kills its worker three times is not tried again.
const ATTEMPTS: i64 = 3;

/// The right to work on a board's checks: one at a time has it.
pub struct Worker {
    _lock: Option<File>,
    /// When whose adapter was run last, counted in checks.
    turns: HashMap<Option<String>, u64>,
}

impl Worker {
    /// Takes the right. Checks that another worker had begun and not ended are waiting again.
    ///
    /// # Errors
    /// If another worker is alive.
    pub fn begin(board: &mut Board) -> Result<Self, Error> {
        let lock = lock(board)?;
        let transaction = board.write()?;
        transaction.execute(
            "UPDATE checks SET progress = 'failed', finished_at = ?2, error = ?3
             WHERE progress = 'running' AND attempts >= ?1",
            params![
                ATTEMPTS,
                now(),
                format!("the worker was ended {ATTEMPTS} times during this check")
            ],
        )?;
        transaction
            .execute("UPDATE checks SET progress = 'waiting' WHERE progress = 'running'", &[])?;
        transaction.commit()?;
        Ok(Self { _lock: lock, turns: HashMap::new() })
    }

    /// Does the next waiting check, or the one of that number; none if there is none. Submitters
    /// take turns: who sent many adapters, or slow ones, makes others wait for one check of theirs
    /// at a time.
    ///
    /// # Errors
    /// If the board cannot be written. What an evaluator cannot do is not an error here: it is the
    /// check's outcome.
    pub fn next(
        &mut self,
        board: &mut Board,
        evaluator: &mut dyn Evaluator,
        only: Option<i64>,
    ) -> Result<Option<Finished>, Error> {
        let transaction = board.write()?;
        let Some((check, result)) = self.turn(&transaction, only)? else { return Ok(None) };
        transaction.execute(
            "UPDATE checks SET progress = 'running', attempts = attempts + 1 WHERE id = ?1",
            params![check],
        )?;
        let subjected = subjected(&transaction, check, result)?;
        transaction.commit()?;
        let evaluation = match job(board, check, result)? {
            Ok(job) => evaluator.evaluate(&job).map(|e| (job.data, e)),
            Err(reason) => Err(reason),
        };
        finish(board, check, result, &subjected, evaluation).map(Some)
    }

    /// The check whose turn it is, and its result: the oldest of the submitter who has waited for
    /// the most turns.
    fn turn(&mut self, sql: &Connection, only: Option<i64>) -> Result<Option<(i64, i64)>, Error> {
        let query = "SELECT c.id, c.result, r.submitter FROM checks c JOIN results r ON r.id = c.result
             WHERE c.id IN (SELECT min(x.id) FROM checks x JOIN results y ON y.id = x.result
                            WHERE x.progress = 'waiting' AND (CAST(?1 AS BIGINT) IS NULL OR x.id = ?1)
                            GROUP BY y.submitter)";
        let first: Vec<(i64, i64, Option<String>)> =
            sql.query(query, params![only], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let last = |whose: &Option<String>| self.turns.get(whose).copied().unwrap_or(0);
        let next = first.into_iter().min_by_key(|(check, _, whose)| (last(whose), *check));
        let Some((check, result, whose)) = next else { return Ok(None) };
        let turn = 1 + self.turns.values().max().copied().unwrap_or(0);
        self.turns.insert(whose, turn);
        Ok(Some((check, result)))
    }
}

/// Takes the place of the one worker, which ends with the process however that ends: by a locked
/// file, or by a claim on the server.
fn lock(board: &Board) -> Result<Option<File>, Error> {
    let busy = || {
        Error::Refused(
            "another process is at work on this board's checks; it will do the waiting ones too"
                .into(),
        )
    };
    if board.sql().is_server() {
        return if board.database().claim("checks")? { Ok(None) } else { Err(busy()) };
    }
    let path = board.folder().join("worker.lock");
    let io = |source| Error::Io { path: path.clone(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(busy()),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// What a check is of: what is claimed, the adapter and the data. If one of them is another at the
/// check's end, the check was of something that is gone.
#[derive(PartialEq, Eq)]
struct Subjected {
    content: String,
    adapter: Option<String>,
    data: Option<String>,
    /// How far the check is, and how often it was begun.
    turn: (String, i64),
}

fn subjected(sql: &Connection, check: i64, result: i64) -> Result<Subjected, Error> {
    let query = "SELECT r.content, r.adapter_sha256, r.data_sha256, c.progress, c.attempts
                 FROM results r JOIN checks c ON c.id = ?2 WHERE r.id = ?1";
    Ok(sql.one(query, params![result, check], |r| {
        let turn = (r.get(3)?, r.get(4)?);
        Ok(Subjected { content: r.get(0)?, adapter: r.get(1)?, data: r.get(2)?, turn })
    })?)
}

/// The files of a result's adapter, and the base model on this machine that they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// The file of the weights.
    pub weights: PathBuf,
    /// The file of the description.
    pub description: PathBuf,
    /// SHA-256 of the weights of its base model.
    pub base_sha256: String,
    /// That model on this machine, if it is known.
    base: Option<String>,
}

impl Adapter {
    /// The base model on this machine.
    ///
    /// # Errors
    /// A sentence for readers, if it is not known.
    pub fn base(&self) -> Result<&str, String> {
        self.base.as_deref().ok_or_else(|| {
            format!(
                "its base model {} is not known here; `budwood board base add MODEL` makes it known",
                self.base_sha256
            )
        })
    }
}

/// What is needed to run the adapter of a result, or why it cannot be run anywhere.
///
/// # Errors
/// If there is no such result, or the board cannot be read.
pub fn adapter(board: &Board, result: i64) -> Result<Result<Adapter, String>, Error> {
    let base: Option<String> = board
        .sql()
        .first("SELECT base_sha256 FROM results WHERE id = ?1", params![result], |r| r.get(0))?
        .ok_or_else(|| Error::missing("result", result))?;
    let file = |name: &str| -> Result<Option<PathBuf>, Error> {
        let hash: Option<String> = board.sql().first(
            "SELECT sha256 FROM result_files WHERE result = ?1 AND name = ?2",
            params![result, name],
            |r| r.get(0),
        )?;
        hash.map(|hash| board.file(&hash)).transpose()
    };
    let (weights, description) = (file("adapter.safetensors")?, file("adapter.json")?);
    let (Some(weights), Some(description)) = (weights, description) else {
        return Ok(Err("its adapter is not here".into()));
    };
    // What is said here is shown to readers, who need not know where the board lies.
    for path in [&weights, &description] {
        let named = path.file_name().map(|n| n.to_string_lossy().into_owned());
        match digest::of_file(path) {
            Ok(hash) if Some(&hash) == named.as_ref() => {}
            Ok(_) => {
                return Ok(Err("a file of its adapter was changed on disk".into()));
            }
            Err(e) => return Ok(Err(format!("a file of its adapter cannot be read: {e}"))),
        }
    }
    let Some(base_sha256) = base else {
        return Ok(Err("it does not say by hash which base model it is for".into()));
    };
    let base = local::base_of(board, &base_sha256)?;
    Ok(Ok(Adapter { weights, description, base_sha256, base }))
}

/// The job of a check, or why there is none.
fn job(board: &Board, check: i64, result: i64) -> Result<Result<Job, String>, Error> {
    let found = adapter(board, result)?.and_then(|a| Ok((a.base()?.to_owned(), a)));
    let (base, Adapter { weights, description, base_sha256, .. }) = match found {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    // Whoever does not say which data means those of the leaderboard, if the split is not another.
    let (model, data): (String, Option<String>) = board.sql().one("SELECT r.model, coalesce(r.data_sha256, CASE WHEN r.split IN ('', l.data_split) THEN l.data_sha256 END)
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard WHERE r.id = ?1", params![result], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let Some(data_sha256) = data else {
        return Ok(Err(
            "it does not say by hash which data it was scored on, and its leaderboard names none for its split".into(),
        ));
    };
    let Some(data) = local::data_of(board, &data_sha256)? else {
        return Ok(Err(format!(
            "its data {data_sha256} are not known here; `budwood board data add` makes them known"
        )));
    };
    Ok(Ok(Job { check, result, model, weights, description, base, base_sha256, data }))
}

/// Writes down what came out, in one transaction. What changed while the check was running is
/// looked at in it.
fn finish(
    board: &mut Board,
    check: i64,
    result: i64,
    begun: &Subjected,
    evaluation: Result<(Data, Evaluation), String>,
) -> Result<Finished, Error> {
    let claimed = query::predictions(board, result, false)?;
    let before = query::predictions(board, result, true)?;
    let transaction = board.write()?;
    let (model, state, leaderboard): (String, State, i64) = transaction.one(
        "SELECT model, state, leaderboard FROM results WHERE id = ?1",
        params![result],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
    )?;
    let mut finished = Finished { check, result, model, before: state, outcome: None, error: None };
    let now_subjected = subjected(&transaction, check, result)?;
    if now_subjected.turn != begun.turn {
        // The connection that held this worker's right was cut meanwhile.
        return Err(Error::Conflict(format!("another worker took check {check} over")));
    }
    let compared = if state == State::Retracted {
        Err("the result was taken back".into())
    } else if now_subjected != *begun {
        Err("the result changed while it was checked; ask again".into())
    } else {
        evaluation.and_then(|(data, e)| {
            let metrics =
                compare(&transaction, result, leaderboard, &e).map_err(|e| e.to_string())?;
            if metrics.iter().all(|m| m.1.confirmed.is_none()) {
                return Err("the evaluation gives none of the metrics that are claimed".into());
            }
            Ok((data, e, metrics))
        })
    };
    let (data, evaluation, metrics) = match compared {
        Ok(all) => all,
        Err(reason) => {
            // Everyone reads what stands on the board; whoever runs the check learns the whole of
            // it.
            let shown = without_folders(&reason);
            transaction.execute(
                "UPDATE checks SET progress = 'failed', finished_at = ?2, error = ?3 WHERE id = ?1",
                params![check, now(), shown],
            )?;
            note(&transaction, &finished, "check failed", &shown, Value::Null)?;
            transaction.commit()?;
            finished.error = Some(reason);
            return Ok(finished);
        }
    };
    transaction.execute(
        "UPDATE results SET data_sha256 = ?2 WHERE id = ?1 AND data_sha256 IS NULL",
        params![result, data.sha256],
    )?;
    let good = metrics.iter().all(|m| m.1.confirmed.unwrap_or(true));
    let what = match (good, setting::is_named(&transaction, result)?) {
        (false, _) => Change::Refute,
        (true, true) => Change::Confirm,
        (true, false) => Change::ConfirmElsewhere,
    };
    let new_state = change(&transaction, result, what)?;
    put_measured(&transaction, result, &metrics)?;
    put::predictions(&transaction, result, "measured", &evaluation.predictions)?;
    let outcome = Outcome {
        state: new_state,
        metrics: metrics.into_iter().map(|m| m.1).collect(),
        data: Some(MeasuredOn { sha256: data.sha256, split: data.split }),
        rows: evaluation.predictions.len() as u64,
        flipped: differing(&claimed, &evaluation.predictions),
        changed: differing(&before, &evaluation.predictions),
        predictions_sha256: digest_of(&evaluation.predictions),
        seconds: evaluation.seconds,
        machine: evaluation.machine,
        version: evaluation.version,
    };
    let json = serde_json::to_value(&outcome).unwrap_or_default();
    transaction.execute(
        "UPDATE checks SET progress = 'done', finished_at = ?2, outcome = ?3 WHERE id = ?1",
        params![check, now(), json.to_string()],
    )?;
    note(&transaction, &finished, new_state.name(), "", json)?;
    summary::refresh_around(&transaction, leaderboard)?;
    transaction.commit()?;
    finished.outcome = Some(outcome);
    Ok(finished)
}

/// Writes what was measured beside the claims. What an earlier check measured and this one did not
/// is a claim again.
fn put_measured(sql: &Connection, result: i64, metrics: &[(i64, Measured)]) -> Result<(), Error> {
    sql.execute(
        "UPDATE scores SET measured = NULL, confirmed = NULL, low = NULL, high = NULL
         WHERE result = ?1 AND measured IS NOT NULL",
        params![result],
    )?;
    for (metric, measured) in metrics {
        sql.execute(
            "UPDATE scores SET measured = ?3, confirmed = ?4, low = ?5, high = ?6
             WHERE result = ?1 AND metric = ?2",
            params![
                result,
                metric,
                measured.measured,
                measured.confirmed,
                measured.interval.map(|i| i.0),
                measured.interval.map(|i| i.1)
            ],
        )?;
    }
    Ok(())
}

fn note(
    sql: &Connection,
    finished: &Finished,
    action: &str,
    reason: &str,
    outcome: Value,
) -> Result<(), Error> {
    Entry {
        who: "board",
        action,
        subject: Subject::Result,
        id: Some(finished.result),
        name: &finished.model,
        reason,
        details: json!({ "check": finished.check, "before": finished.before, "outcome": outcome }),
    }
    .write(sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Actor;

    /// Who sends many adapters does not stand before all others with all of them.
    #[test]
    fn submitters_take_turns() {
        struct Nothing;
        impl Evaluator for Nothing {
            fn evaluate(&mut self, _: &Job) -> Result<Evaluation, String> {
                Err("not run".into())
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut board = Board::open(folder.path()).expect("a board");
        let mut model = |who: &str, i: usize| {
            let record = serde_json::json!({
                "task": "T", "dataset": { "name": "D" }, "metrics": [{ "name": "Accuracy", "value": "1.0" }],
                "model": { "name": format!("{who}{i}") },
            });
            let submission = serde_json::from_value(record).expect("a record");
            let actor = Actor::local(who);
            let done = crate::submit::submit(&mut board, &submission, None, &[], &actor);
            let id = done.expect("a result").result;
            queue(board.sql(), id, who).expect("a check");
        };
        for i in 0..4 {
            model("many", i);
        }
        model("one", 0);
        model("two", 0);
        model("two", 1);
        let mut worker = Worker::begin(&mut board).expect("the lock");
        let mut order = Vec::new();
        while let Some(done) = worker.next(&mut board, &mut Nothing, None).expect("a check") {
            order.push(done.model);
        }
        assert_eq!(order, ["many0", "one0", "two0", "many1", "two1", "many2", "many3"]);
    }
}
