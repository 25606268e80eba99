//! One leaderboard in the form of the archive's `evaluation-tables.json`, row by row.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::query::{Leaderboard, Row};
use crate::{Board, Error, State, query};

/// What follows the rows.
const END: &str = "]}}]}]";

/// Writes a leaderboard as a list of one task with one data set. Rows that were taken back are left
/// out.
///
/// # Errors
/// If there is no such leaderboard, or `out` fails.
pub fn table(board: &Board, leaderboard: &str, mut out: impl Write) -> Result<(), Error> {
    let failed = |source| Error::Io { path: "the JSON file".into(), source };
    // What is written meanwhile does not come in between.
    let _snapshot = board.snapshot()?;
    let mut first = true;
    query::walk(board, leaderboard, true, |found, shown| {
        let Some(shown) = shown else {
            let empty = empty(found).to_string();
            let head = empty.strip_suffix(END).unwrap_or(&empty);
            return out.write_all(head.as_bytes()).map_err(failed);
        };
        if shown.state == State::Retracted {
            return Ok(());
        }
        let before = if std::mem::take(&mut first) { "\n" } else { ",\n" };
        write!(out, "{before}{}", row(found, shown)).map_err(failed)
    })?;
    writeln!(out, "{END}").map_err(failed)
}

/// The leaderboard without its rows, which are its last words.
fn empty(found: &Leaderboard) -> Value {
    let areas: Vec<&str> = found.areas.iter().map(|a| a.name.as_str()).collect();
    let metrics: Vec<&str> =
        found.metrics.iter().filter(|m| m.declared).map(|m| m.name.as_str()).collect();
    json!([{
        "task": found.item.task.name,
        "description": "",
        "categories": areas,
        "synonyms": [],
        "source_link": null,
        "subtasks": [],
        "datasets": [{
            "dataset": found.item.dataset.name,
            "description": found.description,
            "dataset_links": [],
            "dataset_citations": [],
            "subdatasets": [],
            "sota": { "metrics": metrics, "rows": [] },
        }],
    }])
}

fn row(found: &Leaderboard, row: &Row) -> Value {
    let metrics = found.metrics.iter().zip(&row.scores);
    let metrics = metrics.filter_map(|(m, s)| Some((m.name.clone(), json!(s.as_ref()?.raw))));
    json!({
        "model_name": row.model,
        "paper_title": row.paper_title,
        "paper_url": row.paper_url,
        "paper_date": row.date.as_ref().filter(|d| d.len() == 10),
        "code_links": row.code,
        "model_links": row.model_links,
        "metrics": metrics.collect::<Map<_, _>>(),
        "uses_additional_data": row.additional_data.unwrap_or(false),
    })
}
