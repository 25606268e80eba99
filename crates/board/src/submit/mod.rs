//! Putting results on the board.
//!
//! A [`Submission`] is the record of one result; `docs/board.md` shows it as JSON. It is checked,
//! its leaderboard is found or made, and it comes onto the board once: the same again, or the same
//! `external_id`, is recognised.

mod attachment;
pub(crate) mod put;
mod record;
mod run;
mod synchronize;

use budwood_base::record::Prediction;
use budwood_database::{Connection, params};
use serde::Serialize;
use serde_json::json;

pub use crate::files::tidy;
pub use attachment::{Attachment, Limits as AttachmentLimits};
pub use record::{AdapterOf, BaseOf, Claim, DatasetOf, ModelOf, PaperOf, Submission};
pub use run::{from_run, scale};
pub use synchronize::{Body, Synchronization, Synchronized, synchronize};

pub(crate) use put::{Place, find_or_make, put_result};
pub(crate) use record::is_hash;

use crate::access::Act;
use crate::log::{Entry, Subject};
use crate::setting::{NamedData, split_key};
use crate::state::{Change, change};
use crate::token::Actor;
use crate::{Board, Error, State, moderate, summary, verify};

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

/// Puts a result on the board, with its adapter and its predictions if they come with it. All of it
/// or nothing. A result with its adapter is put into the queue of re-evaluations.
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
    actor.may(Act::Submit)?;
    submission.check()?;
    if let Some(attachment) = attachment {
        attachment.check(submission)?;
    }
    let content = submission.content();
    let files = board.files();
    let transaction = board.write()?;
    let (submitted, placed) = match look_up(&transaction, submission, &content, actor)? {
        Found::There(there) => match attachment {
            Some(attachment) if there.state == State::Claimed => {
                may_attach(&transaction, there.result, actor)?;
                let state = change(&transaction, there.result, Change::Attach)?;
                let reason = "the adapter was attached";
                log(&transaction, actor, Act::Attach, there.result, submission, reason)?;
                (Submitted { state, ..there }, Some(attachment))
            }
            _ => return Ok(there),
        },
        Found::Place(place) => {
            let state = if attachment.is_some() { State::Attached } else { State::Claimed };
            let id = put_result(&transaction, &place, submission, &content, state, &actor.name)?;
            log(&transaction, actor, Act::Submit, id, submission, "")?;
            if place.new && actor.may(Act::NameData).is_ok() {
                name_with(&transaction, place.leaderboard, submission, actor)?;
            }
            let leaderboard = put::slug(&transaction, place.leaderboard)?;
            (Submitted { result: id, leaderboard, new: true, state }, attachment)
        }
    };
    let result = submitted.result;
    // Files come last, when nothing is left that could refuse the submission.
    put::predictions(&transaction, result, "claimed", predictions)?;
    let placed = match placed {
        None => None,
        Some(attachment) => {
            attachment.record(&transaction, result, submission)?;
            verify::queue(&transaction, result, &actor.name)?;
            Some(attachment.place(&transaction, &files)?)
        }
    };
    let leaderboard: i64 =
        transaction
            .one("SELECT leaderboard FROM results WHERE id = ?1", params![result], |r| r.get(0))?;
    summary::refresh_around(&transaction, leaderboard)?;
    // A commit that fails leaves them to `tidy`: by then another submission may have the same
    // files.
    if let Some(placed) = placed {
        placed.stay();
    }
    transaction.commit()?;
    Ok(submitted)
}

/// What a submission meets.
enum Found {
    /// The board has it.
    There(Submitted),
    /// It is new.
    Place(Place),
}

fn look_up(
    sql: &Connection,
    submission: &Submission,
    content: &str,
    actor: &Actor,
) -> Result<Found, Error> {
    if let Some(external) = &submission.external_id
        && let Some(id) = by_external_id(sql, external)?
    {
        return known(sql, id, content, external).map(Found::There);
    }
    let place = find_or_make(sql, submission, actor)?;
    match by_content(sql, place.leaderboard, content)? {
        Some(id) => known(sql, id, content, "").map(Found::There),
        None => Ok(Found::Place(place)),
    }
}

/// Whoever may name a leaderboard's data does so by making it with a result that says its own.
fn name_with(
    sql: &Connection,
    leaderboard: i64,
    submission: &Submission,
    actor: &Actor,
) -> Result<(), Error> {
    let split = split_key(submission.dataset.split.as_deref().unwrap_or_default());
    let Some(sha256) = submission.dataset.sha256.clone().filter(|_| !split.is_empty()) else {
        return Ok(());
    };
    let reason = "the leaderboard was made with a result on these data";
    let data = NamedData { sha256, split };
    moderate::put_data(sql, leaderboard, Some(&data), reason, actor).map(|_| ())
}

/// A claim gets its adapter from whoever made it: another's could be made to miss.
fn may_attach(sql: &Connection, id: i64, actor: &Actor) -> Result<(), Error> {
    let submitter: Option<String> =
        sql.one("SELECT submitter FROM results WHERE id = ?1", params![id], |r| r.get(0))?;
    actor.may_with(Act::Attach, submitter.as_deref()).map_err(|e| match e {
        Error::Refused(why) => Error::Refused(format!(
            "{why}. Result {id} says the same; for a row of your own, say which adapter it is of \
             (model.adapter.sha256)"
        )),
        other => other,
    })
}

fn by_external_id(sql: &Connection, id: &str) -> Result<Option<i64>, Error> {
    Ok(sql.first("SELECT id FROM results WHERE external_id = ?1", params![id], |r| r.get(0))?)
}

/// The result of a leaderboard that says the same.
fn by_content(sql: &Connection, leaderboard: i64, content: &str) -> Result<Option<i64>, Error> {
    Ok(sql.first(
        "SELECT id FROM results WHERE leaderboard = ?1 AND content = ?2",
        params![leaderboard, content],
        |r| r.get(0),
    )?)
}

/// A result that the board has. The same `external_id` with another content is an error here;
/// `synchronize` merges.
fn known(sql: &Connection, id: i64, content: &str, external: &str) -> Result<Submitted, Error> {
    let (found, slug, state): (String, String, State) = sql.one("SELECT r.content, l.slug, r.state FROM results r JOIN leaderboards l ON l.id = r.leaderboard WHERE r.id = ?1", params![id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    if !external.is_empty() && found != content {
        return Err(taken(external, id, &slug));
    }
    Ok(Submitted { result: id, leaderboard: slug, new: false, state })
}

/// An `external_id` is one result's on the whole board.
fn taken(external: &str, id: i64, leaderboard: &str) -> Error {
    Error::Conflict(format!(
        "the external_id '{external}' is result {id} on {leaderboard}, which says something else; give a new external_id"
    ))
}

fn log(
    sql: &Connection,
    actor: &Actor,
    act: Act,
    id: i64,
    submission: &Submission,
    reason: &str,
) -> Result<(), Error> {
    let details = json!({ "task": submission.task, "dataset": submission.dataset.name, "metrics": submission.metrics });
    let name = &submission.model.name;
    Entry {
        who: &actor.name,
        action: act.logged(),
        subject: Subject::Result,
        id: Some(id),
        name,
        reason,
        details,
    }
    .write(sql)
}
