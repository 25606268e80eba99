//! What can be wrong with a store.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// An error with the store's path.
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
    /// Another process holds the store for longer than 30 seconds.
    #[error(
        "{0}: another process has been writing to this store for more than 30 seconds; try again, or end it"
    )]
    Locked(PathBuf),
    /// Not a database, or a damaged one.
    #[error(
        "{path}: is not a store of runs, or is damaged ({reason}). Nothing was changed; move the file away, or give another one with --store"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// Made by a newer program.
    #[error(
        "{path}: is a store of version {found}, but this program reads up to {known}: use a newer Budwood"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// No such run.
    #[error("{path}: there is no run '{name}'; `budwood runs list` shows them")]
    NoRun {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// Anything else.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What.
        reason: String,
    },
}

impl Error {
    pub(crate) fn sql(path: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        let path = path.to_path_buf();
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Locked(path),
            Some(DatabaseCorrupt | NotADatabase) => {
                Self::Damaged { path, reason: error.to_string() }
            }
            _ => Self::Content { path, reason: error.to_string() },
        }
    }

    pub(crate) fn content(path: &Path, reason: impl Display) -> Self {
        Self::Content { path: path.into(), reason: reason.to_string() }
    }
}
