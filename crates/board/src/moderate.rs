//! Changes to what is on the board. Nothing is deleted, and each change is in the log with its reason.

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use crate::direction::{Direction, DirectionSource};
use crate::log::{Entry, Subject};
use crate::text::key;
use crate::token::{Actor, Role};
use crate::{Board, Error, State, summary};

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
    let transaction = board.write()?;
    let found: Option<(i64, String, Option<String>, State)> = transaction
        .query_row(
            "SELECT leaderboard, model, submitter, state FROM results WHERE id = ?1",
            [result],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)),
        )
        .optional()?;
    let (leaderboard, model, submitter, state) =
        found.ok_or_else(|| Error::missing("result", result))?;
    let own = submitter.as_deref() == Some(&actor.name);
    actor.needs(if own { Role::Submit } else { Role::Moderate }, "take this result back")?;
    transaction.execute(
        "UPDATE results SET state = ?2 WHERE id = ?1",
        params![result, State::Retracted],
    )?;
    Entry {
        who: &actor.name,
        action: "retract",
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

/// Sets which values of a leaderboard's metric are better, or how far a measured value may be from the claim.
///
/// # Errors
/// If there is no such leaderboard or metric, or whoever asks is no moderator.
pub fn set_metric(
    board: &mut Board,
    leaderboard: &str,
    metric: &str,
    direction: Option<Direction>,
    tolerance: Option<f64>,
    reason: &str,
    actor: &Actor,
) -> Result<(), Error> {
    actor.needs(Role::Moderate, "change a metric")?;
    if tolerance.is_some_and(|t| !(t.is_finite() && t >= 0.0)) {
        return Err(Error::input("tolerance", "must be a number from 0 on"));
    }
    let transaction = board.write()?;
    let board_id: i64 = transaction
        .query_row("SELECT id FROM leaderboards WHERE slug = ?1", [leaderboard], |r| r.get(0))
        .optional()?
        .ok_or_else(|| Error::missing("leaderboard", leaderboard))?;
    let before: Option<(i64, Direction, Option<f64>)> = transaction
        .query_row(
            "SELECT id, direction, tolerance FROM metrics WHERE leaderboard = ?1 AND name_key = ?2",
            params![board_id, key(metric)],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
        .optional()?;
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
    let details: Value = json!({
        "before": { "direction": old, "tolerance": old_tolerance },
        "after": { "direction": direction.unwrap_or(old), "tolerance": tolerance.or(old_tolerance) },
    });
    let name = format!("{leaderboard}: {metric}");
    Entry {
        who: &actor.name,
        action: "set metric",
        subject: Subject::Metric,
        id: Some(id),
        name: &name,
        reason,
        details,
    }
    .write(&transaction)?;
    summary::refresh(&transaction, board_id)?;
    transaction.commit()?;
    Ok(())
}
