//! Why there is no file.

use budwood_model::ModelError;

/// Why a model cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The adapter does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no such graph.
    #[error("cannot be exported to ONNX: {0}")]
    Cannot(String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(std::io::Error),
}
