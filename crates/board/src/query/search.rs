//! Search over everything.

use budwood_database::Value;
use serde::{Deserialize, Serialize};

use crate::fulltext::{self, Entry, Wanted, Within};
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

impl Entry {
    fn found(self, kind: FoundKind) -> Found {
        Found { kind, slug: self.0, name: self.1, line: self.2 }
    }
}

type List = fn(&Board, &Wanted, i64) -> Result<Vec<Entry>, Error>;

const KINDS: &[(FoundKind, List)] = &[
    (FoundKind::Task, |board, wanted, limit| named(board, "task", wanted, limit)),
    (FoundKind::Dataset, |board, wanted, limit| named(board, "dataset", wanted, limit)),
    (FoundKind::Method, |board, wanted, limit| named(board, "method", wanted, limit)),
    (FoundKind::Model, |board, wanted, limit| named(board, "", wanted, limit)),
    (FoundKind::Paper, papers),
];

/// What is looked for, and then the same with the last word taken for a beginning, which costs
/// more.
fn queries(text: &str) -> Vec<Wanted> {
    let mut words = words(text);
    words.truncate(12);
    let forms: &[bool] = match words.last().map(|w| w.chars().count()) {
        None => &[],
        // One or two letters begin too many words.
        Some(1 | 2) => &[false],
        Some(_) => &[false, true],
    };
    forms.iter().map(|&is_begun| Wanted { words: words.clone(), is_begun }).collect()
}

/// Entries of a kind: those with the words in their names, the shortest names first; then those
/// with the words in their texts.
fn named(board: &Board, kind: &str, wanted: &Wanted, limit: i64) -> Result<Vec<Entry>, Error> {
    let list = |within| fulltext::entries(board.sql(), kind, wanted, within, limit);
    let mut found = list(Within::Name)?;
    if (found.len() as i64) < limit {
        found.extend(list(Within::All)?);
    }
    Ok(found)
}

/// Papers, by how often the words stand in a title, in an abstract and among the authors. Where the
/// words are so common that counting would take long: a few of those with most results, then the
/// shortest of the titles with all of them, then other papers, of both the last that came in.
fn papers(board: &Board, wanted: &Wanted, limit: i64) -> Result<Vec<Entry>, Error> {
    let sql = board.sql();
    if !fulltext::is_common(sql, wanted)? {
        return fulltext::scored(sql, wanted, limit);
    }
    let mut found = notable(board, &wanted.words, limit / 2)?;
    found.extend(fulltext::newest(sql, wanted, Within::Name, limit)?);
    if (found.len() as i64) < limit {
        found.extend(fulltext::newest(sql, wanted, Within::All, limit)?);
    }
    Ok(found)
}

/// Of the papers with most results, those whose titles have words that begin so.
fn notable(board: &Board, words: &[String], limit: i64) -> Result<Vec<Entry>, Error> {
    // Words are letters and digits alone, and titles' keys in lower case as they are.
    let patterns: Vec<_> = words.iter().map(|w| format!("% {w}%")).collect();
    let fits: Vec<_> = (0..words.len()).map(|i| format!("n.title LIKE ?{}", i + 2)).collect();
    let query = format!(
        "SELECT p.slug, p.title, coalesce(p.date, '')
         FROM (SELECT n.id, n.results
               FROM (SELECT id, results, ' ' || title_key AS title FROM papers
                     WHERE results > 0 ORDER BY results DESC, title_key LIMIT 2000) n
               WHERE {}
               ORDER BY n.results DESC, n.title LIMIT ?1) f
         JOIN papers p ON p.id = f.id ORDER BY f.results DESC, p.title_key",
        fits.join(" AND ")
    );
    let values: Vec<Value<'_>> =
        [limit.into()].into_iter().chain(patterns.iter().map(Into::into)).collect();
    Ok(board.sql().query(&query, &values, Entry::read)?)
}
