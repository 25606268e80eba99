//! What can be wrong with a board, with what is put on it, or with what is asked of it.

use std::path::PathBuf;

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
    /// There is no board at this place.
    #[error("{0}: there is no board here; `budwood board init` makes one")]
    NoBoard(String),
    /// The database cannot be opened, read or written.
    #[error(transparent)]
    Database(#[from] budwood_database::Error),
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
    pub(crate) fn input(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Input { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn missing(kind: &'static str, name: impl ToString) -> Self {
        Self::Missing { kind, name: name.to_string() }
    }
}

/// What reading rows of the database gives.
pub(crate) type OfDatabase<T> = Result<T, budwood_database::Error>;
