//! What can be wrong with a file.

use std::path::PathBuf;

/// A fault of a file, with its place and, where there is one, the remedy.
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
    /// A folder cannot be written.
    #[error(transparent)]
    Folder(#[from] budwood_base::folder::FolderError),
    /// A file's content is not what its name says.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// A tensor that is needed is not there.
    #[error("{}: {count} tensors are missing, first '{first}'; the file is not whole or belongs to another model", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// A tensor of another shape than the configuration says.
    #[error("{}: tensor '{name}' has shape {found:?}, but config.json asks for {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape by the configuration.
        expected: Vec<usize>,
    },
    /// NaN or infinity in weights.
    #[error("{}: tensor '{name}' holds {value} at element {index}; the file is damaged or training diverged", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Which element.
        index: usize,
        /// What it is.
        value: f32,
    },
    /// An adapter's description that makes no sense on its base.
    #[error("adapter.json: {0}")]
    Description(String),
    /// An adapter that another library has no form for.
    #[error("cannot be exported: {0}")]
    Export(String),
    /// The adapter was trained on another base.
    #[error(
        "this adapter belongs to another base model: {what} is {expected} in the adapter and {found} here. Load the base that it was trained on ({name}), with its files as they were"
    )]
    OtherBase {
        /// What differs.
        what: String,
        /// As the adapter says.
        expected: String,
        /// As the base has it.
        found: String,
        /// The base's name in the adapter.
        name: String,
    },
}

impl Error {
    pub(crate) fn content(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Content { path: path.into(), message: message.into() }
    }

    /// That a text is not JSON, or what stands there in its place.
    pub(crate) fn not_json(path: impl Into<PathBuf>, text: &str, e: &serde_json::Error) -> Self {
        let what = budwood_base::files::foreign(text.as_bytes());
        Self::content(path, what.map_or_else(|| format!("is not JSON: {e}"), Into::into))
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::Io { path: PathBuf::new(), source }
    }
}
