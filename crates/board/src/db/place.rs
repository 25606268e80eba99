//! Where a board is.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_database::Address;
use serde::{Serialize, Serializer};

use crate::Error;

const FILE: &str = "board.db";

/// Where a board is: a folder, or a database of a PostgreSQL server. Shown and serialised, it is
/// the text that leads there again, without the password.
#[derive(Clone, Debug)]
pub struct Place {
    database: Address,
    folder: PathBuf,
}

impl Place {
    /// Reads a place: a folder, or `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// If it begins as an address and is none. The message does not repeat it.
    pub fn parse(text: &OsStr) -> Result<Self, Error> {
        Ok(match Address::parse(text)? {
            Address::File(folder) => Self::from(folder),
            server @ Address::Server(_) => {
                let name = digest::of_bytes(server.to_string().as_bytes());
                let folder = copies().join(&name[..16]);
                Self { database: server, folder }
            }
        })
    }

    /// The folder, if it is one.
    pub fn of_folder(&self) -> Option<&Path> {
        self.database.file().map(|_| self.folder.as_path())
    }

    /// The folder on this machine for what takes room: that of the board, or of copies of what a
    /// server holds. What lies there can be removed while no program uses the board.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn database(&self) -> &Address {
        &self.database
    }
}

/// Where copies of what servers hold lie: the user's caches.
fn copies() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let caches = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    caches.unwrap_or_else(std::env::temp_dir).join("budwood").join("boards")
}

impl From<PathBuf> for Place {
    fn from(folder: PathBuf) -> Self {
        Self { database: folder.join(FILE).into(), folder }
    }
}

impl From<&Path> for Place {
    fn from(folder: &Path) -> Self {
        folder.to_path_buf().into()
    }
}

impl From<&PathBuf> for Place {
    fn from(folder: &PathBuf) -> Self {
        folder.clone().into()
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of_folder() {
            Some(folder) => folder.display().fmt(f),
            None => self.database.fmt(f),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.of_folder() {
            Some(folder) => folder.serialize(serializer),
            None => self.database.serialize(serializer),
        }
    }
}
