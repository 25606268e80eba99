//! What can be wrong with a store.

use std::fmt::Display;

/// An error with the store's place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] budwood_database::Error),
    /// No such run.
    #[error("{place}: there is no run '{name}'; `budwood runs list` shows them")]
    NoRun {
        /// The store.
        place: String,
        /// What was asked for.
        name: String,
    },
    /// Anything else.
    #[error("{place}: {reason}")]
    Content {
        /// The store.
        place: String,
        /// What.
        reason: String,
    },
}

impl Error {
    pub(crate) fn content(place: impl Display, reason: impl Display) -> Self {
        Self::Content { place: place.to_string(), reason: reason.to_string() }
    }
}
