//! The log.

use budwood_database::{Asked, Connection, params};
use serde::Serialize;
use serde_json::Value;

use super::{Page, Part};
use crate::error::OfDatabase;
use crate::{Board, Error};

/// Which entries are asked for; empty fields take all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Kind of what they are about: `result`, `import`, `task`, `leaderboard`, `metric`, `data`,
    /// `base`, `papers`, `token`.
    pub subject: Option<String>,
    /// Its number.
    pub id: Option<i64>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEntry {
    /// Its number; numbers only grow.
    pub id: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What was done.
    pub action: String,
    /// Kind of what it is about.
    pub subject: String,
    /// Its number.
    pub subject_id: Option<i64>,
    /// Its name at that time.
    pub subject_name: String,
    /// Why.
    pub reason: String,
    /// What changed.
    pub details: Value,
}

/// The condition of a filter, which is given as `?1` and `?2`. What is asked for stands alone, so
/// that an index answers.
fn of(filter: &LogFilter) -> String {
    let is = |given: bool, column: &str, value: &str| match given {
        true => format!("{column} = {value}"),
        false => format!("{value} IS NULL"),
    };
    let subject = is(filter.subject.is_some(), "subject", "CAST(?1 AS TEXT)");
    let id = is(filter.id.is_some(), "subject_id", "CAST(?2 AS BIGINT)");
    format!("WHERE {subject} AND {id}")
}

/// Entries of the log, newest first.
///
/// # Errors
/// If the board cannot be read.
pub fn log(board: &Board, filter: &LogFilter, part: Part) -> Result<Page<LogEntry>, Error> {
    let sql = board.sql();
    let count = match (&filter.subject, filter.id) {
        // Entries are never deleted.
        (None, None) => sql.ask("SELECT coalesce(max(id), 0) FROM log", &[])?,
        (subject, id) => {
            sql.ask(&format!("SELECT count(*) FROM log {}", of(filter)), params![subject, id])?
        }
    };
    let items = ask_entries(sql, filter, part)?;
    let count = count.one(|r| r.get::<i64>(0))? as u64;
    Ok(Page { count, offset: part.offset, items: entries(items)? })
}

/// Asks for entries, newest first.
pub(super) fn ask_entries<'s>(
    sql: &'s Connection,
    filter: &LogFilter,
    part: Part,
) -> OfDatabase<Asked<'s>> {
    let query = format!(
        "SELECT id, at, who, action, subject, subject_id, subject_name, reason, details FROM log {}
         ORDER BY id DESC LIMIT ?3 OFFSET ?4",
        of(filter)
    );
    let (limit, offset) = (part.limit(), part.offset());
    sql.ask(&query, params![filter.subject, filter.id, limit, offset])
}

/// The entries that were asked for.
pub(super) fn entries(asked: Asked<'_>) -> Result<Vec<LogEntry>, Error> {
    Ok(asked.rows(|r| {
        let details: String = r.get(8)?;
        Ok(LogEntry {
            id: r.get(0)?,
            at: r.get(1)?,
            who: r.get(2)?,
            action: r.get(3)?,
            subject: r.get(4)?,
            subject_id: r.get(5)?,
            subject_name: r.get(6)?,
            reason: r.get(7)?,
            details: serde_json::from_str(&details).unwrap_or_default(),
        })
    })?)
}
