//! `evaluation-tables.json`: tasks with sub-tasks, data sets with sub-sets, each with a table of
//! results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use budwood_base::digest;
use budwood_database::{Addition, Connection, params};
use serde_json::{Map, Value};

use super::context::{Context, Kind, Mentions, Tables, text};
use super::fields::{Fields, says_nothing};
use crate::db::{next_id, now};
use crate::entities::{self, PaperMention};
use crate::state::{Change, change};
use crate::summary::CountsOf;
use crate::text::{key, slug};
use crate::{Error, State, date, direction, summary, value};

pub(super) const KIND: Kind = Kind {
    name: "evaluation-tables",
    fits: |v| v.get("task").is_some_and(Value::is_string) && v.get("url").is_none(),
    element: |context, element| task(context, element, &Place::default()),
    again: true,
    begin,
    end: |context| {
        summary::refresh(context.sql, &std::mem::take(&mut context.state.tables.touched))
    },
    finish: |context| {
        Ok(summary::refresh_counts(
            context.sql,
            &[CountsOf::Tasks, CountsOf::Datasets, CountsOf::Papers],
        )?)
    },
};

fn begin(context: &mut Context<'_>, batch: &[Value]) -> Result<(), Error> {
    let sql = context.sql;
    let mut papers = Vec::new();
    batch.iter().for_each(|element| mentioned(element, &mut papers));
    context.state.mentions = Mentions::of(sql, papers)?;
    context.state.tables = Tables {
        results: next_id(sql, "results")?,
        metrics: next_id(sql, "metrics")?,
        touched: Vec::new(),
    };
    Ok(())
}

/// What the papers of all rows under a task or data set are known by.
fn mentioned(element: &Value, papers: &mut Vec<Vec<(&'static str, String)>>) {
    let rows = element.get("sota").and_then(|sota| sota.get("rows")).and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        papers.push(entities::paper_keys(
            text(row, "paper_title").trim(),
            text(row, "paper_url").trim(),
        ));
    }
    for name in ["datasets", "subdatasets", "subtasks"] {
        let inside = element.get(name).and_then(Value::as_array);
        inside.into_iter().flatten().for_each(|element| mentioned(element, papers));
    }
}

/// Where in the tree an element stands.
#[derive(Clone, Default)]
struct Place {
    node: i64,
    task: Option<i64>,
    areas: Vec<String>,
    dataset: Option<(i64, String)>,
}

fn task(context: &mut Context<'_>, element: Value, place: &Place) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("task", element, context.report) else { return Ok(()) };
    let name = fields.text("task");
    if name.trim().is_empty() {
        context.report.borrow_mut().left_out("task without a name");
        return Ok(());
    }
    let (description, datasets, subtasks) =
        (fields.text("description"), fields.list("datasets"), fields.list("subtasks"));
    let mut areas: Vec<String> = match fields.rest.get("categories") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(Into::into).collect(),
        _ => Vec::new(),
    };
    let details = fields.left();
    let sql = context.sql;
    let (task_id, new) = entities::task(sql, &name, Some(context.archive))?;
    context.report.borrow_mut().found("tasks", 1);
    if new {
        context.report.borrow_mut().added("tasks", 1);
    }
    sql.execute(
        "UPDATE tasks SET description = ?2 WHERE id = ?1 AND description = ''",
        params![task_id, description.trim()],
    )?;
    if areas.is_empty() {
        areas.clone_from(&place.areas);
    }
    for area in &areas {
        entities::task_in_area(sql, task_id, area)?;
    }
    if let Some(parent) = place.task {
        entities::task_is_part(sql, task_id, parent)?;
    }
    let new = Node { kind: "task", name: &name, description: &description, details: &details };
    let (node, _) = new.put(context, place.node, Some(task_id), None)?;
    let inside = Place { node, task: Some(task_id), areas, dataset: None };
    for element in datasets {
        dataset(context, element, &inside)?;
    }
    for element in subtasks {
        task(context, element, &inside)?;
    }
    Ok(())
}

