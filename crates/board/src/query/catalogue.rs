//! Areas, tasks and data sets.

use std::collections::HashMap;

use budwood_database::{Asked, Connection, Row, Value as SqlValue, params};
use serde::Serialize;
use serde_json::Value;

use super::item::{Which, Whole, attribution, named, names};
use super::paper::OfThing;
use super::{Attribution, LeaderboardItem, Link, Named, Page, PaperItem, Part};
use crate::error::OfDatabase;
use crate::text::slug;
use crate::{Board, Error, dialect};

/// An area, with its tasks of most results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Area {
    /// Its address, made from its name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Tasks in it.
    pub tasks: u64,
    /// Leaderboards in it.
    pub leaderboards: u64,
    /// Its tasks, those with most results first; not all of them.
    pub top: Vec<TaskItem>,
}

/// An area with all its tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AreaItem {
    /// Its name.
    pub name: String,
    /// Its tasks, those with most results first.
    pub tasks: Page<TaskItem>,
}

/// A task as an entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskItem {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Leaderboards with results.
    pub leaderboards: u64,
    /// Results.
    pub results: u64,
    /// Papers.
    pub papers: u64,
    /// Its parts, those with most results first; at most 12.
    pub subtasks: Vec<Named>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it is, in Markdown.
    pub description: String,
    /// Areas that it belongs to.
    pub areas: Vec<Named>,
    /// Tasks that it is a part of.
    pub parents: Vec<Named>,
    /// Its parts.
    pub subtasks: Vec<TaskItem>,
    /// Its leaderboards, those with re-evaluated results and with most results first.
    pub leaderboards: Vec<LeaderboardItem>,
    /// Data sets that are used for it, with or without a leaderboard; at most 60.
    pub datasets: Vec<Named>,
    /// Its papers, newest first.
    pub papers: Page<PaperItem>,
    /// Whom it comes from, if from an archive.
    pub source: Option<Attribution>,
}

/// A data set as an entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetItem {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The first of what it is.
    pub summary: String,
    /// Leaderboards with results.
    pub leaderboards: u64,
    /// Results.
    pub results: u64,
    /// Kinds of data, such as `Texts`.
    pub modalities: Vec<String>,
}

/// Code that loads a data set.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Loader {
    /// Where it is.
    #[serde(default)]
    pub url: String,
    /// The repository.
    #[serde(default)]
    pub repo: String,
    /// Frameworks.
    #[serde(default)]
    pub frameworks: Vec<String>,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dataset {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its name in full.
    pub full_name: String,
    /// What it is, in Markdown.
    pub description: String,
    /// Its own page.
    pub homepage: String,
    /// When it was introduced.
    pub introduced: Option<String>,
    /// Its terms.
    pub licence: Link,
    /// Kinds of data.
    pub modalities: Vec<String>,
    /// Languages.
    pub languages: Vec<String>,
    /// Variants.
    pub variants: Vec<String>,
    /// Code that loads it.
    pub loaders: Vec<Loader>,
    /// The paper that introduced it.
    pub paper: Option<Named>,
    /// The data set that it is a part of.
    pub parent: Option<Named>,
    /// Its parts.
    pub parts: Vec<Named>,
    /// Tasks that it is used for.
    pub tasks: Vec<Named>,
    /// Its leaderboards.
    pub leaderboards: Vec<LeaderboardItem>,
    /// Labelled data on this machine that the board evaluates on, by split.
    pub local: Vec<LocalData>,
    /// Links of its tables.
    pub links: Vec<Link>,
    /// Whom it comes from, if from an archive.
    pub source: Option<Attribution>,
}

/// Labelled data on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalData {
    /// The split.
    pub split: String,
    /// Examples.
    pub rows: u64,
    /// SHA-256 over the examples.
    pub sha256: String,
}

/// All areas with up to `top` tasks each; those with most tasks first. Tasks without an area stand
/// in "Other".
///
/// # Errors
/// If the board cannot be read.
pub fn areas(board: &Board, top: u64) -> Result<Vec<Area>, Error> {
    areas_of(board.sql(), ask_areas(board.sql(), top)?)
}

