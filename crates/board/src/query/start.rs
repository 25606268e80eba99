//! The start page.

use budwood_database::Asked;
use serde::Serialize;

use super::catalogue::{areas_of, ask_areas};
use super::item::{ask_leaderboards, attribution, leaderboards};
use super::{Area, Attribution, LeaderboardItem, Named};
use crate::{Board, Error, State};

/// What the start page shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// How much there is.
    pub counts: Counts,
    /// Leaderboards with re-evaluated results, then those with most results.
    pub notable: Vec<LeaderboardItem>,
    /// The newest results, submitted ones first.
    pub recent: Vec<RecentResult>,
    /// Areas with their numbers of tasks; the tasks with most results in each.
    pub areas: Vec<Area>,
    /// All archives that data comes from.
    pub sources: Vec<Attribution>,
}

/// How much a board holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks.
    pub tasks: u64,
    /// Data sets.
    pub datasets: u64,
    /// Leaderboards with results.
    pub leaderboards: u64,
    /// Results.
    pub results: u64,
    /// Of these, re-evaluated ones.
    pub verified: u64,
    /// Papers.
    pub papers: u64,
    /// Methods.
    pub methods: u64,
}

/// A result in a list of the newest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecentResult {
    /// Its number.
    pub result: i64,
    /// The model.
    pub model: String,
    /// Its leaderboard.
    pub leaderboard: String,
    /// The task.
    pub task: Named,
    /// The data set.
    pub dataset: Named,
    /// How far it is confirmed.
    pub state: State,
    /// Its date.
    pub date: Option<String>,
    /// When it came onto the board, in seconds since 1970.
    pub at: i64,
}

/// What the start page shows.
///
/// # Errors
/// If the board cannot be read.
pub fn start(board: &Board) -> Result<Start, Error> {
    let sql = board.sql();
    let notable = ask_leaderboards(
        sql,
        "WHERE l.results > 0 ORDER BY l.verified DESC, l.results DESC, l.id LIMIT 12",
        &[],
    )?;
    let (counted, newest) = (sql.ask(COUNTS, &[])?, sql.ask(RECENT, &[])?);
    let areas = ask_areas(sql, 6)?;
    let archives = sql.ask("SELECT name, attribution, licence FROM archives ORDER BY name", &[])?;
    Ok(Start {
        counts: counts(counted)?,
        notable: leaderboards(sql, notable)?,
        recent: recent(newest)?,
        areas: areas_of(sql, areas)?,
        sources: archives.rows(|r| attribution(r, 0))?.into_iter().flatten().collect(),
    })
}

// Tasks, data sets, papers and methods are never deleted, so that their numbers count them.
const COUNTS: &str = "SELECT (SELECT coalesce(max(id), 0) FROM tasks),
           (SELECT coalesce(max(id), 0) FROM datasets), l.filled, l.results, l.verified,
           (SELECT coalesce(max(id), 0) FROM papers), (SELECT coalesce(max(id), 0) FROM methods)
    FROM (SELECT count(*) FILTER (WHERE results > 0) AS filled,
            CAST(coalesce(sum(results), 0) AS BIGINT) AS results,
            CAST(coalesce(sum(verified), 0) AS BIGINT) AS verified FROM leaderboards) l";

fn counts(asked: Asked<'_>) -> Result<Counts, Error> {
    Ok(asked.one(|r| {
        let count = |column| r.get::<i64>(column).map(|n| n as u64);
        Ok(Counts {
            tasks: count(0)?,
            datasets: count(1)?,
            leaderboards: count(2)?,
            results: count(3)?,
            verified: count(4)?,
            papers: count(5)?,
            methods: count(6)?,
        })
    })?)
}

const RECENT: &str =
    "SELECT r.id, r.model, l.slug, t.slug, t.name, d.slug, d.name, r.state, r.date, r.at
     FROM results r JOIN leaderboards l ON l.id = r.leaderboard
     JOIN tasks t ON t.id = l.task JOIN datasets d ON d.id = l.dataset
     WHERE r.state <> 'retracted' ORDER BY r.at DESC, r.id DESC LIMIT 12";

fn recent(asked: Asked<'_>) -> Result<Vec<RecentResult>, Error> {
    Ok(asked.rows(|r| {
        Ok(RecentResult {
            result: r.get(0)?,
            model: r.get(1)?,
            leaderboard: r.get(2)?,
            task: Named { slug: r.get(3)?, name: r.get(4)? },
            dataset: Named { slug: r.get(5)?, name: r.get(6)? },
            state: r.get(7)?,
            date: r.get(8)?,
            at: r.get(9)?,
        })
    })?)
}
