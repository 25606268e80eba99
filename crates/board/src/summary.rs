//! What is counted ahead, so that pages need not: results and best of each leaderboard, counts of
//! everything else.

use std::collections::HashMap;

use budwood_database::{Addition, Connection, params};

use crate::direction::Direction;
use crate::error::OfDatabase;
use crate::rank::{Standing, line};
use crate::setting::elsewhere;
use crate::{Error, State, date, dialect, fulltext};

static COUNTS: Addition = Addition {
    table: "leaderboards",
    is_referred_to: false,
    one: "UPDATE leaderboards SET
            results = ?2, verified = ?3, best = ?4, best_verified = ?5, trend = ?6, moved = ?7
          WHERE id = ?1",
    many: Some(
        "UPDATE leaderboards SET results = v.results, verified = v.verified, best = v.best,
           best_verified = v.best_verified, trend = v.trend, moved = v.moved
         FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[]),
             CAST(?4 AS BIGINT[]), CAST(?5 AS BIGINT[]), CAST(?6 AS TEXT[]), CAST(?7 AS TEXT[]))
           v (id, results, verified, best, best_verified, trend, moved) WHERE leaderboards.id = v.id",
    ),
};

/// What is counted of a leaderboard's rows that are not taken back.
#[derive(Default)]
struct Counted {
    ids: Vec<i64>,
    states: Vec<State>,
    standings: Vec<Standing>,
    measured: Vec<Option<f64>>,
    direction: Option<Direction>,
    latest: Option<String>,
}

/// Brings leaderboards' counts, their best results and their trends up to date.
pub(crate) fn refresh(sql: &Connection, leaderboards: &[i64]) -> Result<(), Error> {
    let query = format!(
        "SELECT r.id, r.state, r.date, coalesce(s.measured, s.value), m.direction, s.measured, {},
                r.leaderboard
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard
         LEFT JOIN metrics m ON m.leaderboard = r.leaderboard AND m.position = 0
         LEFT JOIN scores s ON s.result = r.id AND s.metric = m.id
         WHERE {} AND r.state <> 'retracted' ORDER BY r.id, s.position",
        elsewhere("r", "l"),
        dialect::is_among(sql, "r.leaderboard", "?1")
    );
    let mut all: HashMap<i64, Counted> = HashMap::new();
    sql.query(&query, params![dialect::list(leaderboards)], |row| {
        let of = all.entry(row.get(7)?).or_default();
        let id = row.get(0)?;
        if of.ids.last() == Some(&id) {
            // A row may write one metric twice: the last one counts, as on its page.
            of.ids.pop();
            of.states.pop();
            of.measured.pop();
            of.standings.pop();
        }
        of.ids.push(id);
        let state: State = row.get(1)?;
        of.states.push(state);
        of.measured.push(row.get(5)?);
        let date: Option<String> = row.get(2)?;
        let day = date.as_deref().and_then(date::day);
        of.latest = of.latest.take().max(date);
        let counts = state != State::Mismatch && !row.get::<bool>(6)?;
        of.standings.push(Standing { value: row.get(3)?, interval: None, day, counts });
        of.direction = row.get::<Option<Direction>>(4)?.or(of.direction);
        Ok(())
    })?;
    for leaderboard in leaderboards {
        all.remove(leaderboard).unwrap_or_default().put(sql, *leaderboard)?;
    }
    Ok(())
}

impl Counted {
    fn put(&self, sql: &Connection, leaderboard: i64) -> Result<(), Error> {
        let Self { ids, states, standings, measured, .. } = self;
        let direction = self.direction.unwrap_or(Direction::Higher);
        let best = |value: &dyn Fn(usize) -> Option<f64>| -> Option<i64> {
            let mut best: Option<(f64, i64)> = None;
            for (i, id) in ids.iter().enumerate() {
                let Some(value) = value(i) else { continue };
                if best.is_none_or(|(b, _)| direction.better(value, b)) {
                    best = Some((value, *id));
                }
            }
            best.map(|b| b.1)
        };
        let best_of_all = best(&|i| standings[i].value.filter(|_| standings[i].counts));
        // Only what was measured holds the state of the art.
        let best_measured = best(&|i| measured[i].filter(|_| states[i] == State::Reevaluated));
        let trend: Vec<(i64, f64)> = line(standings, direction)
            .into_iter()
            .filter_map(|i| Some((standings[i].day?, standings[i].value?)))
            .collect();
        let verified = states.iter().filter(|s| **s == State::Reevaluated).count() as i64;
        let (results, trend) =
            (ids.len() as i64, serde_json::to_string(&trend).unwrap_or_default());
        let (best, latest) = (best_of_all, &self.latest);
        let values = params![leaderboard, results, verified, best, best_measured, trend, latest];
        Ok(sql.add_later(&COUNTS, values)?)
    }
}

