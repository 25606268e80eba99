//! What can be wrong with a board, with what is put on it, or with what is asked of it.

use std::path::{Path, PathBuf};

/// An error with its place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no board in this folder.
    #[error("{0}: there is no board here; `budwood board init` makes one")]
    NoBoard(PathBuf),
    /// Another process holds the board for longer than 30 seconds.
    #[error("another process has been writing to this board for more than 30 seconds; try again")]
    Locked,
    /// Not a database, or a damaged one.
    #[error(
        "{path}: is not a board, or is damaged ({reason}). Nothing was changed; give another folder"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// Made by a newer program.
    #[error(
        "{path}: is a board of version {found}, but this program reads up to {known}: use a newer Budwood"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// The database refused.
    #[error("the board's database: {0}")]
    Sql(rusqlite::Error),
    /// What is to be read is not what it should be.
    #[error("{place}: {reason}")]
    Input {
        /// File and element, or field.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no such thing on the board.
    #[error("the board has no {kind} '{name}'")]
    Missing {
        /// What was asked for.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Whoever asks may not.
    #[error("{0}")]
    Refused(String),
    /// What is asked for does not go with what is on the board.
    #[error("{0}")]
    Conflict(String),
}

impl Error {
    pub(crate) fn sql(path: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                Self::Damaged { path: path.into(), reason: error.to_string() }
            }
            _ => error.into(),
        }
    }

    pub(crate) fn input(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Input { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn missing(kind: &'static str, name: impl ToString) -> Self {
        Self::Missing { kind, name: name.to_string() }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Locked,
            _ => Self::Sql(error),
        }
    }
}
