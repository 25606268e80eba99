//! A leaderboard as an entry of a list.

use std::collections::{BTreeSet, HashMap};

use budwood_database::{Asked, Connection, Row, Value, params};
use serde::Serialize;

use super::{Attribution, Link, Named};
use crate::direction::Direction;
use crate::error::OfDatabase;
use crate::setting::NamedData;
use crate::state::state_of;
use crate::{Error, State, dialect};

/// Which row is meant: its number in a statement whose `?1` is the value. What belongs to a row
/// that is known by its address is asked for together with it.
#[derive(Clone, Copy)]
pub(super) struct Which<'v> {
    pub(super) number: &'static str,
    pub(super) value: Value<'v>,
}

/// A leaderboard as an entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaderboardItem {
    /// Its address: `<task>-on-<data set>`.
    pub slug: String,
    /// The task.
    pub task: Named,
    /// The data set.
    pub dataset: Named,
    /// The primary metric.
    pub metric: Option<String>,
    /// Which values of it are better.
    pub direction: Direction,
    /// The data that its results are measured on; rows of other data, or where it names none, are
    /// not re-evaluated ones.
    pub data: Option<NamedData>,
    /// Results that are not retracted.
    pub results: u64,
    /// Of these, re-evaluated ones.
    pub verified: u64,
    /// The best of all, whatever its state.
    pub best: Option<Best>,
    /// The best re-evaluated one, which holds the state of the art.
    pub best_verified: Option<Best>,
    /// Steps of the best value over time, claims included: days since 1970 and value.
    pub trend: Vec<(i64, f64)>,
    /// Date of the newest result.
    pub moved: Option<String>,
    /// Whom it comes from, if from an archive.
    pub source: Option<Attribution>,
}

/// The best result of a leaderboard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Number of the result.
    pub result: i64,
    /// The model.
    pub model: String,
    /// The primary metric's value.
    pub value: Option<f64>,
    /// As it was written.
    pub raw: Option<String>,
    /// How far that value is confirmed.
    pub state: State,
    /// Its date.
    pub date: Option<String>,
    /// Its paper.
    pub paper: Option<Named>,
    /// Its first code link.
    pub code: Option<Link>,
}

const SELECT: &str = "
    SELECT l.slug, t.slug, t.name, d.slug, d.name, m.name, m.direction, l.results, l.verified, l.trend, l.moved,
           a.name, a.attribution, a.licence, l.best, l.best_verified, l.data_sha256, l.data_split
    FROM leaderboards l
    JOIN tasks t ON t.id = l.task
    JOIN datasets d ON d.id = l.dataset
    LEFT JOIN metrics m ON m.leaderboard = l.id AND m.position = 0
    LEFT JOIN archives a ON a.id = l.archive ";

const BEST: &str = "
    SELECT r.id, r.model, coalesce(s.measured, s.value), s.raw, r.state, r.date, p.slug, p.title, r.code_links,
           s.measured, s.confirmed
    FROM results r
    LEFT JOIN metrics m ON m.leaderboard = r.leaderboard AND m.position = 0
    LEFT JOIN scores s ON s.result = r.id AND s.metric = m.id
    LEFT JOIN papers p ON p.id = r.paper";
const BEST_ORDER: &str = "ORDER BY r.id, s.position";

/// Asks for the leaderboards that `rest` (conditions, order and limit) takes.
pub(super) fn ask_leaderboards<'s>(
    sql: &'s Connection,
    rest: &str,
    values: &[Value<'_>],
) -> OfDatabase<Asked<'s>> {
    sql.ask(&format!("{SELECT}{rest}"), values)
}

/// The leaderboards that were asked for.
pub(super) fn leaderboards(
    sql: &Connection,
    asked: Asked<'_>,
) -> Result<Vec<LeaderboardItem>, Error> {
    let items = items(asked)?;
    let ids: BTreeSet<i64> = items.iter().flat_map(|item| item.best).flatten().collect();
    if ids.is_empty() {
        return Ok(with_best(items, &HashMap::new()));
    }
    let these = dialect::is_among(sql, "r.id", "?1");
    let list = dialect::list(&ids.into_iter().collect::<Vec<_>>());
    let best = sql.ask(&format!("{BEST} WHERE {these} {BEST_ORDER}"), params![list])?;
    Ok(with_best(items, &read_best(best)?))
}

/// Leaderboards that are asked for together with their best results.
pub(super) struct Whole<'s> {
    items: Asked<'s>,
    best: Asked<'s>,
}