fn dataset(context: &mut Context<'_>, element: Value, place: &Place) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("data set", element, context.report) else { return Ok(()) };
    let (inner, outer) = (fields.text("subdataset"), fields.text("dataset"));
    let name = if outer.is_empty() { inner } else { outer };
    if name.trim().is_empty() {
        context.report.borrow_mut().left_out("data set without a name");
        return Ok(());
    }
    let description = fields.text("description");
    let (subsets, sota) = (fields.list("subdatasets"), fields.rest.remove("sota"));
    let (metrics, rows) = match sota.and_then(|v| Fields::of("sota", v, context.report)) {
        Some(mut sota) => (Some(sota.texts("metrics")), sota.list("rows")),
        None => (None, Vec::new()),
    };
    // A table without rows is kept as the list of its metrics.
    let mut kept: Map<String, Value> = fields.rest.clone();
    if let Some(metrics) = metrics.as_ref().filter(|_| rows.is_empty()) {
        kept.insert("sota".into(), serde_json::json!({ "metrics": metrics }));
    }
    kept.retain(|_, v| !says_nothing(v));
    let details = Value::Object(kept).to_string();
    let Some(task) = place.task else { return Ok(()) };
    let sql = context.sql;
    let outer = place.dataset.as_ref().map(|(id, name)| (*id, name.as_str()));
    let (id, new) = entities::dataset(sql, &name, outer, Some(context.archive))?;
    context.report.borrow_mut().found("datasets", 1);
    if new {
        context.report.borrow_mut().added("datasets", 1);
    }
    sql.execute(
        "UPDATE datasets SET description = ?2, listed = 1 WHERE id = ?1 AND description = ''",
        params![id, description.trim()],
    )?;
    sql.add_later(&DATASET_TASK, params![id, task])?;
    let full_name: String =
        sql.one("SELECT name FROM datasets WHERE id = ?1", params![id], |r| r.get(0))?;
    let new = Node { kind: "dataset", name: &name, description: &description, details: &details };
    let (node, leaderboard) = new.put(context, place.node, None, Some(id))?;
    if !rows.is_empty() {
        context.report.borrow_mut().found("tables", 1);
        let is_new = leaderboard.is_none();
        let leaderboard = match leaderboard {
            Some(id) => id,
            None => leaderboard_of(context, node, task, id, &full_name)?,
        };
        results(context, (leaderboard, is_new), &metrics.unwrap_or_default(), rows)?;
    } else if metrics.is_some() {
        context.report.borrow_mut().odd("sota", "has no rows");
    }
    let inside = Place { node, dataset: Some((id, full_name)), ..place.clone() };
    for element in subsets {
        dataset(context, element, &inside)?;
    }
    Ok(())
}

/// A place in the archive's tree.
struct Node<'a> {
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    details: &'a str,
}

impl Node<'_> {
    /// Its number and its leaderboard's; it is made, or brought up to date.
    fn put(
        &self,
        context: &mut Context<'_>,
        parent: i64,
        task: Option<i64>,
        dataset: Option<i64>,
    ) -> Result<(i64, Option<i64>), Error> {
        let same = context
            .state
            .tree
            .occurrences
            .entry((parent, self.kind, self.name.into()))
            .or_default();
        let occurrence = *same;
        *same += 1;
        let position = context.state.tree.positions.entry(parent).or_default();
        let at = *position;
        *position += 1;
        Ok(context.sql.one("INSERT INTO nodes (archive, parent, kind, name, occurrence, position, task, dataset, description, details)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (archive, parent, kind, name, occurrence) DO UPDATE SET
                   position = excluded.position, description = excluded.description, details = excluded.details
                 RETURNING id, leaderboard", params![
                    context.archive,
                    parent,
                    self.kind,
                    self.name,
                    occurrence,
                    at,
                    task,
                    dataset,
                    self.description,
                    self.details
                ], |r| Ok((r.get(0)?, r.get(1)?)))?)
    }
}

/// Makes the leaderboard of a node.
fn leaderboard_of(
    context: &Context<'_>,
    node: i64,
    task: i64,
    dataset: i64,
    dataset_name: &str,
) -> Result<i64, Error> {
    let sql = context.sql;
    let id = new_leaderboard(sql, task, dataset, dataset_name, Some(context.archive))?;
    sql.execute("UPDATE nodes SET leaderboard = ?2 WHERE id = ?1", params![node, id])?;
    context.report.borrow_mut().added("tables", 1);
    Ok(id)
}

/// Makes a leaderboard for a task on a data set.
pub(crate) fn new_leaderboard(
    sql: &Connection,
    task: i64,
    dataset: i64,
    dataset_name: &str,
    archive: Option<i64>,
) -> Result<i64, Error> {
    let task_slug: String =
        sql.one("SELECT slug FROM tasks WHERE id = ?1", params![task], |r| r.get(0))?;
    let wanted = format!("{task_slug}-on-{}", slug(dataset_name));
    let slug = entities::free(sql, "SELECT 1 FROM leaderboards WHERE slug = ?1", &wanted)?;
    Ok(sql.add(
        "INSERT INTO leaderboards (slug, task, dataset, archive) VALUES (?1, ?2, ?3, ?4)",
        params![slug, task, dataset, archive],
    )?)
}

