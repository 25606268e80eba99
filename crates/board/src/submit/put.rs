//! Leaderboards, metrics and rows of submissions in the database.

use budwood_base::record::Prediction;
use budwood_database::{Connection, params};
use serde_json::{Value, json};

use super::record::{Claim, Submission};
use crate::access::Act;
use crate::db::{next_id, now};
use crate::direction::{self, Direction, DirectionSource};
use crate::entities::{self, PaperMention};
use crate::import::tables::new_leaderboard;
use crate::log::{Entry, Subject};
use crate::setting::split_key;
use crate::text::{key, look, method_kind};
use crate::token::Actor;
use crate::{Error, State, date, value};

/// Where a result belongs.
pub(crate) struct Place {
    pub(crate) leaderboard: i64,
    /// Whether the leaderboard was made for it.
    pub(crate) new: bool,
    /// The number of each metric of the submission, in its order.
    pub(crate) metrics: Vec<i64>,
}

/// The leaderboard of a task and a data set; of several, the board's own before an archive's, then
/// the fullest.
pub(crate) fn find(sql: &Connection, task: &str, dataset: &str) -> Result<Option<i64>, Error> {
    Ok(sql.first("SELECT l.id FROM leaderboards l JOIN tasks t ON t.id = l.task JOIN datasets d ON d.id = l.dataset
             WHERE t.name_key = ?1 AND d.name_key = ?2 ORDER BY l.archive IS NOT NULL, l.results DESC, l.id LIMIT 1", params![key(task), key(dataset)], |r| r.get(0))?)
}

/// The place of a submission. A leaderboard that is not there is made; a task that is not there
/// needs a moderator.
pub(crate) fn find_or_make(
    sql: &Connection,
    submission: &Submission,
    actor: &Actor,
) -> Result<Place, Error> {
    let (leaderboard, new) = match find(sql, &submission.task, &submission.dataset.name)? {
        Some(id) => (id, false),
        None => (make(sql, &submission.task, &submission.dataset.name, actor)?, true),
    };
    place_on(sql, leaderboard, new, &submission.metrics, actor)
}

/// The place of a submission on a leaderboard: metrics that are not there are made.
pub(crate) fn place_on(
    sql: &Connection,
    leaderboard: i64,
    new: bool,
    claims: &[Claim],
    actor: &Actor,
) -> Result<Place, Error> {
    let metrics = claims
        .iter()
        .map(|claim| metric(sql, leaderboard, claim, actor))
        .collect::<Result<_, _>>()?;
    Ok(Place { leaderboard, new, metrics })
}

/// Refuses a new name that looks like one that is there: readers could not tell them apart.
fn refuse_twin(
    sql: &Connection,
    kind: &str,
    query: &str,
    of: i64,
    name: &str,
) -> Result<(), Error> {
    let wanted = look(name);
    for other in sql.query(query, params![of], |row| row.get::<String>(0))? {
        if look(&other) == wanted {
            return Err(Error::Conflict(format!(
                "the {kind} '{name}' looks like '{other}', which is there already, and is written with other \
                 characters; write it as that one"
            )));
        }
    }
    Ok(())
}

/// Makes a leaderboard and, if need be, its task and data set.
pub(crate) fn make(
    sql: &Connection,
    task: &str,
    dataset: &str,
    actor: &Actor,
) -> Result<i64, Error> {
    let known = sql.exists("SELECT 1 FROM tasks WHERE name_key = ?1", params![key(task)])?;
    if !known {
        actor.may(Act::NewTask)?;
        refuse_twin(sql, "task", "SELECT name FROM tasks WHERE ?1 = 0", 0, task)?;
    }
    if !entities::has_dataset(sql, dataset)? {
        refuse_twin(sql, "data set", "SELECT name FROM datasets WHERE ?1 = 0", 0, dataset)?;
    }
    let (task_id, new_task) = entities::task(sql, task, None)?;
    let (dataset_id, new_dataset) = entities::dataset(sql, dataset, None, None)?;
    if new_task {
        Entry {
            who: &actor.name,
            action: Act::NewTask.logged(),
            subject: Subject::Task,
            id: Some(task_id),
            name: task.trim(),
            reason: "",
            details: Value::Null,
        }
        .write(sql)?;
    }
    sql.execute(
        "INSERT INTO dataset_tasks (dataset, task) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![dataset_id, task_id],
    )?;
    let id = new_leaderboard(sql, task_id, dataset_id, dataset.trim(), None)?;
    let name = format!("{task} on {dataset}");
    Entry {
        who: &actor.name,
        action: "new leaderboard",
        subject: Subject::Leaderboard,
        id: Some(id),
        name: &name,
        reason: "",
        details: json!({ "new data set": new_dataset }),
    }
    .write(sql)?;
    Ok(id)
}

fn metric(sql: &Connection, leaderboard: i64, claim: &Claim, actor: &Actor) -> Result<i64, Error> {
    let found = sql.first(
        "SELECT id FROM metrics WHERE leaderboard = ?1 AND name_key = ?2",
        params![leaderboard, key(&claim.name)],
        |r| r.get(0),
    )?;
    match found {
        Some(id) => Ok(id),
        None => new_metric(sql, leaderboard, &claim.name, claim.direction, "", actor),
    }
}

/// Metrics of a leaderboard that submitters may add.
const METRICS: i64 = 50;

/// Adds a metric to a leaderboard, with the direction that is given or that its name says.
pub(crate) fn new_metric(
    sql: &Connection,
    leaderboard: i64,
    name: &str,
    direction: Option<Direction>,
    description: &str,
    actor: &Actor,
) -> Result<i64, Error> {
    let position: i64 = sql.one(
        "SELECT coalesce(max(position) + 1, 0) FROM metrics WHERE leaderboard = ?1",
        params![leaderboard],
        |r| r.get(0),
    )?;
    if position >= METRICS {
        actor.may(Act::ManyMetrics)?;
    }
    let others = "SELECT name FROM metrics WHERE leaderboard = ?1";
    refuse_twin(sql, "metric", others, leaderboard, name)?;
    let (direction, source) = match direction {
        Some(direction) => (direction, DirectionSource::Declared),
        None => direction::infer(name, &[], &[]),
    };
    let id = sql.add("INSERT INTO metrics (leaderboard, position, name, name_key, declared, direction, direction_source, description)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)", params![leaderboard, position, name.trim(), key(name), direction, source, description])?;
    Entry {
        who: &actor.name,
        action: Act::ManyMetrics.logged(),
        subject: Subject::Metric,
        id: Some(id),
        name: &format!("{}: {}", slug(sql, leaderboard)?, name.trim()),
        reason: "",
        details: json!({ "direction": direction, "known from": source }),
    }
    .write(sql)?;
    Ok(id)
}

/// The address of a leaderboard.
pub(crate) fn slug(sql: &Connection, leaderboard: i64) -> Result<String, Error> {
    Ok(sql.one("SELECT slug FROM leaderboards WHERE id = ?1", params![leaderboard], |r| r.get(0))?)
}

/// Writes a row with its scores; its number.
pub(crate) fn put_result(
    sql: &Connection,
    place: &Place,
    submission: &Submission,
    content: &str,
    state: State,
    who: &str,
) -> Result<i64, Error> {
    let paper = submission.paper.clone().unwrap_or_default();
    let mention = PaperMention { title: &paper.title, url: &paper.url, date: None, archive: None };
    let paper_id = entities::paper(sql, &mention)?;
    let (date, source) = dated(submission, &paper.url);
    let base = submission.model.base.as_ref();
    let adapter = submission.model.adapter.as_ref();
    let method = adapter.and_then(|a| a.method.as_deref());
    let links = |links| serde_json::to_string(links).unwrap_or_default();
    // After all others of its leaderboard; those need not be looked at, as no position is larger
    // than the newest number.
    let position = next_id(sql, "results")?;
    let id = sql.add("INSERT INTO results (leaderboard, position, content, external_id, model, paper, paper_title, paper_url, date,
           date_source, additional_data, code_links, model_links, source_url, setting, base, base_sha256, method,
           method_id, trained, total, adapter_sha256, data_sha256, split, state, notes, record, submitter, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
           (SELECT id FROM methods WHERE implemented = ?19), ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)", params![
        place.leaderboard,
        position,
        content,
        submission.external_id,
        submission.model.name.trim(),
        paper_id,
        paper.title,
        paper.url,
        date,
        source,
        submission.uses_additional_data,
        links(&submission.code_links),
        links(&submission.model.links),
        submission.source_url,
        submission.setting,
        base.map(|b| &b.name),
        base.and_then(|b| b.sha256.as_ref()),
        method,
        method.map(method_kind),
        adapter.and_then(|a| a.trained).map(|n| n as i64),
        adapter.and_then(|a| a.total).map(|n| n as i64),
        adapter.and_then(|a| a.sha256.as_ref()),
        submission.dataset.sha256,
        split_key(submission.dataset.split.as_deref().unwrap_or_default()),
        state,
        submission.notes,
        serde_json::to_string(submission).unwrap_or_default(),
        who,
        now()
    ])?;
    put_scores(sql, id, &submission.metrics, &place.metrics)?;
    Ok(id)
}

