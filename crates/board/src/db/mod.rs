//! Where a board lies, and its database.

mod place;
mod schema;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use budwood_database::{Connection, Database, Transaction};

use crate::Error;
use crate::error::OfDatabase;
pub use place::Place;
use schema::SCHEMA;

const FILES: &str = "files";

/// A board: a folder with `board.db` and, under `files/`, the files of its rows by SHA-256; or a
/// database of a PostgreSQL server, which holds the files too, with a folder on this machine for
/// copies of them.
///
/// It holds one connection; a server opens one for each of its threads.
pub struct Board {
    place: Place,
    database: Database,
}

impl Board {
    /// Opens a board for reading and writing, and makes it if it is not there; a new board is
    /// empty.
    ///
    /// # Errors
    /// If it is something else, damaged, of a newer version, cannot be reached, or cannot be
    /// written.
    pub fn open(place: impl Into<Place>) -> Result<Self, Error> {
        let place = place.into();
        let files = place.folder().join(FILES);
        std::fs::create_dir_all(&files).map_err(|source| Error::Io { path: files, source })?;
        let database = Database::open(place.database(), &SCHEMA)?;
        Ok(Self { place, database })
    }

    /// Opens a board that is there, for reading only.
    ///
    /// # Errors
    /// If there is none, or it is damaged or of a newer version.
    pub fn open_to_read(place: impl Into<Place>) -> Result<Self, Error> {
        let place = place.into();
        match Database::find_to_read(place.database(), &SCHEMA)? {
            Some(database) => Ok(Self { place, database }),
            None => Err(Error::NoBoard(place.to_string())),
        }
    }

    /// Opens some connections to a board that is there, for reading only, which share what they
    /// remember: see [`Board::look`].
    ///
    /// # Errors
    /// As [`Board::open_to_read`].
    pub fn open_readers(place: &Place, count: usize) -> Result<Vec<Self>, Error> {
        let open = |_| Self::open_to_read(place.clone());
        let mut boards: Vec<_> = (0..count).map(open).collect::<Result<_, _>>()?;
        if let [first, others @ ..] = &mut boards[..] {
            others.iter_mut().for_each(|board| board.database.share(&first.database));
        }
        Ok(boards)
    }

    /// Whether there is a board, without making one.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn is_there(place: &Place) -> Result<bool, Error> {
        Ok(Database::is_there(place.database(), &SCHEMA)?)
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The folder of the files of its rows, or of copies of them.
    pub fn files(&self) -> PathBuf {
        self.place.folder().join(FILES)
    }

    /// What servers of one board on a server share and nobody else knows; none for a folder.
    ///
    /// # Errors
    /// If the board cannot be read.
    pub fn secret(&self) -> Result<Option<String>, Error> {
        if !self.sql().is_server() {
            return Ok(None);
        }
        Ok(self.sql().first("SELECT secret FROM server_secret", &[], |r| r.get(0))?)
    }

    /// Begins work that reads, such as a page: see [`Database::look`].
    pub fn look(&self) {
        self.database.look();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.place.folder()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn sql(&self) -> &Connection {
        self.database.connection()
    }

    /// A transaction that holds the write lock from its start.
    pub(crate) fn write(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.database.begin()?)
    }

    /// A transaction that reads what is there now, whatever is written meanwhile.
    pub(crate) fn snapshot(&self) -> Result<Transaction<'_>, Error> {
        Ok(self.database.snapshot()?)
    }
}

/// The number that the next row of a table gets.
pub(crate) fn next_id(sql: &Connection, table: &str) -> OfDatabase<i64> {
    sql.one(&format!("SELECT coalesce(max(id), 0) + 1 FROM {table}"), &[], |r| r.get(0))
}

/// Seconds since 1970 UTC.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