/// One row, read.
struct ReadRow {
    model: String,
    title: String,
    url: String,
    date: Option<String>,
    additional: Option<bool>,
    code_links: Vec<Value>,
    model_links: Vec<Value>,
    metrics: Map<String, Value>,
    details: String,
}

static RESULT: Addition = Addition {
    table: "results",
    is_referred_to: true,
    one: "INSERT INTO results (id, leaderboard, position, content, model, paper, paper_title, paper_url, date,
            date_source, additional_data, code_links, model_links, state, details, archive, at)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    many: None,
};
static SCORE: Addition = Addition {
    table: "scores",
    is_referred_to: false,
    one: "INSERT INTO scores (result, metric, position, name, raw, value, spread)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    many: None,
};

static METRIC: Addition = Addition {
    table: "metrics",
    is_referred_to: true,
    one: "INSERT INTO metrics
            (id, leaderboard, position, name, name_key, declared, direction, direction_source)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    many: None,
};
static DATASET_TASK: Addition = Addition {
    table: "dataset_tasks",
    is_referred_to: false,
    one: "INSERT INTO dataset_tasks (dataset, task) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    many: None,
};

/// What is there of a leaderboard.
#[derive(Default)]
struct Known {
    /// Numbers, positions and states of its rows by their content.
    rows: HashMap<String, (i64, i64, State)>,
    /// Numbers of its metrics by their names' keys.
    metrics: HashMap<String, i64>,
}