impl<'s> Whole<'s> {
    /// Asks for leaderboards `l` that have the number of a row in a column; `rest` is more
    /// conditions, an order and a limit.
    pub(super) fn ask(
        sql: &'s Connection,
        (column, of): (&str, Which<'_>),
        rest: &str,
    ) -> OfDatabase<Self> {
        let is_of = format!("{column} = {}", of.number);
        let items = format!("WHERE {is_of} {rest}");
        let of_all = format!("FROM leaderboards l WHERE {is_of}");
        let best = format!("SELECT l.best {of_all} UNION ALL SELECT l.best_verified {of_all}");
        let best = dialect::is_given(sql, "r.id", &best);
        Ok(Self {
            items: ask_leaderboards(sql, &items, &[of.value])?,
            best: sql.ask(&format!("{BEST} WHERE {best} {BEST_ORDER}"), &[of.value])?,
        })
    }

    /// The leaderboards.
    pub(super) fn read(self) -> Result<Vec<LeaderboardItem>, Error> {
        Ok(with_best(items(self.items)?, &read_best(self.best)?))
    }
}

/// A leaderboard with the numbers of its best result and of its best re-evaluated one.
struct Item {
    item: LeaderboardItem,
    best: [Option<i64>; 2],
}

fn items(asked: Asked<'_>) -> Result<Vec<Item>, Error> {
    Ok(asked.rows(|r| Ok(Item { item: read(r)?, best: [r.get(14)?, r.get(15)?] }))?)
}

fn with_best(items: Vec<Item>, all: &HashMap<i64, Best>) -> Vec<LeaderboardItem> {
    let with_best = |Item { mut item, best }: Item| {
        [item.best, item.best_verified] = best.map(|result| all.get(&result?).cloned());
        item
    };
    items.into_iter().map(with_best).collect()
}

fn read(r: &Row<'_>) -> OfDatabase<LeaderboardItem> {
    let trend: String = r.get(9)?;
    Ok(LeaderboardItem {
        slug: r.get(0)?,
        task: Named { slug: r.get(1)?, name: r.get(2)? },
        dataset: Named { slug: r.get(3)?, name: r.get(4)? },
        metric: r.get(5)?,
        direction: r.get::<Option<_>>(6)?.unwrap_or(Direction::Higher),
        data: match (r.get(16)?, r.get(17)?) {
            (Some(sha256), Some(split)) => Some(NamedData { sha256, split }),
            _ => None,
        },
        results: r.get::<i64>(7)? as u64,
        verified: r.get::<i64>(8)? as u64,
        best: None,
        best_verified: None,
        trend: serde_json::from_str(&trend).unwrap_or_default(),
        moved: r.get(10)?,
        source: attribution(r, 11)?,
    })
}

/// The attribution in three columns from `at`.
pub(super) fn attribution(r: &Row<'_>, at: usize) -> OfDatabase<Option<Attribution>> {
    let Some(archive) = r.get(at)? else { return Ok(None) };
    Ok(Some(Attribution { archive, attribution: r.get(at + 1)?, licence: r.get(at + 2)? }))
}

/// What lists show of results, by their numbers.
fn read_best(asked: Asked<'_>) -> Result<HashMap<i64, Best>, Error> {
    let mut all = HashMap::new();
    asked.rows(|r| {
        let codes: String = r.get(8)?;
        let best = Best {
            result: r.get(0)?,
            model: r.get(1)?,
            value: r.get(2)?,
            raw: r.get::<Option<String>>(3)?.map(|raw| as_written(&raw)),
            state: state_of(r.get(4)?, r.get(9)?, r.get(10)?),
            date: r.get(5)?,
            paper: named(r, 6)?,
            code: serde_json::from_str::<Vec<Link>>(&codes).unwrap_or_default().into_iter().next(),
        };
        // Of a metric that a row names twice, the first value.
        all.entry(best.result).or_insert(best);
        Ok(())
    })?;
    Ok(all)
}

/// Slug and name in two columns from `at`, if they are there.
pub(super) fn named(r: &Row<'_>, at: usize) -> OfDatabase<Option<Named>> {
    let Some(slug) = r.get(at)? else { return Ok(None) };
    Ok(Some(Named { slug, name: r.get(at + 1)? }))
}

/// The slugs and names that were asked for.
pub(super) fn names(asked: Asked<'_>) -> Result<Vec<Named>, Error> {
    Ok(asked.rows(|r| Ok(Named { slug: r.get(0)?, name: r.get(1)? }))?)
}

/// A raw value, kept as JSON, as a person wrote it.
pub(crate) fn as_written(raw: &str) -> String {
    match serde_json::from_str(raw) {
        Ok(serde_json::Value::String(text)) => text,
        _ => raw.to_owned(),
    }
}
