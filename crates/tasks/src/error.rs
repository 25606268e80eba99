//! What can be wrong with data.

use std::path::PathBuf;

/// A fault of a data file or of how it was asked for, with its place and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A file whose content is not what its name says.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// One row of a file.
    #[error("{}, {what} {place}: {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// What its places are called: `line` in texts, as an editor counts them, else `row`.
        what: &'static str,
        /// The place, from 1.
        place: usize,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// A wish that does not fit.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::File { path: path.into(), message: message.into() }
    }

    pub(crate) fn row(
        path: impl Into<PathBuf>,
        what: &'static str,
        place: usize,
        message: impl Into<String>,
    ) -> Self {
        Self::Row { path: path.into(), what, place, message: message.into() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
