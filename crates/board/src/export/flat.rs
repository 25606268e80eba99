//! A line for each value.

use std::io::Write;

use serde::Serialize;

use crate::direction::Direction;
use crate::query::Row;
use crate::{Board, Error, State, query};

/// A value with everything around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlatRow {
    /// Number of the result.
    pub result: i64,
    /// The leaderboard.
    pub leaderboard: String,
    /// The task.
    pub task: String,
    /// The data set.
    pub dataset: String,
    /// Split or protocol.
    pub setting: String,
    /// The model.
    pub model: String,
    /// The frozen model.
    pub base: Option<String>,
    /// The tuning method.
    pub method: Option<String>,
    /// Trained parameters.
    pub trained: Option<u64>,
    /// The metric.
    pub metric: String,
    /// Which values are better.
    pub direction: Direction,
    /// As it was written.
    pub raw: String,
    /// The number in it.
    pub value: Option<f64>,
    /// What follows `±`.
    pub spread: Option<f64>,
    /// What the board measured.
    pub measured: Option<f64>,
    /// How far this value is confirmed.
    pub state: State,
    /// Rank among re-evaluated results, of a value of the metric that ranks: the primary one.
    pub rank: Option<u32>,
    /// Its date.
    pub date: Option<String>,
    /// How the date is known.
    pub date_source: Option<crate::date::DateSource>,
    /// Whether additional data were used.
    pub additional_data: Option<bool>,
    /// The paper's title.
    pub paper: String,
    /// The paper's address.
    pub paper_url: String,
    /// Whom the leaderboard comes from.
    pub attribution: String,
    /// Terms.
    pub licence: String,
}

/// Calls `each` with every value of a leaderboard, or of all.
fn rows(
    board: &Board,
    leaderboard: Option<&str>,
    mut each: impl FnMut(FlatRow) -> Result<(), Error>,
) -> Result<(), Error> {
    // What is written meanwhile does not come in between.
    let snapshot = board.snapshot()?;
    let slugs: Vec<String> = match leaderboard {
        Some(slug) => vec![slug.into()],
        None => {
            let all = "SELECT slug FROM leaderboards WHERE results > 0 ORDER BY slug";
            snapshot.query(all, &[], |r| r.get(0))?
        }
    };
    for slug in slugs {
        query::walk(board, &slug, false, |table, row| {
            let Some(row) = row else { return Ok(()) };
            for (i, (metric, score)) in table.metrics.iter().zip(&row.scores).enumerate() {
                let Some(score) = score else { continue };
                let rank = row.rank.filter(|_| i == table.chosen);
                each(FlatRow { rank, ..flat(table, row, metric, score) })?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn flat(
    table: &query::Leaderboard,
    row: &Row,
    metric: &query::Metric,
    score: &query::Score,
) -> FlatRow {
    let source = table.item.source.as_ref();
    FlatRow {
        result: row.result,
        leaderboard: table.item.slug.clone(),
        task: table.item.task.name.clone(),
        dataset: table.item.dataset.name.clone(),
        setting: row.setting.clone(),
        model: row.model.clone(),
        base: row.base.clone(),
        method: row.method.clone(),
        trained: row.trained,
        metric: metric.name.clone(),
        direction: metric.direction,
        raw: score.raw.clone(),
        value: score.value,
        spread: score.spread,
        measured: score.measured,
        state: score.state,
        rank: row.rank,
        date: row.date.clone(),
        date_source: row.date_source,
        additional_data: row.additional_data,
        paper: row.paper_title.clone(),
        paper_url: row.paper_url.clone(),
        attribution: source.map(|s| s.attribution.clone()).unwrap_or_default(),
        licence: source.map(|s| s.licence.clone()).unwrap_or_default(),
    }
}

/// Writes a leaderboard, or all, as CSV. Texts that a spreadsheet would run as formulas get a `'`
/// before them.
///
/// # Errors
/// If there is no such leaderboard, or `out` fails.
pub fn csv(board: &Board, leaderboard: Option<&str>, out: impl Write) -> Result<(), Error> {
    let mut out = csv::Writer::from_writer(out);
    let io = |source| Error::Io { path: "the CSV file".into(), source };
    let failed = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(source) => io(source),
        other => Error::input("the CSV file", format!("{other:?}")),
    };
    let safe = |text: &mut String| {
        let number = text.parse::<f64>().is_ok();
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !number && text.len() > 1 {
            text.insert(0, '\'');
        }
    };
    rows(board, leaderboard, |mut row| {
        let given = [&mut row.base, &mut row.method, &mut row.date].into_iter().flatten();
        given.for_each(safe);
        let FlatRow { task, dataset, setting, model, metric, raw, .. } = &mut row;
        [task, dataset, setting, model, metric, raw].into_iter().for_each(safe);
        let FlatRow { paper, paper_url, attribution, licence, .. } = &mut row;
        [paper, paper_url, attribution, licence].into_iter().for_each(safe);
        out.serialize(row).map_err(failed)
    })?;
    out.flush().map_err(io)
}

/// Writes a leaderboard, or all, as a JSON list.
///
/// # Errors
/// If there is no such leaderboard, or `out` fails.
pub fn json(board: &Board, leaderboard: Option<&str>, mut out: impl Write) -> Result<(), Error> {
    let failed = |source| Error::Io { path: "the JSON file".into(), source };
    let mut first = true;
    rows(board, leaderboard, |row| {
        let open = if std::mem::take(&mut first) { "[\n" } else { ",\n" };
        let text = serde_json::to_string(&row).unwrap_or_default();
        write!(out, "{open}{text}").map_err(failed)
    })?;
    writeln!(out, "{}", if first { "[]" } else { "\n]" }).map_err(failed)
}
