//! What can go wrong in the library, with the setting or place it concerns.

/// An error of the library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings of a record cannot be read.
    #[error("the settings of the record cannot be read: {0}")]
    Record(String),
}
