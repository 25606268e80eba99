//! What can go wrong between files and numbers.

use std::path::PathBuf;

/// A fault while training, evaluating or predicting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A fault of a file.
    #[error(transparent)]
    Format(#[from] budwood_formats::Error),
    /// A fault of a method, or of tensors for it.
    #[error(transparent)]
    Model(#[from] budwood_model::ModelError),
    /// A reference case that is not whole.
    #[error("{}: {message}", path.display())]
    Case {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}
