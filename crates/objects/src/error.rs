//! What goes wrong with a store.

/// A fault of a store, or of what was asked of it. Messages hold no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    #[error("{0}")]
    Address(String),
    /// There is no such object.
    #[error("{0}: there is no such object")]
    Missing(String),
    /// The store knows who asks, and says no; or it does not know.
    #[error("{0}: the store does not allow it: check the credentials in the environment")]
    Denied(String),
    /// It is larger than what is taken.
    #[error("{0}: has {1} bytes; at most {2} are taken")]
    Large(String, u64, u64),
    /// It changed while it was read.
    #[error("{0}: changed while it was read; try again")]
    Changed(String),
    /// The store does not answer, or not as it should.
    #[error("{0}: the store does not answer as it should: {1}")]
    Store(String, String),
    /// A file of the cache.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
}

impl Error {
    pub(crate) fn of(place: &str, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let place = place.to_string();
        match error {
            E::NotFound { .. } => Self::Missing(place),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Denied(place),
            E::Precondition { .. } | E::NotModified { .. } => Self::Changed(place),
            E::InvalidPath { .. } => Self::Address(format!("{place}: is no path of an object")),
            other => Self::Store(place, reason(other)),
        }
    }
}

/// The innermost cause: outer ones repeat addresses and answers of the store.
fn reason(error: &object_store::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(200).collect()
}
