//! What can go wrong between files and numbers.

use std::path::{Path, PathBuf};

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
    /// A fault of the data.
    #[error(transparent)]
    Data(#[from] budwood_tasks::Error),
    /// A file that cannot be written or read back.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A reference case that is not whole.
    #[error("{}: {message}", path.display())]
    Case {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The numbers ran away.
    #[error(
        "training diverged at step {step}: the {what} is {value}. {kept}. Try a smaller --lr (it was {learning_rate:.1e})"
    )]
    Diverged {
        /// The step.
        step: usize,
        /// Loss or gradient.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What is left of the run.
        kept: String,
        /// The largest learning rate.
        learning_rate: f64,
    },
    /// An answer that is not a number.
    #[error(
        "the answer to example {example} is {value}: numbers of the adapter or of its base are too large for the \
         arithmetic, so nothing it says can be used"
    )]
    NotFinite {
        /// Which example, counted from 1.
        example: usize,
        /// What the head gave.
        value: f32,
    },
    /// Another rank of the job failed.
    #[error(transparent)]
    Rank(#[from] budwood_ranks::Failed),
    /// Settings that do not fit.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    pub(crate) fn file(path: &Path, message: impl ToString) -> Self {
        Self::File { path: path.into(), message: message.to_string() }
    }
}
