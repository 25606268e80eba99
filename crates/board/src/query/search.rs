//! Search over everything.

use budwood_database::{Asked, Connection, Value};
use serde::{Deserialize, Serialize};

use crate::error::OfDatabase;
use crate::fulltext::{self, Entry, Wanted, Within};
use crate::words::words;
use crate::{Board, Error, dialect};

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
    let (sql, limit) = (board.sql(), limit.min(100) as usize);
    let kinds = KINDS.iter().filter(|k| kind.is_none_or(|kind| k.0 == kind));
    let mut lists: Vec<List> =
        kinds.map(|&(kind, source)| List { kind, source, found: Vec::new() }).collect();
    for wanted in &queries(text) {
        // Whatever is too short yet is asked for together.
        let mut first = Vec::new();
        for list in lists.iter_mut().filter(|list| list.found.len() < limit) {
            first.push((list.ask(sql, wanted, limit as i64)?, list));
        }
        let mut more = Vec::new();
        for (asked, list) in first {
            more.push((list.ask_more(sql, asked, wanted, limit as i64)?, list));
        }
        for (more, list) in more {
            let entries = more.read(sql, wanted, limit as i64)?;
            list.add(entries, limit);
        }
    }
    Ok(lists.into_iter().flat_map(|list| list.found).collect())
}

/// Where entries of a kind are found.
#[derive(Clone, Copy)]
enum Source {
    /// Among tasks, data sets or methods, as their index calls them, or with an empty name models.
    Named(&'static str),
    Papers,
}

const KINDS: &[(FoundKind, Source)] = &[
    (FoundKind::Task, Source::Named("task")),
    (FoundKind::Dataset, Source::Named("dataset")),
    (FoundKind::Method, Source::Named("method")),
    (FoundKind::Model, Source::Named("")),
    (FoundKind::Paper, Source::Papers),
];

/// What is found of a kind.
struct List {
    kind: FoundKind,
    source: Source,
    found: Vec<Found>,
}

/// Entries of a kind for one query: those that were read, and those that were asked for.
struct More<'s> {
    entries: Vec<Entry>,
    asked: Vec<Asked<'s>>,
    /// Whether these are papers with common words.
    are_common: bool,
}

impl List {
    /// Asks for entries with the words in their names, the shortest names first; of papers, whether
    /// the words are so common that giving each a score would take long.
    fn ask<'s>(&self, sql: &'s Connection, wanted: &Wanted, limit: i64) -> OfDatabase<Asked<'s>> {
        match self.source {
            Source::Named(kind) => fulltext::ask_entries(sql, kind, wanted, Within::Name, limit),
            Source::Papers => fulltext::ask_whether_common(sql, wanted),
        }
    }

    /// Asks for entries with the words in their texts too, if those are too few; for papers by how
    /// often the words stand in a title, in an abstract and among the authors. Where the words are
    /// common: for a few of those with most results, then for the shortest of the titles with all
    /// of them.
    fn ask_more<'s>(
        &self,
        sql: &'s Connection,
        first: Asked<'s>,
        wanted: &Wanted,
        limit: i64,
    ) -> Result<More<'s>, Error> {
        let mut more = More { entries: Vec::new(), asked: Vec::new(), are_common: false };
        match self.source {
            Source::Named(kind) => {
                more.entries = first.rows(Entry::read)?;
                if (more.entries.len() as i64) < limit {
                    more.asked.push(fulltext::ask_entries(sql, kind, wanted, Within::All, limit)?);
                }
            }
            Source::Papers => {
                more.are_common = first.first(|_| Ok(()))?.is_some();
                if more.are_common {
                    more.asked.push(ask_notable(sql, &wanted.words, limit / 2)?);
                    more.asked.push(fulltext::ask_newest(sql, wanted, Within::Name, limit)?);
                } else {
                    more.asked.push(fulltext::ask_scored(sql, wanted, limit)?);
                }
            }
        }
        Ok(more)
    }

    /// Adds what is not there yet, up to `most` in all.
    fn add(&mut self, entries: Vec<Entry>, most: usize) {
        for Entry(slug, name, line) in entries {
            if self.found.len() < most && !self.found.iter().any(|f| f.slug == slug) {
                self.found.push(Found { kind: self.kind, slug, name, line });
            }
        }
    }
}

impl More<'_> {
    /// All entries; where papers with common words are too few, then others that came last.
    fn read(self, sql: &Connection, wanted: &Wanted, limit: i64) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries;
        for asked in self.asked {
            entries.extend(asked.rows(Entry::read)?);
        }
        if self.are_common && (entries.len() as i64) < limit {
            let newest = fulltext::ask_newest(sql, wanted, Within::All, limit)?;
            entries.extend(newest.rows(Entry::read)?);
        }
        Ok(entries)
    }
}

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

/// Asks for those of the papers with most results whose titles have words that begin so.
fn ask_notable<'s>(sql: &'s Connection, words: &[String], limit: i64) -> OfDatabase<Asked<'s>> {
    // Words are letters and digits alone, and titles' keys in lower case as they are.
    let patterns: Vec<_> = words.iter().map(|w| format!("% {w}%")).collect();
    let fits: Vec<_> = (0..words.len()).map(|i| format!("n.title LIKE ?{}", i + 2)).collect();
    let query = format!(
        "SELECT p.slug, p.title, coalesce(p.date, '')
         FROM (SELECT n.id, n.results
               FROM (SELECT id, results, ' ' || title_key AS title FROM ({} LIMIT 2000) t) n
               WHERE {}
               ORDER BY n.results DESC, n.title LIMIT ?1) f
         JOIN papers p ON p.id = f.id ORDER BY f.results DESC, p.title_key",
        dialect::papers_by_results(sql),
        fits.join(" AND ")
    );
    let values: Vec<Value<'_>> =
        [limit.into()].into_iter().chain(patterns.iter().map(Into::into)).collect();
    sql.ask(&query, &values)
}