/// The date of a submission and how it is known.
fn dated(submission: &Submission, paper_url: &str) -> (Option<String>, Option<date::DateSource>) {
    if let Some(date) = &submission.date {
        let of_run = submission.run["key"].is_string();
        let source = if of_run { date::DateSource::Run } else { date::DateSource::Given };
        return (Some(date.clone()), Some(source));
    }
    let month = date::arxiv_id(paper_url).and_then(date::month_of_arxiv);
    let source = month.as_ref().map(|_| date::DateSource::ArxivId);
    (month, source)
}

/// Writes the scores of a row.
pub(crate) fn put_scores(
    sql: &Connection,
    result: i64,
    claims: &[Claim],
    metrics: &[i64],
) -> Result<(), Error> {
    let insert =
        "INSERT INTO scores (result, metric, position, name, raw, value, spread, low, high)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    for (at, (claim, metric)) in claims.iter().zip(metrics).enumerate() {
        let reading = value::read(&claim.value, direction::of_size(&claim.name));
        sql.execute(
            insert,
            params![
                result,
                metric,
                at as i64,
                claim.name,
                claim.value.to_string(),
                reading.value,
                reading.spread,
                claim.interval.map(|i| i.0),
                claim.interval.map(|i| i.1)
            ],
        )?;
    }
    Ok(())
}

/// Writes the predictions of a result in place of those of the same origin.
pub(crate) fn predictions(
    sql: &Connection,
    result: i64,
    origin: &str,
    predictions: &[Prediction],
) -> Result<(), Error> {
    sql.execute(
        "DELETE FROM predictions WHERE result = ?1 AND origin = ?2",
        params![result, origin],
    )?;
    let columns = ["result", "origin", "\"row\"", "expected", "predicted", "confidence"];
    let rows = predictions.iter().map(|p| {
        let confidence = p.confidence.map(f64::from);
        let (expected, predicted) = ((&p.expected).into(), (&p.predicted).into());
        [
            result.into(),
            origin.into(),
            (p.row as i64).into(),
            expected,
            predicted,
            confidence.into(),
        ]
    });
    Ok(sql.insert("predictions", columns, rows)?)
}
