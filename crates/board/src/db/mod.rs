//! The board's file: opening, versions, transactions.

mod schema;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::Error;

const FILE: &str = "board.db";
const FILES: &str = "files";

/// A board: a folder with `board.db` and, under `files/`, the files of its rows by SHA-256.
///
/// It holds one connection; a server opens one for each of its threads.
pub struct Board {
    folder: PathBuf,
    connection: Connection,
}

impl Board {
    /// Opens a board for reading and writing, and makes it if it is not there; a new board is
    /// empty.
    ///
    /// # Errors
    /// If the file is something else, damaged, of a newer version, or cannot be written.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let files = folder.join(FILES);
        std::fs::create_dir_all(&files).map_err(|source| Error::Io { path: files, source })?;
        let path = folder.join(FILE);
        let connection = Connection::open(&path).map_err(|e| Error::sql(&path, e))?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(|e| Error::sql(&path, e))?;
        schema::prepare(&path, &connection)?;
        Self::with(folder, &path, connection)
    }

    /// Opens a board that is there, for reading only.
    ///
    /// # Errors
    /// If there is none, or it is damaged or of a newer version.
    pub fn open_to_read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Err(Error::NoBoard(folder.into()));
        }
        let at = |e| Error::sql(&path, e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(at)?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(at)?;
        let number =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) =
            (number("application_id").map_err(at)?, number("user_version").map_err(at)?);
        if !schema::check(&path, application, version)? {
            // Of an older version: opening it to write brings it to this one.
            drop(connection);
            drop(Self::open(folder)?);
            return Self::open_to_read(folder);
        }
        // Readers share the system's copy of the file; a writer's own memory stays small.
        connection.pragma_update(None, "mmap_size", 1_i64 << 32).map_err(at)?;
        // What a writer keeps to undo an update of all rows is as large as they are, and belongs on
        // the disk.
        connection.pragma_update(None, "temp_store", "memory").map_err(at)?;
        Self::with(folder, &path, connection)
    }

    fn with(folder: &Path, path: &Path, connection: Connection) -> Result<Self, Error> {
        let at = |e| Error::sql(path, e);
        connection.pragma_update(None, "foreign_keys", true).map_err(at)?;
        connection.pragma_update(None, "cache_size", -65_536).map_err(at)?;
        connection.set_prepared_statement_cache_capacity(256);
        Ok(Self { folder: folder.into(), connection })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the files of its rows.
    pub fn files(&self) -> PathBuf {
        self.folder.join(FILES)
    }

    pub(crate) fn sql(&self) -> &Connection {
        &self.connection
    }

    /// A transaction that holds the write lock from its start.
    pub(crate) fn write(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

/// Seconds since 1970 UTC.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
