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

/// Something is being fetched, which may take a while, or cannot be.
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
    /// A file or folder of an object store.
    Object {
        /// Its address.
        address: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// Some bytes of a file of a model of the hub.
    File {
        /// The model.
        model: &'a ModelName,
        /// The file.
        progress: Progress<'a>,
    },
    /// A repository of which another program fetched a part is used as it lies in the cache: the
    /// hub cannot be asked what else it has.
    Part {
        /// The model or adapter.
        model: &'a ModelName,
        /// Files that it may have, and that are not here.
        unknown: &'a [&'static str],
        /// Why the hub cannot be asked.
        why: &'a str,
    },
}

impl Notice<'_> {
    /// What must be known of a repository that is used in part; none of what is only fetched.
    pub fn warning(&self) -> Option<String> {
        let Self::Part { model, unknown, why } = self else { return None };
        let unknown = unknown.join(", ");
        Some(format!("{model} is used as it lies in the cache, perhaps without {unknown}: {why}"))
    }
}
