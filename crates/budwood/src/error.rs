//! What can go wrong.

/// An error of the library. Its message says where the fault is and what can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting whose value has no meaning, here or beside the others.
    #[error("{name}: {message}")]
    Setting {
        /// Name of the setting, as in a specification and as the flag.
        name: &'static str,
        /// What is wrong with its value.
        message: String,
    },
    /// Settings of a record that are not those of a specification.
    #[error("the record's settings cannot be read: {0}")]
    Record(String),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] budwood_tasks::Error),
}
