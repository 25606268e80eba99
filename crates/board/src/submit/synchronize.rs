//! The archive's `evaluation-synchronize`: a whole leaderboard from somewhere else, again and again.

use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::put::{self, Place};
use super::record::{Claim, DatasetOf, ModelOf, PaperOf, Submission};
use crate::direction::{Direction, DirectionSource};
use crate::log::{Entry, Subject};
use crate::text::key;
use crate::token::{Actor, Role};
use crate::{Board, Error, State, summary};

/// The body of a call, as the archive's client sends it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Body {
    task: String,
    dataset: String,
    description: String,
    mirror_url: Option<String>,
    external_id: Option<String>,
    metrics: Vec<SyncMetric>,
    results: Vec<SyncResult>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct SyncMetric {
    name: String,
    #[serde(default)]
    description: String,
    /// The client leaves it out for losses.
    #[serde(default = "yes")]
    is_loss: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct SyncResult {
    metrics: serde_json::Map<String, Value>,
    methodology: String,
    paper: Option<String>,
    uses_additional_data: bool,
    external_id: Option<String>,
    evaluated_on: Option<String>,
    external_source_url: Option<String>,
}

/// What a call changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Synchronized {
    /// Address of the leaderboard.
    pub leaderboard: String,
    /// Results that are new.
    pub added: u64,
    /// Results that were known by their `external_id` and say something else now.
    pub changed: u64,
    /// Results that were as they are.
    pub unchanged: u64,
}

/// How long one piece of a call may hold the board: others write in between.
const PIECE: Duration = Duration::from_millis(150);

/// Brings a leaderboard up to date with a body of the archive's client. Calling it twice changes nothing the second
/// time; results that the body does not name stay.
///
/// # Errors
/// If the body is not whole or whoever calls may not. What was taken before stays; the same call goes on from there.
pub fn synchronize(board: &mut Board, body: &str, actor: &Actor) -> Result<Synchronized, Error> {
    let mut work = Synchronization::new(body, actor)?;
    loop {
        if let Some(done) = work.piece(board, actor)? {
            return Ok(done);
        }
    }
}

/// A call that is worked on in pieces, each a short transaction of its own.
pub struct Synchronization {
    body: Body,
    /// Results that were dealt with.
    next: usize,
    done: Synchronized,
}

impl Synchronization {
    /// A call with this body, of which everything that needs no board is checked.
    ///
    /// # Errors
    /// If the body is not whole or whoever calls may not.
    pub fn new(body: &str, actor: &Actor) -> Result<Self, Error> {
        actor.needs(Role::Submit, "submit results")?;
        let body: Body =
            serde_json::from_str(body).map_err(|e| Error::input("the body", e.to_string()))?;
        if body.results.len() > 10_000 {
            return Err(Error::input("results", "must not be more than 10,000 in one call"));
        }
        for result in &body.results {
            submission(&body, result).check()?;
        }
        Ok(Self { body, next: 0, done: Synchronized::default() })
    }

    /// Does the next piece; what all of them changed, when it was the last.
    ///
    /// # Errors
    /// If whoever calls may not, or the board cannot be written.
    pub fn piece(
        &mut self,
        board: &mut Board,
        actor: &Actor,
    ) -> Result<Option<Synchronized>, Error> {
        let (begin, body) = (Instant::now(), &self.body);
        let transaction = board.write()?;
        let sql = &transaction;
        let leaderboard = place(sql, body, actor)?;
        if self.next == 0 {
            for metric in &body.metrics {
                declare(sql, leaderboard, metric, actor)?;
            }
        }
        let mut done = self.done.clone();
        done.leaderboard = put::slug(sql, leaderboard)?;
        let mut next = self.next;
        while let Some(result) = body.results.get(next).filter(|_| begin.elapsed() < PIECE) {
            one(sql, leaderboard, &submission(body, result), actor, &mut done)?;
            next += 1;
        }
        let last = next == body.results.len();
        if last {
            summary::refresh_around(sql, leaderboard)?;
        }
        transaction.commit()?;
        (self.next, self.done) = (next, done);
        Ok(last.then(|| self.done.clone()))
    }
}

fn place(sql: &rusqlite::Connection, body: &Body, actor: &Actor) -> Result<i64, Error> {
    if body.task.trim().is_empty() || body.dataset.trim().is_empty() {
        return Err(Error::input("the body", "must name a task and a dataset"));
    }
    let by_id = match &body.external_id {
        None => None,
        Some(id) => sql
            .prepare_cached("SELECT id FROM leaderboards WHERE external_id = ?1")?
            .query_row([id], |r| r.get(0))
            .optional()?,
    };
    let found = match by_id {
        Some(id) => Some(id),
        None => put::find(sql, &body.task, &body.dataset)?,
    };
    let id = match found {
        Some(id) => id,
        None => put::make(sql, &body.task, &body.dataset, actor)?,
    };
    sql.prepare_cached(
        "UPDATE leaderboards SET external_id = coalesce(external_id, ?2), mirror_url = coalesce(?3, mirror_url),
           description = CASE description WHEN '' THEN ?4 ELSE description END WHERE id = ?1",
    )?
    .execute(params![id, body.external_id, body.mirror_url, body.description])?;
    Ok(id)
}

