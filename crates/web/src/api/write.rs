//! What programs write: results, and whole leaderboards.

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use budwood_board::submit::{self, Attachment, AttachmentLimits, Submission, Synchronization};
use budwood_board::token::{self, Actor};
use budwood_board::{Board, State, moderate};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::fault::Fault;
use crate::reply::Reply;
use crate::route::Job;
use crate::upload::Upload;

/// Something that programs write.
#[derive(Clone, Copy)]
pub(crate) enum Write {
    /// All at once.
    Whole(fn(&mut Board, &Upload) -> Result<Reply, Fault>),
    /// In pieces, between which others write.
    Pieces(Pieces),
}

/// Does the next piece of what was begun; the reply, when it was the last.
type Pieces = fn(&mut Board, &Upload, &mut Option<Synchronization>) -> Result<Option<Reply>, Fault>;

impl Write {
    pub(crate) fn job(self) -> Job {
        match self {
            Self::Whole(write) => Box::new(move |board, upload, _| write(board, upload).map(Some)),
            Self::Pieces(write) => {
                let mut state = None;
                Box::new(move |board, upload, _| write(board, upload, &mut state))
            }
        }
    }
}

/// Everything that programs write, below `/api/v1`.
pub(crate) const WRITE: &[(&str, Write)] = &[
    ("/submit", Write::Whole(submit)),
    ("/rpc/evaluation-synchronize", Write::Pieces(synchronize)),
    ("/rpc/leaderboard-data", Write::Whole(name_data)),
    ("/rpc/retract", Write::Whole(retract)),
];

/// What `/rpc/leaderboard-data` takes: both of digest and split, or neither where it names none any
/// more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameData {
    leaderboard: String,
    sha256: Option<String>,
    split: Option<String>,
    #[serde(default)]
    reason: String,
}

/// What `/rpc/retract` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retract {
    result: i64,
    reason: String,
}

/// A result: its record as JSON, or a form with the parts `record`, `weights` and `description`.
fn submit(board: &mut Board, upload: &Upload) -> Result<Reply, Fault> {
    let actor = actor(board, upload.header(AUTHORIZATION))?;
    upload.only(&["record", "weights", "description"])?;
    let record = if upload.is_form() { upload.text("record")? } else { upload.body()? };
    let submission: Submission =
        serde_json::from_str(record).map_err(|e| Fault::bad(format!("The record: {e}.")))?;
    let attachment = attachment(upload, "weights", "description")?;
    let done = submit::submit(board, &submission, attachment.as_ref(), &[], &actor)?;
    let status = if done.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json(&done).status(status))
}

/// The adapter in two parts of a form, if they are there.
pub(crate) fn attachment(
    upload: &Upload,
    weights: &str,
    description: &str,
) -> Result<Option<Attachment>, Fault> {
    let part = |name: &str| upload.part(name).filter(|p| !p.is_empty());
    match (part(weights), part(description)) {
        (None, None) => Ok(None),
        (Some(w), Some(d)) => {
            Ok(Some(Attachment::new(w.to_vec(), d.to_vec(), AttachmentLimits::default())?))
        }
        _ => Err(Fault::bad(
            "An adapter is two files: adapter.safetensors and adapter.json. One of them is missing.",
        )),
    }
}

/// A piece of the archive's `evaluation-synchronize`.
fn synchronize(
    board: &mut Board,
    upload: &Upload,
    state: &mut Option<Synchronization>,
) -> Result<Option<Reply>, Fault> {
    let actor = actor(board, upload.header(AUTHORIZATION))?;
    let work = match state {
        Some(work) => work,
        None => state.insert(Synchronization::new(upload.body()?, &actor)?),
    };
    Ok(work.piece(board, &actor)?.map(|done| Reply::json(&done)))
}

/// Names the data of a leaderboard.
fn name_data(board: &mut Board, upload: &Upload) -> Result<Reply, Fault> {
    let actor = actor(board, upload.header(AUTHORIZATION))?;
    let asked: NameData = body(upload)?;
    let data = match (&asked.sha256, &asked.split) {
        (Some(sha256), Some(split)) => Some((sha256.as_str(), split.as_str())),
        (None, None) => None,
        _ => return Err(Fault::bad("Data are named by both sha256 and split; one is missing.")),
    };
    let moved = moderate::name_data(board, &asked.leaderboard, data, &asked.reason, &actor)?;
    Ok(Reply::json(&json!({ "leaderboard": asked.leaderboard, "results_moved": moved })))
}

/// Takes a result back.
fn retract(board: &mut Board, upload: &Upload) -> Result<Reply, Fault> {
    let actor = actor(board, upload.header(AUTHORIZATION))?;
    let asked: Retract = body(upload)?;
    moderate::retract(board, asked.result, &asked.reason, &actor)?;
    Ok(Reply::json(&json!({ "result": asked.result, "state": State::Retracted })))
}

/// The body as what it should be.
fn body<T: DeserializeOwned>(upload: &Upload) -> Result<T, Fault> {
    serde_json::from_str(upload.body()?).map_err(|e| Fault::bad(format!("The body: {e}.")))
}

/// Whose token a header or a field holds.
pub(crate) fn actor(board: &Board, given: Option<&str>) -> Result<Actor, Fault> {
    let given = given.map(str::trim).filter(|g| !g.is_empty());
    let secret = given.map(|g| {
        let word = g
            .split_once(' ')
            .filter(|w| ["token", "bearer"].contains(&w.0.to_ascii_lowercase().as_str()));
        word.map_or(g, |w| w.1.trim())
    });
    let denied = |message: &str| Fault::new(StatusCode::UNAUTHORIZED, message);
    let secret = secret.ok_or_else(|| {
        denied(
            "This needs a token: the header 'Authorization: Token <secret>', or the form's field.",
        )
    })?;
    token::check(board, secret)?.ok_or_else(|| denied("This token is unknown or was revoked."))
}