/// Asks for all areas, and for the first tasks of each.
pub(super) fn ask_areas(sql: &Connection, top: u64) -> OfDatabase<(Asked<'_>, Option<Asked<'_>>)> {
    let areas = sql.ask(
        "SELECT area, count(*), CAST(sum(leaderboards) AS BIGINT) FROM (
            SELECT a.area, t.leaderboards FROM task_areas a JOIN tasks t ON t.id = a.task
            UNION ALL
            SELECT ?1, leaderboards FROM tasks WHERE id NOT IN (SELECT task FROM task_areas)) a
         GROUP BY area ORDER BY area = ?1, count(*) DESC, area",
        params![OTHER],
    )?;
    if top == 0 {
        return Ok((areas, None));
    }
    let tops = format!(
        "SELECT {TASK_ITEM}, t.area FROM (
           SELECT t.*, x.area, row_number() OVER (PARTITION BY x.area ORDER BY {MOST_RESULTS}) AS n
           FROM tasks t JOIN (
             SELECT task, area FROM task_areas
             UNION SELECT id, ?1 FROM tasks WHERE id NOT IN (SELECT task FROM task_areas)) x
           ON x.task = t.id) t
         WHERE t.n <= ?2 ORDER BY t.area, t.n"
    );
    let top = i64::try_from(top).unwrap_or(i64::MAX);
    Ok((areas, Some(sql.ask(&tops, params![OTHER, top])?)))
}

/// The areas that were asked for.
pub(super) fn areas_of(
    sql: &Connection,
    (areas, tops): (Asked<'_>, Option<Asked<'_>>),
) -> Result<Vec<Area>, Error> {
    let areas = areas
        .rows(|r| Ok((r.get::<String>(0)?, r.get::<i64>(1)? as u64, r.get::<i64>(2)? as u64)))?;
    let mut tasks_of: HashMap<String, Vec<TaskItem>> = HashMap::new();
    if let Some(tops) = tops {
        let mut names: Vec<String> = Vec::new();
        let rows = tops.rows(|r| {
            names.push(r.get(6)?);
            read_task_item(r)
        })?;
        for (area, item) in names.into_iter().zip(with_parts(sql, rows)?) {
            tasks_of.entry(area).or_default().push(item);
        }
    }
    let area = |(name, tasks, leaderboards): (String, u64, u64)| {
        let top = tasks_of.remove(&name).unwrap_or_default();
        Area { slug: slug(&name), name, tasks, leaderboards, top }
    };
    Ok(areas.into_iter().map(area).collect())
}

const OTHER: &str = "Other";

/// An area by its address, with its tasks.
///
/// # Errors
/// If there is none.
pub fn area(board: &Board, address: &str, part: Part) -> Result<AreaItem, Error> {
    let found = areas(board, 0)?.into_iter().find(|a| a.slug == address);
    let area = found.ok_or_else(|| Error::missing("area", address))?;
    let items = tasks_of(board, &area.name, part)?;
    Ok(AreaItem { name: area.name, tasks: Page { count: area.tasks, offset: part.offset, items } })
}

/// All tasks, those with most results first.
///
/// # Errors
/// If the board cannot be read.
pub fn tasks(board: &Board, part: Part) -> Result<Page<TaskItem>, Error> {
    let sql = board.sql();
    let count = sql.ask("SELECT coalesce(max(id), 0) FROM tasks", &[])?;
    let rest = format!("ORDER BY {MOST_RESULTS} LIMIT ?1 OFFSET ?2");
    let items = ask_tasks(sql, &rest, params![part.limit(), part.offset()])?;
    let count = count.one(|r| r.get::<i64>(0))? as u64;
    Ok(Page { count, offset: part.offset, items: task_items(sql, items)? })
}

fn tasks_of(board: &Board, area: &str, part: Part) -> Result<Vec<TaskItem>, Error> {
    let within = if area == OTHER {
        "WHERE (t.id NOT IN (SELECT task FROM task_areas) OR t.id IN (SELECT task FROM task_areas WHERE area = ?1))"
    } else {
        "WHERE t.id IN (SELECT task FROM task_areas WHERE area = ?1)"
    };
    let rest = format!("{within} ORDER BY {MOST_RESULTS} LIMIT ?2 OFFSET ?3");
    let sql = board.sql();
    task_items(sql, ask_tasks(sql, &rest, params![area, part.limit(), part.offset()])?)
}

fn ask_tasks<'s>(
    sql: &'s Connection,
    rest: &str,
    values: &[SqlValue<'_>],
) -> OfDatabase<Asked<'s>> {
    sql.ask(&format!("SELECT {TASK_ITEM} FROM tasks t {rest}"), values)
}

fn task_items(sql: &Connection, asked: Asked<'_>) -> Result<Vec<TaskItem>, Error> {
    with_parts(sql, asked.rows(read_task_item)?)
}

/// What [`read_task_item`] reads of tasks `t`.
const TASK_ITEM: &str = "t.id, t.slug, t.name, t.leaderboards, t.results, t.papers";
/// The order of tasks `t` in lists.
const MOST_RESULTS: &str = "t.results DESC, t.papers DESC, t.name";

