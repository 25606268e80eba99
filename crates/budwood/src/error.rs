//! What can go wrong.

use std::path::PathBuf;

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
    /// A model or a data set that nothing here has the name of, or that cannot be fetched.
    #[error(transparent)]
    Hub(#[from] budwood_hub::Error),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] budwood_tasks::Error),
    /// An adapter whose file asks for what it cannot have.
    #[error("{0}")]
    Adapter(String),
    /// An input that the adapter does not take.
    #[error("input {row}: {message}")]
    Input {
        /// Which input, counted from 1.
        row: usize,
        /// What it lacks.
        message: String,
    },
    /// A folder for results that cannot be used.
    #[error(transparent)]
    Folder(#[from] budwood_base::folder::FolderError),
    /// A folder for an adapter in which there is one.
    #[error("{} is there already and holds an adapter", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A folder for an adapter that cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: Box<budwood_formats::Error>,
    },
    /// A value that cannot be written as JSON.
    #[error("cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Files of a model or an adapter.
    #[error(transparent)]
    Format(#[from] budwood_formats::Error),
    /// A model that cannot be made.
    #[error(transparent)]
    Model(#[from] budwood_model::ModelError),
    /// A model that has no form in ONNX.
    #[error(transparent)]
    Onnx(#[from] budwood_onnx::Error),
    /// Images that cannot be read.
    #[error(transparent)]
    Images(#[from] budwood_images::Error),
    /// An image size that the model cannot read.
    #[error(transparent)]
    ImageSize(#[from] budwood_base::encoder::ImageSizeError),
    /// Another rank of the job failed.
    #[error(transparent)]
    Rank(#[from] budwood_ranks::Failed),
    /// What goes wrong in training and evaluation.
    #[error(transparent)]
    Train(#[from] budwood_train::Error),
}
