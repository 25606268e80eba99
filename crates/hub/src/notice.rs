//! What is told while something is fetched.

use crate::ModelName;

/// A file that is being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its name in the model's folder.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes in all.
    pub size: u64,
}

/// Something is being fetched, which may take a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A package of Python or Debian.
    Package {
        /// Its name.
        name: &'a str,
        /// Its version.
        version: &'a str,
        /// The program that fetches it.
        with: &'static str,
    },
    /// Some bytes of a file of a model of the hub.
    File {
        /// The model.
        model: &'a ModelName,
        /// The file.
        progress: Progress<'a>,
    },
}