/// Adds a metric, or sets its direction where only a rule gave it so far.
fn declare(
    sql: &rusqlite::Connection,
    leaderboard: i64,
    metric: &SyncMetric,
    actor: &Actor,
) -> Result<(), Error> {
    let direction = if metric.is_loss { Direction::Lower } else { Direction::Higher };
    let found: Option<(i64, DirectionSource)> = sql
        .prepare_cached(
            "SELECT id, direction_source FROM metrics WHERE leaderboard = ?1 AND name_key = ?2",
        )?
        .query_row(params![leaderboard, key(&metric.name)], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    match found {
        None => {
            put::new_metric(
                sql,
                leaderboard,
                &metric.name,
                Some(direction),
                &metric.description,
                actor,
            )?;
        }
        Some((id, source)) if source != DirectionSource::User => {
            sql.prepare_cached(
                "UPDATE metrics SET direction = ?2, direction_source = ?3 WHERE id = ?1",
            )?
            .execute(params![id, direction, DirectionSource::Declared])?;
        }
        Some(_) => {}
    }
    Ok(())
}

fn submission(body: &Body, result: &SyncResult) -> Submission {
    let claim = |(name, value): (&String, &Value)| Claim {
        name: name.clone(),
        value: value.clone(),
        direction: None,
        interval: None,
    };
    Submission {
        external_id: result.external_id.clone(),
        task: body.task.clone(),
        dataset: DatasetOf { name: body.dataset.clone(), ..DatasetOf::default() },
        metrics: result.metrics.iter().map(claim).collect(),
        model: ModelOf { name: result.methodology.clone(), ..ModelOf::default() },
        paper: result.paper.as_ref().filter(|p| !p.is_empty()).map(|paper| {
            let linked = paper.starts_with("http");
            PaperOf {
                title: if linked { String::new() } else { paper.clone() },
                url: if linked { paper.clone() } else { String::new() },
            }
        }),
        uses_additional_data: Some(result.uses_additional_data),
        date: result.evaluated_on.clone(),
        source_url: result.external_source_url.clone().filter(|u| !u.is_empty()),
        ..Submission::default()
    }
}

fn one(
    sql: &rusqlite::Connection,
    leaderboard: i64,
    submission: &Submission,
    actor: &Actor,
    done: &mut Synchronized,
) -> Result<(), Error> {
    let content = submission.content();
    let mut metrics = Vec::new();
    for claim in &submission.metrics {
        let found = sql
            .prepare_cached("SELECT id FROM metrics WHERE leaderboard = ?1 AND name_key = ?2")?
            .query_row(params![leaderboard, key(&claim.name)], |r| r.get(0))
            .optional()?;
        metrics.push(match found {
            Some(id) => id,
            None => put::new_metric(sql, leaderboard, &claim.name, None, "", actor)?,
        });
    }
    let place = Place { leaderboard, metrics };
    let known: Option<(i64, String, Option<String>)> = match &submission.external_id {
        Some(id) => sql
            .prepare_cached("SELECT id, content, submitter FROM results WHERE external_id = ?1 AND leaderboard = ?2")?
            .query_row(params![id, leaderboard], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?,
        None => sql
            .prepare_cached("SELECT id, content, submitter FROM results WHERE leaderboard = ?1 AND content = ?2")?
            .query_row(params![leaderboard, content], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?,
    };
    match known {
        None => {
            let id =
                put::put_result(sql, &place, submission, &content, State::Claimed, &actor.name)?;
            super::log(sql, actor, "submit", id, submission, "synchronized")?;
            done.added += 1;
        }
        Some((_, same, _)) if same == content => done.unchanged += 1,
        Some((id, _, submitter)) => {
            if submitter.as_deref() != Some(&actor.name) {
                actor.needs(Role::Moderate, "change someone else's result")?;
            }
            change(sql, id, &place, submission, &content, actor)?;
            done.changed += 1;
        }
    }
    Ok(())
}

/// Writes a result anew; the log keeps what it said before.
fn change(
    sql: &rusqlite::Connection,
    id: i64,
    place: &Place,
    submission: &Submission,
    content: &str,
    actor: &Actor,
) -> Result<(), Error> {
    let before: Option<String> = sql
        .prepare_cached("SELECT record FROM results WHERE id = ?1")?
        .query_row([id], |r| r.get(0))?;
    let before: Value = before.and_then(|b| serde_json::from_str(&b).ok()).unwrap_or_default();
    sql.prepare_cached(
        "UPDATE results SET content = ?2, model = ?3, date = coalesce(?4, date), source_url = ?5, additional_data = ?6,
           record = ?7, state = ?8 WHERE id = ?1",
    )?
    .execute(params![
        id,
        content,
        submission.model.name,
        submission.date,
        submission.source_url,
        submission.uses_additional_data,
        serde_json::to_string(submission).unwrap_or_default(),
        State::Claimed
    ])?;
    sql.prepare_cached("DELETE FROM scores WHERE result = ?1")?.execute([id])?;
    put::put_scores(sql, id, &submission.metrics, &place.metrics)?;
    Entry {
        who: &actor.name,
        action: "change",
        subject: Subject::Result,
        id: Some(id),
        name: &submission.model.name,
        reason: "synchronized",
        details: json!({ "before": before["metrics"], "after": submission.metrics }),
    }
    .write(sql)
}
