//! What goes wrong with a store.

/// A fault of a store, or of what was asked of it. Messages hold no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none, or the settings in the environment are none.
    #[error("{0}")]
    Address(String),
    /// There is no such object.
    #[error("{0}: there is no such object")]
    Missing(String),
    /// There is no such bucket.
    #[error("{0}: there is no such bucket; it is made with the store's own tools")]
    Bucket(String),
    /// The store knows who asks, and says no; or it does not know.
    #[error(
        "{0}: the store does not allow it: check the credentials in the environment, what they may \
         do, and this machine's clock"
    )]
    Denied(String),
    /// It is larger than what is taken.
    #[error("{0}: has {1} bytes; at most {2} are taken")]
    Large(String, u64, u64),
    /// There are more objects than are taken.
    #[error("{0}: holds more than {1} objects; at most that many are taken")]
    Many(String, usize),
    /// A name that cannot be a file's.
    #[error("{0}: the object's name can be no file's: rename it, or move it elsewhere")]
    Name(String),
    /// It changed while it was read.
    #[error("{0}: changed while it was read; try again")]
    Changed(String),
    /// It is not what its manifest says.
    #[error(
        "{0}: is not what the manifest beside it says: it was damaged, or changed by another \
         program; write it again with --overwrite"
    )]
    Damaged(String),
    /// A manifest that is none.
    #[error("{0}: cannot be used: {1}")]
    Manifest(String, String),
    /// Its writing has begun and not ended.
    #[error(
        "{0}: is being written, or its writing was cut: try again; the command that wrote it ends \
         it"
    )]
    Unfinished(String),
    /// Objects of others.
    #[error(
        "{0}: holds objects that are not of {1} of Budwood's: {2}. Nothing was changed; choose \
         another name"
    )]
    Foreign(String, String, String),
    /// Another process was quicker.
    #[error("{0}: another process has written there meanwhile; what it wrote stays")]
    Taken(String),
    /// The store does not answer, or not as it should.
    #[error("{0}: the store does not answer as it should: {1}")]
    Store(String, String),
    /// A file of this disk.
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
            E::AlreadyExists { .. } => Self::Taken(place),
            E::InvalidPath { .. } => Self::Name(place),
            other => {
                let reason = reason(other);
                let answered = |status| reason.contains(&format!("status code: {status}"));
                match reason.as_str() {
                    _ if answered("404") => Self::Missing(place),
                    _ if answered("401") || answered("403") => Self::Denied(place),
                    _ => Self::Store(place, reason),
                }
            }
        }
    }
}

/// The innermost cause: outer ones repeat addresses and answers of the store.
pub(crate) fn reason(error: &object_store::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    let line = text.lines().next().unwrap_or_default();
    // What follows is the page that the store shows.
    let line = line.split(": <").next().unwrap_or_default();
    line.chars().take(200).collect()
}
