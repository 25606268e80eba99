//! Methods.

use budwood_database::{Asked, params};
use serde::Serialize;

use super::item::{as_written, attribution};
use super::paper::OfThing;
use super::{Attribution, Link, Named, Page, PaperItem, Part};
use crate::state::state_of;
use crate::{Board, Error, State};

/// A method as an entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodItem {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its name in full.
    pub full_name: String,
    /// The first of what it is.
    pub summary: String,
    /// When it was introduced.
    pub year: Option<i64>,
    /// Papers that use it.
    pub papers: u64,
    /// Whether this program trains it.
    pub implemented: bool,
}

/// A collection that a method belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// The area.
    pub area: String,
    /// The collection in it.
    pub name: String,
}

/// A method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Method {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Its name in full.
    pub full_name: String,
    /// What it is, in Markdown.
    pub description: String,
    /// When it was introduced.
    pub year: Option<i64>,
    /// Its source.
    pub source_link: Option<Link>,
    /// Code.
    pub code: Option<String>,
    /// The paper that introduced it.
    pub paper: Option<Named>,
    /// The method of `budwood train --method` that implements it.
    pub implemented: Option<String>,
    /// Collections.
    pub collections: Vec<Collection>,
    /// Papers that use it, newest first.
    pub papers: Page<PaperItem>,
    /// Papers by year.
    pub by_year: Vec<(String, u64)>,
    /// Results that were made with it, newest first; at most 100.
    pub results: Vec<MethodResult>,
    /// Whom it comes from, if from an archive.
    pub source: Option<Attribution>,
}

/// A result that was made with a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodResult {
    /// Its number.
    pub result: i64,
    /// Its leaderboard.
    pub leaderboard: String,
    /// The task.
    pub task: Named,
    /// The data set.
    pub dataset: Named,
    /// The model.
    pub model: String,
    /// The base model.
    pub base: Option<String>,
    /// The method with its options.
    pub method: Option<String>,
    /// Trained parameters.
    pub trained: Option<u64>,
    /// The primary metric.
    pub metric: Option<String>,
    /// Its value as it was written.
    pub raw: Option<String>,
    /// What the board measured.
    pub measured: Option<f64>,
    /// How far it is confirmed.
    pub state: State,
}

/// Methods: those that this program trains, then those of most papers.
///
/// # Errors
/// If the board cannot be read.
pub fn methods(board: &Board, part: Part) -> Result<Page<MethodItem>, Error> {
    let sql = board.sql();
    let count = sql.ask("SELECT coalesce(max(id), 0) FROM methods", &[])?;
    let items = sql.ask(
        "SELECT slug, name, full_name, substr(description, 1, 200), year, papers, implemented IS NOT NULL
         FROM methods ORDER BY implemented IS NULL, papers DESC, name LIMIT ?1 OFFSET ?2",
        params![part.limit(), part.offset()],
    )?;
    let count: i64 = count.one(|r| r.get(0))?;
    let items = items.rows(|r| {
        Ok(MethodItem {
            slug: r.get(0)?,
            name: r.get(1)?,
            full_name: r.get(2)?,
            summary: r.get(3)?,
            year: r.get(4)?,
            papers: r.get::<i64>(5)? as u64,
            implemented: r.get(6)?,
        })
    })?;
    Ok(Page { count: count as u64, offset: part.offset, items })
}

/// A method by its address; `part` says which of its papers.
///
/// # Errors
/// If there is none.
pub fn method(board: &Board, address: &str, part: Part) -> Result<Method, Error> {
    let sql = board.sql();
    let found = sql.ask("SELECT m.slug, m.name, m.full_name, m.description, m.year, m.source_title, m.source_url, m.code_url,
                    p.slug, p.title, m.implemented, m.papers, a.name, a.attribution, a.licence, m.by_year
             FROM methods m LEFT JOIN papers p ON p.id = m.paper LEFT JOIN archives a ON a.id = m.archive
             WHERE m.slug = ?1", params![address])?;
    let papers = OfThing::ask(sql, ("method", address), part)?;
    let collections = sql.ask(COLLECTIONS, params![address])?;
    let made = sql.ask(RESULTS, params![address])?;
    let found = found.first(|r| {
        let title: Option<String> = r.get(5)?;
        let url: Option<String> = r.get(6)?;
        Ok(Method {
            slug: r.get(0)?,
            name: r.get(1)?,
            full_name: r.get(2)?,
            description: r.get(3)?,
            year: r.get(4)?,
            source_link: url.map(|url| Link { title: title.unwrap_or_default(), url }),
            code: r.get(7)?,
            paper: super::item::named(r, 8)?,
            implemented: r.get(10)?,
            collections: Vec::new(),
            papers: Page {
                count: r.get::<i64>(11)? as u64,
                offset: part.offset,
                items: Vec::new(),
            },
            by_year: serde_json::from_str(&r.get::<String>(15)?).unwrap_or_default(),
            results: Vec::new(),
            source: attribution(r, 12)?,
        })
    })?;
    let mut method = found.ok_or_else(|| Error::missing("method", address))?;
    method.collections =
        collections.rows(|r| Ok(Collection { area: r.get(0)?, name: r.get(1)? }))?;
    method.papers.items = papers.read(sql, method.papers.count)?;
    method.results = results(made)?;
    Ok(method)
}

const COLLECTIONS: &str = "SELECT area, collection FROM method_collections
     WHERE method = (SELECT id FROM methods WHERE slug = ?1) ORDER BY area, collection";

const RESULTS: &str =
    "SELECT r.id, l.slug, t.slug, t.name, d.slug, d.name, r.model, r.base, r.method, r.trained, m.name, s.raw,
                s.measured, r.state, s.confirmed
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard JOIN tasks t ON t.id = l.task
         JOIN datasets d ON d.id = l.dataset LEFT JOIN metrics m ON m.leaderboard = l.id AND m.position = 0
         LEFT JOIN scores s ON s.result = r.id AND s.metric = m.id
         WHERE r.method_id = (SELECT id FROM methods WHERE slug = ?1)
           AND r.state <> 'retracted' ORDER BY r.id DESC LIMIT 100";

fn results(asked: Asked<'_>) -> Result<Vec<MethodResult>, Error> {
    Ok(asked.rows(|r| {
        Ok(MethodResult {
            result: r.get(0)?,
            leaderboard: r.get(1)?,
            task: Named { slug: r.get(2)?, name: r.get(3)? },
            dataset: Named { slug: r.get(4)?, name: r.get(5)? },
            model: r.get(6)?,
            base: r.get(7)?,
            method: r.get(8)?,
            trained: r.get::<Option<i64>>(9)?.map(|n| n as u64),
            metric: r.get(10)?,
            raw: r.get::<Option<String>>(11)?.map(|raw| as_written(&raw)),
            measured: r.get(12)?,
            state: state_of(r.get(13)?, r.get(12)?, r.get(14)?),
        })
    })?)
}
