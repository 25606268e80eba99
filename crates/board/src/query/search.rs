//! Search over everything.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{Board, Error};

/// Kind of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundKind {
    /// A task.
    Task,
    /// A data set.
    Dataset,
    /// A method.
    Method,
    /// A model: a row of a leaderboard.
    Model,
    /// A paper.
    Paper,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What it is.
    pub kind: FoundKind,
    /// Its address; for a model, the number of its result.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// A line on it: a date, a leaderboard, the beginning of a description.
    pub line: String,
}

/// What fits the words of `text`, best first: at most `limit` of each kind, or of one kind alone. Every word must
/// be there; the last may be a beginning. Signs have no meaning.
///
/// # Errors
/// If the board cannot be read.
pub fn search(
    board: &Board,
    text: &str,
    kind: Option<FoundKind>,
    limit: u64,
) -> Result<Vec<Found>, Error> {
    let Some(query) = fts(text) else { return Ok(Vec::new()) };
    let limit = limit.min(100) as i64;
    let mut found = Vec::new();
    for (wanted, name) in ENTRIES {
        if kind.is_none_or(|k| k == *wanted) {
            found.extend(entries(board, &query, *wanted, name, limit)?);
        }
    }
    if kind.is_none_or(|k| k == FoundKind::Paper) {
        found.extend(papers(board, &query, limit)?);
    }
    Ok(found)
}

const ENTRIES: &[(FoundKind, &str)] = &[
    (FoundKind::Task, "task"),
    (FoundKind::Dataset, "dataset"),
    (FoundKind::Method, "method"),
    (FoundKind::Model, "model"),
];

/// A query in the language of the full-text search: each word in quotes, so that nothing in it is an operator.
fn fts(text: &str) -> Option<String> {
    let mut words = words(text);
    words.truncate(12);
    let last = words.pop()?;
    let mut query: String = words.iter().map(|w| format!("\"{w}\" ")).collect();
    query += &format!("\"{last}\"");
    // One or two letters begin too many words.
    if last.chars().count() > 2 {
        query.push('*');
    }
    Some(query)
}

fn entries(
    board: &Board,
    query: &str,
    kind: FoundKind,
    name: &str,
    limit: i64,
) -> Result<Vec<Found>, Error> {
    let mut statement = board.sql().prepare_cached(
        "SELECT CAST(ref AS TEXT), name, substr(text, 1, 200) FROM entry_text
         WHERE entry_text MATCH ?1 AND kind = ?2 ORDER BY bm25(entry_text, 0, 0, 10, 1) LIMIT ?3",
    )?;
    let rows = statement.query_map(params![query, name, limit], |r| {
        Ok(Found { kind, slug: r.get(0)?, name: r.get(1)?, line: r.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn papers(board: &Board, query: &str, limit: i64) -> Result<Vec<Found>, Error> {
    let mut statement = board.sql().prepare_cached(
        "SELECT p.slug, p.title, coalesce(p.date, '')
         FROM (SELECT rowid AS id, bm25(paper_text, 10, 1, 3) AS score FROM paper_text
               WHERE paper_text MATCH ?1 ORDER BY score LIMIT ?2) f
         JOIN papers p ON p.id = f.id ORDER BY f.score",
    )?;
    let rows = statement.query_map(params![query, limit], |r| {
        Ok(Found { kind: FoundKind::Paper, slug: r.get(0)?, name: r.get(1)?, line: r.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
