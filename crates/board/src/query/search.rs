//! Search over everything.

use rusqlite::{Row, params};
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

/// What fits the words of `text`, best first: at most `limit` of each kind, or of one kind alone.
/// Every word must be there; where too little has the last one, it may be a beginning. Signs have
/// no meaning.
///
/// # Errors
/// If the board cannot be read.
pub fn search(
    board: &Board,
    text: &str,
    kind: Option<FoundKind>,
    limit: u64,
) -> Result<Vec<Found>, Error> {
    let limit = limit.min(100) as usize;
    let queries = queries(text);
    let mut found = Vec::new();
    for &(of, list) in KINDS {
        if kind.is_some_and(|k| k != of) {
            continue;
        }
        let start = found.len();
        for query in &queries {
            let left = limit - (found.len() - start);
            if left > 0 {
                let more = list(board, query, limit as i64)?;
                add(&mut found, start, more.into_iter().map(|e| e.found(of)), left);
            }
        }
    }
    Ok(found)
}

/// Adds up to `most` of what is not there yet, from number `start` on.
fn add(found: &mut Vec<Found>, start: usize, more: impl Iterator<Item = Found>, most: usize) {
    let end = found.len() + most;
    for one in more {
        if found.len() < end && !found[start..].iter().any(|f| f.slug == one.slug) {
            found.push(one);
        }
    }
}

/// What a list gives: address, name, line.
struct Entry(String, String, String);

impl Entry {
    fn read(r: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self(r.get(0)?, r.get(1)?, r.get(2)?))
    }

    fn found(self, kind: FoundKind) -> Found {
        Found { kind, slug: self.0, name: self.1, line: self.2 }
    }
}

/// What is looked for: the words, and the same in the language of the full-text search.
struct Query {
    words: Vec<String>,
    fts: String,
}

type List = fn(&Board, &Query, i64) -> Result<Vec<Entry>, Error>;

const KINDS: &[(FoundKind, List)] = &[
    (FoundKind::Task, |board, query, limit| named(board, "entry_text", "task", query, limit)),
    (FoundKind::Dataset, |board, query, limit| named(board, "entry_text", "dataset", query, limit)),
    (FoundKind::Method, |board, query, limit| named(board, "entry_text", "method", query, limit)),
    (FoundKind::Model, |board, query, limit| named(board, "model_text", "", query, limit)),
    (FoundKind::Paper, papers),
];

/// Entries that are put in order at most. Common words fit hundreds of thousands, and a reader
/// reads a few.
const MOST: i64 = 500;

/// Each word in quotes, so that nothing in it is an operator. The second query takes the last word
/// for a beginning, which costs more.
fn queries(text: &str) -> Vec<Query> {
    let mut words = words(text);
    words.truncate(12);
    let whole = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" ");
    let forms = match words.last().map(|w| w.chars().count()) {
        None => Vec::new(),
        // One or two letters begin too many words.
        Some(1 | 2) => vec![whole],
        Some(_) => vec![whole.clone(), whole + "*"],
    };
    forms.into_iter().map(|fts| Query { words: words.clone(), fts }).collect()
}

/// Entries of a table: those with the words in their names, the shortest names first; then those
/// with the words in their texts.
fn named(
    board: &Board,
    table: &str,
    kind: &str,
    query: &Query,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let mut statement = board.sql().prepare_cached(&format!(
        "SELECT CAST(ref AS TEXT), name, substr(text, 1, 200)
         FROM (SELECT ref, name, text FROM {table} WHERE {table} MATCH ?1 ORDER BY rowid DESC LIMIT {MOST})
         ORDER BY length(name), name LIMIT ?2"
    ))?;
    let of_kind = if kind.is_empty() { String::new() } else { format!("kind : \"{kind}\" AND ") };
    let mut list = |place: &str| -> Result<Vec<Entry>, Error> {
        let query = format!("{of_kind}{{{place}}} : ({})", query.fts);
        let rows = statement.query_map(params![query, limit], Entry::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut found = list("name")?;
    if (found.len() as i64) < limit {
        found.extend(list("name text")?);
    }
    Ok(found)
}

/// Papers, by how often the words stand in a title, in an abstract and among the authors. Where the
/// words are so common that counting would take long: a few of those with most results, then the
/// shortest of the titles with all of them, then other papers, of both the last that came in.
fn papers(board: &Board, query: &Query, limit: i64) -> Result<Vec<Entry>, Error> {
    let sql = board.sql();
    let common = sql
        .prepare_cached(
            "SELECT 1 FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2",
        )?
        .exists(params![query.fts, MOST])?;
    let list = |from: &str, query: &str| -> Result<Vec<Entry>, Error> {
        let mut statement = sql.prepare_cached(&format!(
            "SELECT p.slug, p.title, coalesce(p.date, '') FROM ({from}) f JOIN papers p ON p.id = f.id
             ORDER BY f.score, length(p.title) LIMIT ?2"
        ))?;
        let rows = statement.query_map(params![query, limit], Entry::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    if !common {
        let scored = "SELECT rowid AS id, bm25(paper_text, 10, 1, 3) AS score FROM paper_text
                      WHERE paper_text MATCH ?1 ORDER BY score LIMIT ?2";
        return list(scored, &query.fts);
    }
    let newest = |n: i64| {
        format!(
            "SELECT rowid AS id, 0 AS score FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT {n}"
        )
    };
    let mut found = notable(board, &query.words, limit / 2)?;
    found.extend(list(&newest(MOST), &format!("{{title}} : ({})", query.fts))?);
    if (found.len() as i64) < limit {
        found.extend(list(&newest(2 * limit), &query.fts)?);
    }
    Ok(found)
}

/// Of the papers with most results, those whose titles have words that begin so.
fn notable(board: &Board, words: &[String], limit: i64) -> Result<Vec<Entry>, Error> {
    let mut statement = board.sql().prepare_cached(
        "SELECT p.slug, p.title, coalesce(p.date, '')
         FROM (SELECT n.id, n.results
               FROM (SELECT id, results, ' ' || title_key AS title FROM papers
                     WHERE results > 0 ORDER BY results DESC LIMIT 2000) n
               WHERE NOT EXISTS (SELECT 1 FROM json_each(?1) w WHERE instr(n.title, ' ' || w.value) = 0)
               ORDER BY n.results DESC LIMIT ?2) f
         JOIN papers p ON p.id = f.id ORDER BY f.results DESC",
    )?;
    let words = serde_json::Value::from(words.to_vec()).to_string();
    let rows = statement.query_map(params![words, limit], Entry::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
