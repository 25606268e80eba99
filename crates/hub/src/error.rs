//! What can go wrong, each with its remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model or a data set was not found or not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, revision or setting that is none.
    #[error("{0}")]
    Usage(String),
    /// The model is not in the cache, and the network may not be used.
    #[error("'{0}' is not in the hub's cache, and HF_HUB_OFFLINE is set")]
    Offline(String),
    /// The hub does not let us see the model (401 or 403).
    #[error(
        "the hub does not show {what} (status {status}). It does not exist, or it is private or \
         gated: accept its conditions on its page, and set HF_TOKEN to a token that may read it"
    )]
    Denied {
        /// The model or file.
        what: String,
        /// The status of the answer.
        status: u16,
    },
    /// There is no such model, revision or file (404).
    #[error("the hub has no {0}")]
    Missing(String),
    /// Too many requests (429), also after waiting.
    #[error("the hub limits requests (status 429) for {what}: try again {when}")]
    Busy {
        /// The model or file.
        what: String,
        /// When, in words.
        when: String,
    },
    /// The hub cannot be reached, or the connection was cut again and again.
    #[error("cannot fetch {what} from the hub at {host}: {why}. What came is kept; try again")]
    Network {
        /// The model or file.
        what: String,
        /// The host that was asked.
        host: String,
        /// The last failure.
        why: String,
    },
    /// An answer that no hub should give.
    #[error("the hub's answer for {what} cannot be trusted: {why}. Nothing of it was kept")]
    Answer {
        /// The model or file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The hub does not take what is sent.
    #[error("the hub does not take {what} (status {status}){why}")]
    Refused {
        /// The repository or file.
        what: String,
        /// The status of the answer.
        status: u16,
        /// What the hub said, and the remedy.
        why: String,
    },
    /// What arrived is not what was sent.
    #[error("{what} is not as it should be: {why}")]
    Mismatch {
        /// The commit.
        what: String,
        /// Which file, and the remedy.
        why: String,
    },
    /// What is sent does not arrive.
    #[error(
        "cannot send {what} to the hub at {host}: {why}. Files appear in the repository all \
         together or not at all; try again"
    )]
    Unsent {
        /// The repository or file.
        what: String,
        /// The host that was asked.
        host: String,
        /// The last failure.
        why: String,
    },
    /// A part of a repository is in the cache, and the hub does not give the rest.
    #[error(
        "{source}. A part of '{name}' is in the hub's cache and may lack files that change \
         answers; HF_HUB_OFFLINE=1 uses it as it is"
    )]
    Part {
        /// The model or adapter.
        name: String,
        /// What the hub said.
        source: Box<Error>,
    },
    /// Nothing here has the name, and the hub does not help either.
    #[error("{here}; {source}")]
    Elsewhere {
        /// What is not here, in words.
        here: String,
        /// What the hub said.
        source: Box<Error>,
    },
    /// A package that cannot be fetched, or is not what was promised.
    #[error("{0}")]
    Package(String),
    /// A model of another form that cannot be converted.
    #[error(transparent)]
    Format(#[from] budwood_formats::Error),
    /// An address that cannot be one.
    #[error(transparent)]
    Address(#[from] budwood_base::address::AddressError),
    /// An object store that does not give what is asked for, or does not take it: in words, with
    /// the address and the remedy.
    #[error("{0}")]
    Object(String),
    /// The disk.
    #[error("{}: {source}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        |source| Self::File { path: path.into(), source }
    }

    pub(crate) fn elsewhere(name: &Path, source: Self) -> Self {
        let here = format!("there is no folder '{}'", name.display());
        Self::Elsewhere { here, source: Box::new(source) }
    }

    pub(crate) fn answer(what: &str, why: impl Into<String>) -> Self {
        Self::Answer { what: what.into(), why: why.into() }
    }
}