fn read_task_item(r: &Row<'_>) -> OfDatabase<(i64, TaskItem)> {
    let item = TaskItem {
        slug: r.get(1)?,
        name: r.get(2)?,
        leaderboards: r.get::<i64>(3)? as u64,
        results: r.get::<i64>(4)? as u64,
        papers: r.get::<i64>(5)? as u64,
        subtasks: Vec::new(),
    };
    Ok((r.get(0)?, item))
}

/// Tasks with the names of their parts.
fn with_parts(sql: &Connection, rows: Vec<(i64, TaskItem)>) -> Result<Vec<TaskItem>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!(
        "SELECT c.parent, t.slug, t.name FROM task_children c JOIN tasks t ON t.id = c.child
         WHERE {} ORDER BY t.results DESC, t.name",
        dialect::is_among(sql, "c.parent", "?1")
    );
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let mut parts: HashMap<i64, Vec<Named>> = HashMap::new();
    sql.query(&query, params![dialect::list(&ids)], |r| {
        let of = parts.entry(r.get(0)?).or_default();
        of.push(Named { slug: r.get(1)?, name: r.get(2)? });
        Ok(())
    })?;
    let with_parts = |(id, mut item): (i64, TaskItem)| {
        item.subtasks = parts.get(&id).into_iter().flatten().take(12).cloned().collect();
        item
    };
    Ok(rows.into_iter().map(with_parts).collect())
}

/// A task by its address; `part` says which of its papers.
///
/// # Errors
/// If there is none.
pub fn task(board: &Board, address: &str, part: Part) -> Result<Task, Error> {
    let sql = board.sql();
    const NUMBER: &str = "(SELECT id FROM tasks WHERE slug = ?1)";
    let of = Which { number: NUMBER, value: address.into() };
    let found = sql.ask(
        "SELECT t.slug, t.name, t.description, t.papers, a.name, a.attribution, a.licence
         FROM tasks t LEFT JOIN archives a ON a.id = t.archive WHERE t.slug = ?1",
        params![address],
    )?;
    let ask = |query: String| sql.ask(&query, params![address]);
    let areas = ask(format!("SELECT area FROM task_areas WHERE task = {NUMBER} ORDER BY area"))?;
    let parents = ask(format!(
        "SELECT t.slug, t.name FROM task_children c JOIN tasks t ON t.id = c.parent
         WHERE c.child = {NUMBER} ORDER BY t.name"
    ))?;
    let subtasks = format!(
        "JOIN task_children c ON c.child = t.id WHERE c.parent = {NUMBER}
         ORDER BY t.results DESC, t.name LIMIT 500"
    );
    let subtasks = ask_tasks(sql, &subtasks, params![address])?;
    let rest = "AND l.results > 0 ORDER BY l.verified DESC, l.results DESC, l.id LIMIT 500";
    let tables = Whole::ask(sql, ("l.task", of), rest)?;
    let datasets = ask(format!(
        "SELECT d.slug, d.name FROM dataset_tasks x JOIN datasets d ON d.id = x.dataset
         WHERE x.task = {NUMBER} ORDER BY d.results DESC, d.name LIMIT 60"
    ))?;
    let papers = OfThing::ask(sql, ("task", address), part)?;
    let found = found.first(|r| {
        let texts: (String, String, String) = (r.get(0)?, r.get(1)?, r.get(2)?);
        Ok((texts, r.get::<i64>(3)? as u64, attribution(r, 4)?))
    })?;
    let ((address, name, description), count, source) =
        found.ok_or_else(|| Error::missing("task", address))?;
    let papers = papers.read(sql, count)?;
    let area = |name: String| Named { slug: slug(&name), name };
    Ok(Task {
        slug: address,
        name,
        description,
        areas: areas.rows(|r| r.get(0).map(area))?,
        parents: names(parents)?,
        subtasks: task_items(sql, subtasks)?,
        leaderboards: tables.read()?,
        datasets: names(datasets)?,
        papers: Page { count, offset: part.offset, items: papers },
        source,
    })
}

/// Data sets, those with most results first.
///
/// # Errors
/// If the board cannot be read.
pub fn datasets(board: &Board, part: Part) -> Result<Page<DatasetItem>, Error> {
    let sql = board.sql();
    let count = sql.ask("SELECT coalesce(max(id), 0) FROM datasets", &[])?;
    let items = sql.ask(
        "SELECT slug, name, substr(description, 1, 200), leaderboards, results, details
         FROM datasets ORDER BY results DESC, name LIMIT ?1 OFFSET ?2",
        params![part.limit(), part.offset()],
    )?;
    let count: i64 = count.one(|r| r.get(0))?;
    let items = items.rows(|r| {
        Ok(DatasetItem {
            slug: r.get(0)?,
            name: r.get(1)?,
            summary: r.get(2)?,
            leaderboards: r.get::<i64>(3)? as u64,
            results: r.get::<i64>(4)? as u64,
            modalities: texts(&details(r, 5)?, "modalities"),
        })
    })?;
    Ok(Page { count: count as u64, offset: part.offset, items })
}