/// Brings the counts of a leaderboard's task, data set and papers up to date.
pub(crate) fn refresh_around(sql: &Connection, leaderboard: i64) -> Result<(), Error> {
    refresh(sql, &[leaderboard])?;
    let (task, dataset): (i64, i64) = sql.one(
        "SELECT task, dataset FROM leaderboards WHERE id = ?1",
        params![leaderboard],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    sql.execute(&format!("{TASKS} AND tasks.id = ?1"), params![task])?;
    sql.execute(&format!("{DATASETS} AND datasets.id = ?1"), params![dataset])?;
    sql.execute(&dialect::write_counts_of_papers(sql, PAPERS_HERE), params![leaderboard])?;
    Ok(())
}

// Only what changed is written: a server keeps the old rows of a table for a while.
const TASKS: &str = "UPDATE tasks SET papers = n.papers, leaderboards = n.leaderboards, results = n.results
    FROM (SELECT t.id, (SELECT count(*) FROM paper_tasks p WHERE p.task = t.id) AS papers,
            (SELECT count(*) FROM leaderboards l WHERE l.task = t.id AND l.results > 0) AS leaderboards,
            (SELECT CAST(coalesce(sum(l.results), 0) AS BIGINT) FROM leaderboards l WHERE l.task = t.id) AS results
          FROM tasks t) n
    WHERE tasks.id = n.id
      AND (tasks.papers, tasks.leaderboards, tasks.results) <> (n.papers, n.leaderboards, n.results)";
const DATASETS: &str = "UPDATE datasets SET leaderboards = n.leaderboards, results = n.results
    FROM (SELECT d.id,
            (SELECT count(*) FROM leaderboards l WHERE l.dataset = d.id AND l.results > 0) AS leaderboards,
            (SELECT CAST(coalesce(sum(l.results), 0) AS BIGINT) FROM leaderboards l WHERE l.dataset = d.id) AS results
          FROM datasets d) n
    WHERE datasets.id = n.id AND (datasets.leaderboards, datasets.results) <> (n.leaderboards, n.results)";
/// Methods of no paper have the counts that they are made with.
const METHODS: &str = "UPDATE methods SET papers = n.papers, by_year = n.by_year
    FROM (SELECT method, CAST(sum(n) AS BIGINT) AS papers,
            '[' || coalesce(string_agg('[\"' || year || '\",' || n || ']', ',' ORDER BY year), '') || ']' AS by_year
          FROM (SELECT x.method, substr(p.date, 1, 4) AS year, count(*) AS n
                FROM paper_methods x JOIN papers p ON p.id = x.paper
                GROUP BY x.method, substr(p.date, 1, 4)) y
          GROUP BY method) n
    WHERE methods.id = n.method AND (methods.papers, methods.by_year) <> (n.papers, n.by_year)";

/// What papers of one leaderboard have.
const PAPERS_HERE: &str = "SELECT p.id AS paper, p.title_key,
      (SELECT count(*) FROM results r WHERE r.paper = p.id) AS results,
      (SELECT count(*) FROM code_links c WHERE c.paper = p.id) AS codes
    FROM papers p WHERE p.id IN (SELECT paper FROM results WHERE leaderboard = ?1)";
/// What all papers have, each table read once.
const PAPERS: &str =
    "SELECT p.id AS paper, p.title_key, coalesce(r.n, 0) AS results, coalesce(c.n, 0) AS codes
    FROM papers p
    LEFT JOIN (SELECT paper, count(*) AS n FROM results GROUP BY paper) r ON r.paper = p.id
    LEFT JOIN (SELECT paper, count(*) AS n FROM code_links GROUP BY paper) c ON c.paper = p.id";

/// Tables whose rows hold counts of others.
#[derive(Clone, Copy)]
pub(crate) enum CountsOf {
    Tasks,
    Datasets,
    Papers,
    Methods,
}

impl CountsOf {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Tasks, Self::Datasets, Self::Papers, Self::Methods];
}

/// Brings counts up to date, and what can be found.
pub(crate) fn refresh_counts(sql: &Connection, of: &[CountsOf]) -> OfDatabase<()> {
    dialect::in_whole_tables(sql, true)?;
    for counted in of {
        match counted {
            CountsOf::Tasks => sql.execute(TASKS, &[])?,
            CountsOf::Datasets => sql.execute(DATASETS, &[])?,
            CountsOf::Papers => sql.execute(&dialect::write_counts_of_papers(sql, PAPERS), &[])?,
            CountsOf::Methods => sql.execute(METHODS, &[])?,
        };
    }
    fulltext::refresh_entries(sql)?;
    dialect::in_whole_tables(sql, false)
}