impl Known {
    fn of(sql: &Connection, leaderboard: i64) -> Result<Self, Error> {
        let rows = "SELECT content, id, position, state FROM results WHERE leaderboard = ?1";
        let rows = sql.query(rows, params![leaderboard], |r| {
            Ok((r.get(0)?, (r.get(1)?, r.get(2)?, r.get(3)?)))
        })?;
        let metrics = "SELECT name_key, id FROM metrics WHERE leaderboard = ?1";
        let metrics = sql.query(metrics, params![leaderboard], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(Self { rows: rows.into_iter().collect(), metrics: metrics.into_iter().collect() })
    }
}

fn results(
    context: &mut Context<'_>,
    (leaderboard, is_new): (i64, bool),
    declared: &[String],
    rows: Vec<Value>,
) -> Result<(), Error> {
    let read: Vec<ReadRow> = rows.into_iter().filter_map(|row| read_row(context, row)).collect();
    let mut known = if is_new { Known::default() } else { Known::of(context.sql, leaderboard)? };
    known.metrics = metrics(context, leaderboard, declared, &read, &known.metrics)?;
    let mut seen: HashMap<String, i64> = HashMap::new();
    let mut here = BTreeSet::new();
    for (position, row) in read.iter().enumerate() {
        let hash = content(row);
        let number = seen.entry(hash.clone()).or_default();
        let content = format!("{hash}-{number}");
        if *number > 0 {
            context.report.borrow_mut().odd("row", "repeats an earlier row word for word");
        }
        *number += 1;
        put_row(context, leaderboard, position as i64, &content, row, &known)?;
        here.insert(content);
    }
    note_odd_values(context, &read);
    if !is_new {
        retract_missing(context, leaderboard, &here)?;
    }
    context.state.tables.touched.push(leaderboard);
    Ok(())
}

/// Words of metrics that are shares, which are written as fractions or per cent.
const SHARES: [&str; 10] =
    ["accuracy", "acc", "f1", "precision", "recall", "auc", "iou", "bleu", "rouge", "map"];

/// Counts rows that contradict each other, and metrics whose values stand on two scales.
fn note_odd_values(context: &Context<'_>, rows: &[ReadRow]) {
    let mut report = context.report.borrow_mut();
    let mut known: HashMap<(&str, &str, &str), &Map<String, Value>> = HashMap::new();
    let mut scales: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for row in rows {
        let name = (row.model.as_str(), row.url.as_str(), row.title.as_str());
        let other = *known.entry(name).or_insert(&row.metrics);
        if row.metrics.iter().any(|(name, raw)| other.get(name).is_some_and(|before| before != raw))
        {
            report.odd("row", "has the model and the paper of another row, and another value");
        }
        for (name, raw) in &row.metrics {
            let lower = name.to_lowercase();
            let mut words = lower.split(|c: char| !c.is_alphanumeric());
            if !words.any(|word| SHARES.contains(&word)) {
                continue;
            }
            let scale = scales.entry(key(name)).or_default();
            match value::read(raw, direction::of_size(name)).value {
                Some(x) if x > 0.0 && x < 1.0 => scale[0] = true,
                Some(x) if x > 10.0 => scale[1] = true,
                _ => {}
            }
        }
    }
    for _ in scales.values().filter(|scale| **scale == [true, true]) {
        report.odd("metric", "has fractions and per cent in one table");
    }
}

/// Hash of what a row says.
fn content(row: &ReadRow) -> String {
    let json = serde_json::json!([
        row.model,
        row.title,
        row.url,
        row.date,
        row.additional.unwrap_or(false),
        row.code_links,
        row.model_links,
        row.metrics,
        row.details
    ]);
    digest::of_bytes(json.to_string().as_bytes())
}

fn read_row(context: &Context<'_>, row: Value) -> Option<ReadRow> {
    let mut fields = Fields::of("row", row, context.report)?;
    let read = ReadRow {
        model: fields.text("model_name"),
        title: fields.text("paper_title"),
        url: fields.text("paper_url"),
        date: fields.text_or_none("paper_date"),
        additional: fields.flag("uses_additional_data"),
        code_links: fields.list("code_links"),
        model_links: fields.list("model_links"),
        metrics: match fields.rest.remove("metrics") {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        },
        details: fields.left(),
    };
    let mut report = context.report.borrow_mut();
    report.found("rows", 1);
    if read.details != "{}" {
        report.odd("row", "has fields that the format does not know");
    }
    if read.metrics.is_empty() {
        report.odd("row", "has no values");
    }
    Some(read)
}

/// Numbers of the metrics by key, those that only rows name too.
fn metrics(
    context: &mut Context<'_>,
    leaderboard: i64,
    declared: &[String],
    rows: &[ReadRow],
    known: &HashMap<String, i64>,
) -> Result<HashMap<String, i64>, Error> {
    let mut names: Vec<(&str, bool)> = declared.iter().map(|name| (name.as_str(), true)).collect();
    let in_rows = rows.iter().flat_map(|r| r.metrics.keys());
    names.extend(in_rows.map(|name| (name.as_str(), false)));
    let mut found = HashMap::new();
    for (name, is_declared) in names {
        let key = key(name);
        if found.contains_key(&key) {
            continue;
        }
        if !is_declared {
            context.report.borrow_mut().odd("row", "has a metric that its table does not declare");
        }
        let id = match known.get(&key) {
            Some(id) => *id,
            None => metric(context, leaderboard, found.len() as i64, name, is_declared, rows)?,
        };
        found.insert(key, id);
    }
    Ok(found)
}

/// The number of a new metric, with the direction that its name or the rows' order say.
fn metric(
    context: &mut Context<'_>,
    leaderboard: i64,
    position: i64,
    name: &str,
    declared: bool,
    rows: &[ReadRow],
) -> Result<i64, Error> {
    let key = key(name);
    let of_size = direction::of_size(name);
    let in_row = |row: &ReadRow| {
        let raw = row.metrics.iter().find(|(n, _)| self::key(n) == key)?.1;
        Some((value::read(raw, of_size).value?, date_of(row).map(|d| d.0)))
    };
    // Rows stand in the order of the primary metric only.
    let (values, dates): (Vec<f64>, Vec<_>) =
        if position == 0 { rows.iter().filter_map(in_row).unzip() } else { Default::default() };
    let (direction, source) = direction::infer(name, &values, &dates);
    {
        let mut report = context.report.borrow_mut();
        report.found(&format!("directions from {}", source.phrase()), 1);
    }
    let id = context.state.tables.metrics;
    context.state.tables.metrics += 1;
    let values = params![id, leaderboard, position, name, key, declared, direction, source];
    context.sql.add_later(&METRIC, values)?;
    Ok(id)
}

/// Date of a row and how it is known.
fn date_of(row: &ReadRow) -> Option<(String, date::DateSource)> {
    if let Some(date) = row.date.as_deref().and_then(date::valid) {
        return Some((date.into(), date::DateSource::Given));
    }
    let month = date::arxiv_id(&row.url).and_then(date::month_of_arxiv)?;
    Some((month, date::DateSource::ArxivId))
}

fn put_row(
    context: &mut Context<'_>,
    leaderboard: i64,
    position: i64,
    content: &str,
    row: &ReadRow,
    known: &Known,
) -> Result<(), Error> {
    let sql = context.sql;
    let date = date_of(row);
    count_row(context, row, date.as_ref().map(|d| d.1));
    if let Some(&(id, before, state)) = known.rows.get(content) {
        if state != State::Retracted || !was_lacking(sql, id)? {
            if before != position {
                let position = params![id, position];
                sql.execute("UPDATE results SET position = ?2 WHERE id = ?1", position)?;
            }
            return Ok(());
        }
        // What was taken back stays so; what the archive says again is a row of its own.
        let aside = format!("{content}-{id}");
        sql.execute("UPDATE results SET content = ?2 WHERE id = ?1", params![id, aside])?;
    }
    let mention = PaperMention {
        title: &row.title,
        url: &row.url,
        date: row.date.as_deref().and_then(date::valid),
        archive: Some(context.archive),
    };
    let paper = paper(context, &mention)?;
    // A date that cannot be read is kept, so that nothing of the row is lost.
    let mut details: Map<String, Value> = serde_json::from_str(&row.details).unwrap_or_default();
    if let Some(bad) = row.date.as_deref().filter(|d| date::valid(d).is_none()) {
        details.insert("paper_date".into(), bad.into());
    }
    let id = context.state.tables.results;
    context.state.tables.results += 1;
    sql.add_later(
        &RESULT,
        params![
            id,
            leaderboard,
            position,
            content,
            row.model,
            paper,
            row.title,
            row.url,
            date.as_ref().map(|d| &d.0),
            date.as_ref().map(|d| d.1),
            row.additional,
            Value::Array(row.code_links.clone()).to_string(),
            Value::Array(row.model_links.clone()).to_string(),
            State::Claimed,
            Value::Object(details).to_string(),
            context.archive,
            now()
        ],
    )?;
    context.report.borrow_mut().added("rows", 1);
    for (at, (name, raw)) in row.metrics.iter().enumerate() {
        let reading = value::read(raw, direction::of_size(name));
        let metric = known.metrics[&key(name)];
        sql.add_later(
            &SCORE,
            params![id, metric, at as i64, name, raw.to_string(), reading.value, reading.spread],
        )?;
    }
    Ok(())
}

/// The paper that is meant, which is made if it is not there.
fn paper(context: &mut Context<'_>, mention: &PaperMention<'_>) -> Result<Option<i64>, Error> {
    let keys = entities::paper_keys(mention.title.trim(), mention.url.trim());
    let mentions = &mut context.state.mentions;
    if let Some(found) = mentions.find(context.sql, keys.clone())? {
        return Ok(Some(found));
    }
    mentions.forget(&keys);
    entities::new_paper(context.sql, mention)
}

fn count_row(context: &Context<'_>, row: &ReadRow, date: Option<date::DateSource>) {
    let mut report = context.report.borrow_mut();
    match date {
        Some(date::DateSource::Given) => report.found("rows with a date", 1),
        Some(_) => report.found("rows dated by their arXiv number", 1),
        None => report.found("rows without a date", 1),
    }
    for (name, raw) in &row.metrics {
        report.found("values", 1);
        let reading = value::read(raw, direction::of_size(name));
        if !reading.plain {
            report.odd("value", "is not a plain number");
            if reading.value.is_none() {
                report.odd("value", "holds no number that can be read");
            }
        }
    }
}

/// Why a row is taken back that a newer file lacks.
const LACKING: &str = "the archive's newer file does not hold it";

/// Whether a row was taken back because a file lacked it, and by nobody else.
fn was_lacking(sql: &Connection, result: i64) -> Result<bool, Error> {
    let reasons = "SELECT reason FROM log WHERE subject = ?1 AND subject_id = ?2 AND action = ?3
                   ORDER BY id DESC";
    let subject = crate::log::Subject::Result.name();
    let retract = crate::access::Act::Retract.logged();
    let last: Option<String> =
        sql.first(reasons, params![subject, result, retract], |r| r.get(0))?;
    Ok(last.is_some_and(|reason| reason == LACKING))
}

/// Rows of the archive that its newer file no longer holds are taken back, not deleted.
fn retract_missing(
    context: &Context<'_>,
    leaderboard: i64,
    here: &BTreeSet<String>,
) -> Result<(), Error> {
    let sql = context.sql;
    let rows = sql.query("SELECT id, content, model FROM results WHERE leaderboard = ?1 AND archive = ?2 AND state <> 'retracted'", params![leaderboard, context.archive], |r| {
        Ok((r.get::<i64>(0)?, r.get::<String>(1)?, r.get::<String>(2)?))
    })?;
    for (id, content, model) in rows {
        if !here.contains(&content) {
            change(sql, id, Change::Retract)?;
            crate::verify::give_up(sql, id)?;
            context.report.borrow_mut().added("rows taken back", 1);
            crate::log::Entry {
                who: &context.options.who,
                action: crate::access::Act::Retract.logged(),
                subject: crate::log::Subject::Result,
                id: Some(id),
                name: &model,
                reason: LACKING,
                details: Value::Null,
            }
            .write(sql)?;
        }
    }
    Ok(())
}
