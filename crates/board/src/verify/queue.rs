//! Checks that are asked for, and those that are given up.

use budwood_database::{Connection, params};
use serde_json::json;

use crate::access::Act;
use crate::db::now;
use crate::log::{Entry, Subject};
use crate::token::Actor;
use crate::{Board, Error, State};

/// Asks for the re-evaluation of a result; the number of the check. If one is waiting or running,
/// it is that one.
///
/// # Errors
/// If there is no such result, its adapter is not here, or whoever asks may not.
pub fn ask(board: &mut Board, result: i64, actor: &Actor) -> Result<i64, Error> {
    let transaction = board.write()?;
    let (state, submitter, model): (State, Option<String>, String) = transaction
        .first("SELECT state, submitter, model FROM results WHERE id = ?1", params![result], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?
        .ok_or_else(|| Error::missing("result", result))?;
    actor.may_with(Act::Ask, submitter.as_deref())?;
    if state == State::Retracted {
        return Err(Error::Conflict(format!("result {result} was taken back")));
    }
    let files: i64 = transaction.one(
        "SELECT count(*) FROM result_files WHERE result = ?1",
        params![result],
        |r| r.get(0),
    )?;
    if files < 2 {
        return Err(Error::Conflict(format!(
            "result {result} has no adapter here, so there is nothing to run; submit it again with its folder"
        )));
    }
    let before = open(&transaction, result)?;
    let id = queue(&transaction, result, &actor.name)?;
    if before.is_none() {
        Entry {
            who: &actor.name,
            action: Act::Ask.logged(),
            subject: Subject::Result,
            id: Some(result),
            name: &model,
            reason: "",
            details: json!({ "check": id }),
        }
        .write(&transaction)?;
    }
    transaction.commit()?;
    Ok(id)
}

fn open(sql: &Connection, result: i64) -> Result<Option<i64>, Error> {
    Ok(sql.first(
        "SELECT id FROM checks WHERE result = ?1 AND progress IN ('waiting', 'running')",
        params![result],
        |r| r.get(0),
    )?)
}

/// Asks again for what was measured by a metric of a leaderboard; how many results these are.
pub(crate) fn queue_measured(
    sql: &Connection,
    leaderboard: i64,
    metric: i64,
    who: &str,
) -> Result<u64, Error> {
    let results: Vec<i64> = sql.query("SELECT DISTINCT r.id FROM results r JOIN scores s ON s.result = r.id AND s.metric = ?2
             WHERE r.leaderboard = ?1 AND s.measured IS NOT NULL AND r.state <> 'retracted' ORDER BY r.id", params![leaderboard, metric], |r| r.get(0))?;
    for &result in &results {
        queue(sql, result, who)?;
    }
    Ok(results.len() as u64)
}

/// Gives up the waiting check of a result that was taken back. One that is running finds that out
/// at its end.
pub(crate) fn give_up(sql: &Connection, result: i64) -> Result<(), Error> {
    sql.execute("UPDATE checks SET progress = 'failed', finished_at = ?2, error = 'the result was taken back'
         WHERE result = ?1 AND progress = 'waiting'", params![result, now()])?;
    Ok(())
}

/// The number of a result's open check, which is made if there is none.
pub(crate) fn queue(sql: &Connection, result: i64, who: &str) -> Result<i64, Error> {
    if let Some(id) = open(sql, result)? {
        return Ok(id);
    }
    Ok(sql.add(
        "INSERT INTO checks (result, progress, asked_at, asked_by) VALUES (?1, 'waiting', ?2, ?3)",
        params![result, now(), who],
    )?)
}

/// Asks for the re-evaluation of every result whose adapter is here; how many these are.
///
/// # Errors
/// If whoever asks may not, or the board cannot be written.
pub fn ask_all(board: &mut Board, actor: &Actor) -> Result<u64, Error> {
    actor.may(Act::AskAll)?;
    let whole = "SELECT r.id FROM results r WHERE r.state <> 'retracted'
         AND (SELECT count(*) FROM result_files f WHERE f.result = r.id) >= 2 ORDER BY r.id";
    let results: Vec<i64> = board.sql().query(whole, &[], |r| r.get(0))?;
    for &result in &results {
        ask(board, result, actor)?;
    }
    Ok(results.len() as u64)
}
