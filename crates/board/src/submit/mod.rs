//! Putting results on the board.
//!
//! A [`Submission`] is the record of one result; `docs/board.md` shows it as JSON. It is checked, its leaderboard is
//! found or made, and it comes onto the board once: the same again, or the same `external_id`, is recognised.

mod attachment;
pub(crate) mod put;
mod record;
mod run;
mod synchronize;

use budwood_base::record::Prediction;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::json;

pub use attachment::{Attachment, Limits as AttachmentLimits};
pub use record::{AdapterOf, BaseOf, Claim, DatasetOf, ModelOf, PaperOf, Submission};
pub use run::{from_run, metric_title, scale};
pub use synchronize::{Body, Synchronization, Synchronized, synchronize};

pub(crate) use put::{find_or_make, put_result};

use crate::log::{Entry, Subject};
use crate::token::{Actor, Role};
use crate::{Board, Error, State, summary, verify};

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// Number of the result.
    pub result: i64,
    /// Address of its leaderboard.
    pub leaderboard: String,
    /// Whether it is new; otherwise the board had it.
    pub new: bool,
    /// Its state.
    pub state: State,
}

/// Puts a result on the board, with its adapter and its predictions if they come with it. All of it or nothing.
/// A result with its adapter is put into the queue of re-evaluations.
///
/// # Errors
/// If the record is not whole, the adapter is not what the record says, or whoever submits may not.
pub fn submit(
    board: &mut Board,
    submission: &Submission,
    attachment: Option<&Attachment>,
    predictions: &[Prediction],
    actor: &Actor,
) -> Result<Submitted, Error> {
    actor.needs(Role::Submit, "submit results")?;
    submission.check()?;
    if let Some(attachment) = attachment {
        attachment.check(submission)?;
        attachment.keep(&board.files())?;
    }
    let state = if attachment.is_some() { State::Attached } else { State::Claimed };
    let content = submission.content();
    let transaction = board.write()?;
    if let Some(id) = &submission.external_id
        && let Some(found) = by_external_id(&transaction, id)?
    {
        return known(&transaction, found, &content, id);
    }
    let place = find_or_make(&transaction, submission, actor)?;
    let same = transaction
        .prepare_cached("SELECT id FROM results WHERE leaderboard = ?1 AND content = ?2")?
        .query_row(params![place.leaderboard, content], |r| r.get::<_, i64>(0))
        .optional()?;
    if let Some(id) = same {
        let submitted = known(&transaction, id, &content, "")?;
        let more = attachment.is_some() && submitted.state == State::Claimed;
        if more && let Some(attachment) = attachment {
            attachment.record(&transaction, id, submission)?;
            verify::queue(&transaction, id, &actor.name)?;
            put::set_state(&transaction, id, State::Attached)?;
            let reason = "the adapter was attached";
            log(&transaction, actor, "attach", id, submission, reason)?;
            put_predictions(&transaction, id, predictions)?;
            summary::refresh_around(&transaction, place.leaderboard)?;
            transaction.commit()?;
            return Ok(Submitted { state: State::Attached, ..submitted });
        }
        return Ok(submitted);
    }
    let id = put_result(&transaction, &place, submission, &content, state, &actor.name)?;
    if let Some(attachment) = attachment {
        attachment.record(&transaction, id, submission)?;
        verify::queue(&transaction, id, &actor.name)?;
    }
    put_predictions(&transaction, id, predictions)?;
    log(&transaction, actor, "submit", id, submission, "")?;
    summary::refresh_around(&transaction, place.leaderboard)?;
    let leaderboard = put::slug(&transaction, place.leaderboard)?;
    transaction.commit()?;
    Ok(Submitted { result: id, leaderboard, new: true, state })
}

fn by_external_id(sql: &Connection, id: &str) -> Result<Option<i64>, Error> {
    Ok(sql
        .prepare_cached("SELECT id FROM results WHERE external_id = ?1")?
        .query_row([id], |r| r.get(0))
        .optional()?)
}

/// A result that the board has. The same `external_id` with another content is an error here; `synchronize` merges.
fn known(sql: &Connection, id: i64, content: &str, external: &str) -> Result<Submitted, Error> {
    let (found, slug, state): (String, String, State) = sql
        .prepare_cached(
            "SELECT r.content, l.slug, r.state FROM results r JOIN leaderboards l ON l.id = r.leaderboard WHERE r.id = ?1",
        )?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    if !external.is_empty() && found != content {
        return Err(Error::input(
            "external_id",
            format!(
                "'{external}' is result {id}, which says something else; retract that one, or give a new external_id"
            ),
        ));
    }
    Ok(Submitted { result: id, leaderboard: slug, new: false, state })
}

fn log(
    sql: &Connection,
    actor: &Actor,
    action: &str,
    id: i64,
    submission: &Submission,
    reason: &str,
) -> Result<(), Error> {
    let details = json!({ "task": submission.task, "dataset": submission.dataset.name, "metrics": submission.metrics });
    let name = &submission.model.name;
    Entry {
        who: &actor.name,
        action,
        subject: Subject::Result,
        id: Some(id),
        name,
        reason,
        details,
    }
    .write(sql)
}

fn put_predictions(sql: &Connection, id: i64, predictions: &[Prediction]) -> Result<(), Error> {
    put::predictions(sql, id, "claimed", predictions)
}
