//! The archive's `evaluation-synchronize`: a whole leaderboard from somewhere else, again and
//! again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use budwood_database::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::put::{self, Place};
use super::record::{self, Claim, DatasetOf, ModelOf, PaperOf, Submission};
use crate::access::Act;
use crate::direction::{Direction, DirectionSource};
use crate::log::{Entry, Subject};
use crate::state::{Change, change};
use crate::text::key;
use crate::token::Actor;
use crate::{Board, Error, State, summary, verify};

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
    /// Results that were taken back, and stay so whatever the body says of them.
    pub retracted: u64,
}

/// How long one piece of a call may hold the board: others write in between.
const PIECE: Duration = Duration::from_millis(150);

/// Brings a leaderboard up to date with a body of the archive's client. Calling it twice changes
/// nothing the second time; results that the body does not name stay, and so do those that were
/// taken back.
///
/// # Errors
/// If the body is not whole or whoever calls may not. What was taken before stays; the same call
/// goes on from there.
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
    /// Whether the leaderboard was made by this call.
    new: bool,
    done: Synchronized,
}

impl Synchronization {
    /// A call with this body, of which everything that needs no board is checked.
    ///
    /// # Errors
    /// If the body is not whole or whoever calls may not.
    pub fn new(body: &str, actor: &Actor) -> Result<Self, Error> {
        actor.may(Act::Submit)?;
        let body: Body =
            serde_json::from_str(body).map_err(|e| Error::input("the body", e.to_string()))?;
        body.check()?;
        for result in &body.results {
            submission(&body, result).check()?;
        }
        Ok(Self { body, next: 0, new: false, done: Synchronized::default() })
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
        let (leaderboard, new) = place(sql, body, actor)?;
        self.new |= new;
        if self.next == 0 {
            for metric in &body.metrics {
                declare(sql, leaderboard, metric, actor)?;
            }
        }
        let mut done = self.done.clone();
        done.leaderboard = put::slug(sql, leaderboard)?;
        let mut next = self.next;
        while let Some(result) = body.results.get(next).filter(|_| begin.elapsed() < PIECE) {
            let submission = submission(body, result);
            let place = put::place_on(sql, leaderboard, self.new, &submission.metrics, actor)?;
            one(sql, &place, &submission, actor, &mut done)?;
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

impl Body {
    /// Whether it is whole and within bounds; each result is looked at when it is its turn.
    fn check(&self) -> Result<(), Error> {
        if self.results.len() > 10_000 {
            return Err(Error::input("results", "must not be more than 10,000 in one call"));
        }
        if self.metrics.len() > 1000 {
            return Err(Error::input("metrics", "must not be more than 1,000 in one call"));
        }
        record::needed("task", &self.task)?;
        record::needed("dataset", &self.dataset)?;
        let external = self.external_id.as_deref();
        record::name("external_id", external.unwrap_or_default())?;
        if external.is_some_and(|id| id.trim().is_empty()) {
            return Err(Error::input("external_id", "is empty; leave it out, or give a name"));
        }
        record::notes("description", &self.description)?;
        if let Some(url) = self.mirror_url.as_deref().filter(|u| !u.is_empty()) {
            record::address("mirror_url", url)?;
        }
        for metric in &self.metrics {
            record::needed("metrics.name", &metric.name)?;
            record::notes("metrics.description", &metric.description)?;
        }
        let mut seen = HashSet::new();
        let ids = self.results.iter().filter_map(|r| r.external_id.as_deref());
        if let Some(twice) = ids.into_iter().find(|id| !seen.insert(*id)) {
            let reason = format!("the external_id '{}' is there twice", record::cut(twice));
            return Err(Error::input("results", reason));
        }
        Ok(())
    }
}

/// The leaderboard of a body, and whether it was made for it. Who makes it describes it; once it is
/// there, that needs a moderator.
fn place(sql: &Connection, body: &Body, actor: &Actor) -> Result<(i64, bool), Error> {
    let by_id = match &body.external_id {
        None => None,
        Some(id) => sql.first("SELECT l.id, t.name_key = ?2 AND d.name_key = ?3, l.slug FROM leaderboards l
                 JOIN tasks t ON t.id = l.task JOIN datasets d ON d.id = l.dataset WHERE l.external_id = ?1", params![id, key(&body.task), key(&body.dataset)], |r| {
                Ok((r.get::<i64>(0)?, r.get::<bool>(1)?, r.get::<String>(2)?))
            })?,
    };
    let (id, new) = match by_id {
        Some((_, false, slug)) => {
            return Err(Error::Conflict(format!(
                "the external_id '{}' is that of the leaderboard {slug}, which is of another task or data set",
                body.external_id.as_deref().unwrap_or_default()
            )));
        }
        Some((id, true, _)) => (id, false),
        None => match put::find(sql, &body.task, &body.dataset)? {
            Some(id) => (id, false),
            None => (put::make(sql, &body.task, &body.dataset, actor)?, true),
        },
    };
    describe(sql, id, new, body, actor)?;
    Ok((id, new))
}

/// Sets what a body says of its leaderboard: a description where there is none, an address, an
/// external name.
fn describe(sql: &Connection, id: i64, new: bool, body: &Body, actor: &Actor) -> Result<(), Error> {
    type Texts = (String, Option<String>, Option<String>);
    let read = || -> Result<Texts, Error> {
        Ok(sql.one(
            "SELECT description, mirror_url, external_id FROM leaderboards WHERE id = ?1",
            params![id],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )?)
    };
    let before = read()?;
    let mirror = body.mirror_url.as_deref().filter(|u| !u.is_empty());
    let after: Texts = (
        if before.0.is_empty() { body.description.clone() } else { before.0.clone() },
        mirror.map(Into::into).or_else(|| before.1.clone()),
        before.2.clone().or_else(|| body.external_id.clone()),
    );
    if after == before {
        return Ok(());
    }
    if !new {
        // The client always sends its own name for the leaderboard. It is found by task and data
        // set too, so that name is left out where it may not be set.
        let only_name = (&after.0, &after.1) == (&before.0, &before.1);
        match actor.may(Act::Describe) {
            Err(_) if only_name => return Ok(()),
            may => may?,
        }
    }
    sql.execute(
        "UPDATE leaderboards SET description = ?2, mirror_url = ?3, external_id = ?4 WHERE id = ?1",
        params![id, after.0, after.1, after.2],
    )?;
    let texts = |t: &Texts| json!({ "description": t.0, "mirror_url": t.1, "external_id": t.2 });
    Entry {
        who: &actor.name,
        action: Act::Describe.logged(),
        subject: Subject::Leaderboard,
        id: Some(id),
        name: &put::slug(sql, id)?,
        reason: "synchronized",
        details: json!({ "before": texts(&before), "after": texts(&after) }),
    }
    .write(sql)
}

/// Adds a metric. To turn the direction of one that is there needs a moderator; one that a person
/// set stays.
fn declare(
    sql: &Connection,
    leaderboard: i64,
    metric: &SyncMetric,
    actor: &Actor,
) -> Result<(), Error> {
    let direction = if metric.is_loss { Direction::Lower } else { Direction::Higher };
    let found: Option<(i64, Direction, DirectionSource)> = sql.first("SELECT id, direction, direction_source FROM metrics WHERE leaderboard = ?1 AND name_key = ?2", params![leaderboard, key(&metric.name)], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?;
    let Some((id, before, source)) = found else {
        let (name, description) = (&metric.name, &metric.description);
        put::new_metric(sql, leaderboard, name, Some(direction), description, actor)?;
        return Ok(());
    };
    if before == direction {
        return Ok(());
    }
    actor.may(Act::SetMetric).map_err(|e| match e {
        Error::Refused(why) => Error::Refused(format!(
            "{why}. The metric '{}' is one where {} values are better; the body says the opposite (is_loss)",
            metric.name,
            before.name()
        )),
        other => other,
    })?;
    if source == DirectionSource::User {
        return Ok(());
    }
    sql.execute(
        "UPDATE metrics SET direction = ?2, direction_source = ?3 WHERE id = ?1",
        params![id, direction, DirectionSource::Declared],
    )?;
    Entry {
        who: &actor.name,
        action: Act::SetMetric.logged(),
        subject: Subject::Metric,
        id: Some(id),
        name: &format!("{}: {}", put::slug(sql, leaderboard)?, metric.name.trim()),
        reason: "synchronized",
        details: json!({ "before": { "direction": before }, "after": { "direction": direction } }),
    }
    .write(sql)
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
    sql: &Connection,
    place: &Place,
    submission: &Submission,
    actor: &Actor,
    done: &mut Synchronized,
) -> Result<(), Error> {
    let content = submission.content();
    let same = super::by_content(sql, place.leaderboard, &content)?;
    let found = match &submission.external_id {
        Some(external) => super::by_external_id(sql, external)?,
        None => None,
    };
    let Some(id) = found.or(same) else {
        let who = &actor.name;
        let id = put::put_result(sql, place, submission, &content, State::Claimed, who)?;
        super::log(sql, actor, Act::Submit, id, submission, "synchronized")?;
        done.added += 1;
        return Ok(());
    };
    let (leaderboard, submitter, state): (i64, Option<String>, State) = sql.one(
        "SELECT leaderboard, submitter, state FROM results WHERE id = ?1",
        params![id],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
    )?;
    if leaderboard != place.leaderboard {
        let external = submission.external_id.as_deref().unwrap_or_default();
        return Err(super::taken(external, id, &put::slug(sql, leaderboard)?));
    }
    match same {
        // Taken back is taken back, whoever sends it again.
        _ if state == State::Retracted => done.retracted += 1,
        Some(same) if same == id => done.unchanged += 1,
        Some(other) => {
            return Err(Error::Conflict(format!(
                "result {id} would say the same as result {other}, which is there already; send other values, or leave it out"
            )));
        }
        None => {
            actor.may_with(Act::Change, submitter.as_deref())?;
            edit(sql, id, place, submission, &content, actor)?;
            done.changed += 1;
        }
    }
    Ok(())
}

/// Writes a result anew; the log keeps what it said before. If its adapter is here, it is run
/// again.
fn edit(
    sql: &Connection,
    id: i64,
    place: &Place,
    submission: &Submission,
    content: &str,
    actor: &Actor,
) -> Result<(), Error> {
    let (before, model): (Option<String>, String) =
        sql.one("SELECT record, model FROM results WHERE id = ?1", params![id], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?;
    let before: Value = before.and_then(|b| serde_json::from_str(&b).ok()).unwrap_or_default();
    let state = change(sql, id, Change::Edit)?;
    sql.execute("UPDATE results SET content = ?2, model = ?3, date = coalesce(?4, date), source_url = ?5, additional_data = ?6,
           record = ?7 WHERE id = ?1", params![
        id,
        content,
        submission.model.name.trim(),
        submission.date,
        submission.source_url,
        submission.uses_additional_data,
        serde_json::to_string(submission).unwrap_or_default(),
    ])?;
    sql.execute("DELETE FROM scores WHERE result = ?1", params![id])?;
    put::put_scores(sql, id, &submission.metrics, &place.metrics)?;
    put::predictions(sql, id, "measured", &[])?;
    if state == State::Attached {
        verify::queue(sql, id, &actor.name)?;
    }
    Entry {
        who: &actor.name,
        action: Act::Change.logged(),
        subject: Subject::Result,
        id: Some(id),
        name: submission.model.name.trim(),
        reason: "synchronized",
        details: json!({
            "before": { "model": model, "metrics": before["metrics"] },
            "after": { "model": submission.model.name, "metrics": submission.metrics },
        }),
    }
    .write(sql)
}