/// What an archive says beyond the columns.
fn details(r: &Row<'_>, column: usize) -> OfDatabase<Value> {
    Ok(serde_json::from_str(&r.get::<String>(column)?).unwrap_or_default())
}

/// A list of texts among the details.
fn texts(details: &Value, name: &str) -> Vec<String> {
    serde_json::from_value(details[name].clone()).unwrap_or_default()
}

/// A data set by its address.
///
/// # Errors
/// If there is none.
pub fn dataset(board: &Board, address: &str) -> Result<Dataset, Error> {
    let sql = board.sql();
    const NUMBER: &str = "(SELECT id FROM datasets WHERE slug = ?1)";
    let of = Which { number: NUMBER, value: address.into() };
    let ask = |query: &str| sql.ask(query, params![address]);
    let found = ask(
        "SELECT d.slug, d.name, d.full_name, d.description, d.homepage, d.introduced, d.licence_name,
                d.licence_url, d.details, p.slug, p.title, o.slug, o.name, a.name, a.attribution, a.licence
         FROM datasets d LEFT JOIN papers p ON p.id = d.paper LEFT JOIN datasets o ON o.id = d.parent
         LEFT JOIN archives a ON a.id = d.archive WHERE d.slug = ?1",
    )?;
    let parts =
        ask(&format!("SELECT slug, name FROM datasets WHERE parent = {NUMBER} ORDER BY name"))?;
    let tasks = ask(&format!(
        "SELECT t.slug, t.name FROM dataset_tasks x JOIN tasks t ON t.id = x.task
         WHERE x.dataset = {NUMBER} ORDER BY t.results DESC, t.name"
    ))?;
    let rest = "AND l.results > 0 ORDER BY l.verified DESC, l.results DESC, l.id LIMIT 200";
    let tables = Whole::ask(sql, ("l.dataset", of), rest)?;
    let nodes =
        ask(&format!("SELECT details FROM nodes WHERE dataset = {NUMBER} ORDER BY id LIMIT 50"))?;
    let local = ask(&format!(
        "SELECT DISTINCT s.split, s.rows, s.sha256 FROM data_sources s
         WHERE s.sha256 IN (SELECT r.data_sha256 FROM results r JOIN leaderboards l ON l.id = r.leaderboard
                            WHERE l.dataset = {NUMBER})
         ORDER BY s.split"
    ))?;
    let mut set = found.first(read_dataset)?.ok_or_else(|| Error::missing("data set", address))?;
    set.parts = names(parts)?;
    set.tasks = names(tasks)?;
    set.leaderboards = tables.read()?;
    set.links = links(nodes)?;
    set.local = local.rows(|r| {
        Ok(LocalData { split: r.get(0)?, rows: r.get::<i64>(1)? as u64, sha256: r.get(2)? })
    })?;
    Ok(set)
}

fn read_dataset(r: &Row<'_>) -> OfDatabase<Dataset> {
    let details = details(r, 8)?;
    let texts = |name| texts(&details, name);
    Ok(Dataset {
        slug: r.get(0)?,
        name: r.get(1)?,
        full_name: r.get(2)?,
        description: r.get(3)?,
        homepage: r.get(4)?,
        introduced: r.get(5)?,
        licence: Link { title: r.get(6)?, url: r.get(7)? },
        modalities: texts("modalities"),
        languages: texts("languages"),
        variants: texts("variants"),
        loaders: serde_json::from_value(details["data_loaders"].clone()).unwrap_or_default(),
        paper: named(r, 9)?,
        parent: named(r, 11)?,
        parts: Vec::new(),
        tasks: Vec::new(),
        leaderboards: Vec::new(),
        local: Vec::new(),
        links: Vec::new(),
        source: attribution(r, 13)?,
    })
}

/// The links that the archive's tables give for a data set.
fn links(nodes: Asked<'_>) -> Result<Vec<Link>, Error> {
    let rows = nodes.rows(|r| r.get::<String>(0))?;
    let mut links: Vec<Link> = Vec::new();
    for details in rows {
        let details: Value = serde_json::from_str(&details).unwrap_or_default();
        for name in ["dataset_links", "dataset_citations"] {
            let more: Vec<Link> = serde_json::from_value(details[name].clone()).unwrap_or_default();
            links.extend(more.into_iter().filter(|l| !l.url.is_empty()));
        }
    }
    links.sort_by(|a, b| a.url.cmp(&b.url));
    links.dedup_by(|a, b| a.url == b.url);
    Ok(links)
}
