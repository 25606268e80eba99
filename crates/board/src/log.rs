//! The log: every change to the board, who made it, when and why. Entries are only ever added.

use budwood_database::{Connection, params};
use serde_json::Value;

use crate::Error;
use crate::db::now;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Base,
    Data,
    Import,
    Leaderboard,
    Metric,
    Papers,
    Result,
    Task,
    Token,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Data => "data",
            Self::Import => "import",
            Self::Leaderboard => "leaderboard",
            Self::Metric => "metric",
            Self::Papers => "papers",
            Self::Result => "result",
            Self::Task => "task",
            Self::Token => "token",
        }
    }
}

/// A new entry.
pub(crate) struct Entry<'a> {
    pub(crate) who: &'a str,
    pub(crate) action: &'a str,
    pub(crate) subject: Subject,
    pub(crate) id: Option<i64>,
    pub(crate) name: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) details: Value,
}

impl Entry<'_> {
    /// Adds it, in the transaction of the change that it tells of.
    pub(crate) fn write(&self, sql: &Connection) -> Result<(), Error> {
        sql.execute(
            "INSERT INTO log (at, who, action, subject, subject_id, subject_name, reason, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                now(),
                self.who,
                self.action,
                self.subject.name(),
                self.id,
                self.name,
                self.reason,
                self.details.to_string()
            ],
        )?;
        Ok(())
    }
}
