//! Changes to what is on the board. Nothing is deleted, and each change is in the log with its
//! reason.

use budwood_database::{Connection, params};
use serde_json::{Value, json};

use crate::access::Act;
use crate::direction::{Direction, DirectionSource};
use crate::log::{Entry, Subject};
use crate::setting::{self, NamedData, split_key};
use crate::state::{Change, change};
use crate::submit::is_hash;
use crate::text::{is_hidden, key};
use crate::token::Actor;
use crate::{Board, Error, State, summary, verify};

/// Takes a result back: it stays to be seen, but is not ranked. Its submitter may, and a moderator.
///
/// # Errors
/// If there is no such result, no reason is given, or whoever asks may not.
pub fn retract(board: &mut Board, result: i64, reason: &str, actor: &Actor) -> Result<(), Error> {
    if reason.trim().is_empty() {
        return Err(Error::input(
            "reason",
            "is missing: the log keeps why a result was taken back",
        ));
    }
    readable(reason)?;
    let transaction = board.write()?;
    let found: Option<(i64, String, Option<String>, State)> = transaction.first(
        "SELECT leaderboard, model, submitter, state FROM results WHERE id = ?1",
        params![result],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)),
    )?;
    let (leaderboard, model, submitter, state) =
        found.ok_or_else(|| Error::missing("result", result))?;
    actor.may_with(Act::Retract, submitter.as_deref())?;
    change(&transaction, result, Change::Retract)?;
    verify::give_up(&transaction, result)?;
    Entry {
        who: &actor.name,
        action: Act::Retract.logged(),
        subject: Subject::Result,
        id: Some(result),
        name: &model,
        reason,
        details: json!({ "before": state }),
    }
    .write(&transaction)?;
    summary::refresh_around(&transaction, leaderboard)?;
    transaction.commit()?;
    Ok(())
}

/// Sets which values of a leaderboard's metric are better, or how far a measured value may be from
/// the claim. With another tolerance, what was measured before is measured again: nothing stays
/// confirmed by a tolerance that is gone.
///
/// # Errors
/// If there is no such leaderboard or metric, or whoever asks is not a moderator.
pub fn set_metric(
    board: &mut Board,
    leaderboard: &str,
    metric: &str,
    direction: Option<Direction>,
    tolerance: Option<f64>,
    reason: &str,
    actor: &Actor,
) -> Result<(), Error> {
    actor.may(Act::SetMetric)?;
    readable(reason)?;
    if tolerance.is_some_and(|t| !(t.is_finite() && t >= 0.0)) {
        return Err(Error::input("tolerance", "must be a number from 0 on"));
    }
    let transaction = board.write()?;
    let board_id = leaderboard_of(&transaction, leaderboard)?;
    let before: Option<(i64, Direction, Option<f64>)> = transaction.first(
        "SELECT id, direction, tolerance FROM metrics WHERE leaderboard = ?1 AND name_key = ?2",
        params![board_id, key(metric)],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
    )?;
    let (id, old, old_tolerance) = before.ok_or_else(|| Error::missing("metric", metric))?;
    if let Some(direction) = direction {
        transaction.execute(
            "UPDATE metrics SET direction = ?2, direction_source = ?3 WHERE id = ?1",
            params![id, direction, DirectionSource::User],
        )?;
    }
    if let Some(tolerance) = tolerance {
        transaction
            .execute("UPDATE metrics SET tolerance = ?2 WHERE id = ?1", params![id, tolerance])?;
    }
    let again = if tolerance.is_some_and(|t| old_tolerance != Some(t)) {
        verify::queue_measured(&transaction, board_id, id, &actor.name)?
    } else {
        0
    };
    let details: Value = json!({
        "before": { "direction": old, "tolerance": old_tolerance },
        "after": { "direction": direction.unwrap_or(old), "tolerance": tolerance.or(old_tolerance) },
        "asked again": again,
    });
    let name = format!("{leaderboard}: {metric}");
    Entry {
        who: &actor.name,
        action: Act::SetMetric.logged(),
        subject: Subject::Metric,
        id: Some(id),
        name: &name,
        reason,
        details,
    }
    .write(&transaction)?;
    summary::refresh(&transaction, &[board_id])?;
    transaction.commit()?;
    Ok(())
}

/// Names the data that a leaderboard's results are measured on, one split by its digest, in place
/// of those it named before; without data it names none. Results that were measured on the named
/// data become re-evaluated ones, others are of another setting. Says how many results change.
///
/// # Errors
/// If there is no such leaderboard, the digest is none, the split has no name, or whoever asks may
/// not.
pub fn name_data(
    board: &mut Board,
    leaderboard: &str,
    data: Option<(&str, &str)>,
    reason: &str,
    actor: &Actor,
) -> Result<u64, Error> {
    actor.may(Act::NameData)?;
    readable(reason)?;
    let data = match data {
        None => None,
        Some((sha256, _)) if !is_hash(sha256) => {
            let reason = "is not a SHA-256: 64 hexadecimal digits in lower case";
            return Err(Error::input("sha256", reason));
        }
        Some((sha256, split)) => {
            let split = split_key(split);
            if split.is_empty() || split.chars().count() > 100 || split.chars().any(is_hidden) {
                return Err(Error::input("split", "must be a name such as test or dev"));
            }
            Some(NamedData { sha256: sha256.into(), split })
        }
    };
    let transaction = board.write()?;
    let id = leaderboard_of(&transaction, leaderboard)?;
    let moved = put_data(&transaction, id, data.as_ref(), reason, actor)?;
    transaction.commit()?;
    Ok(moved)
}

/// Names a leaderboard's data inside a transaction, with its entry in the log; nothing happens if
/// it names them already.
pub(crate) fn put_data(
    sql: &Connection,
    leaderboard: i64,
    data: Option<&NamedData>,
    reason: &str,
    actor: &Actor,
) -> Result<u64, Error> {
    let before = setting::of(sql, leaderboard)?;
    if before.as_ref() == data {
        return Ok(0);
    }
    let moved = setting::set(sql, leaderboard, data)?;
    let name = crate::submit::put::slug(sql, leaderboard)?;
    Entry {
        who: &actor.name,
        action: Act::NameData.logged(),
        subject: Subject::Leaderboard,
        id: Some(leaderboard),
        name: &name,
        reason,
        details: json!({ "before": before, "after": data, "results moved": moved }),
    }
    .write(sql)?;
    summary::refresh(sql, &[leaderboard])?;
    Ok(moved)
}

fn leaderboard_of(sql: &Connection, slug: &str) -> Result<i64, Error> {
    sql.first("SELECT id FROM leaderboards WHERE slug = ?1", params![slug], |r| r.get(0))?
        .ok_or_else(|| Error::missing("leaderboard", slug))
}

/// Reasons stand in the log for ever, and are shown in terminals.
fn readable(reason: &str) -> Result<(), Error> {
    if reason.chars().count() > 2000 || reason.chars().any(|c| c != '\n' && is_hidden(c)) {
        let rule = "must have at most 2,000 letters, without control or invisible characters";
        return Err(Error::input("reason", rule));
    }
    Ok(())
}
