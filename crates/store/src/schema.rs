//! The tables of a store, and their version.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Error;

/// Version of the tables that this program makes.
const VERSION: i64 = 1;
/// "Budw": marks the file as ours.
const APPLICATION: i64 = 0x4275_6477;

const TABLES: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    sweep TEXT NOT NULL,
    task TEXT NOT NULL,
    grouped TEXT NOT NULL,
    method TEXT NOT NULL,
    seed INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_sweep ON runs (sweep, task);
CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    chosen INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (run, split, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE predictions (
    run INTEGER NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    row INTEGER NOT NULL,
    expected TEXT NOT NULL,
    predicted TEXT NOT NULL,
    confidence REAL,
    PRIMARY KEY (run, split, row)
) STRICT, WITHOUT ROWID;
";

/// Makes the tables of a new store, or checks those of an old one.
pub(crate) fn prepare(path: &Path, connection: &Connection) -> Result<(), Error> {
    let at = |e| Error::sql(path, e);
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(at)?;
    if tables > 0 {
        check(path, number("application_id").map_err(at)?, number("user_version").map_err(at)?)?;
    }
    write_ahead(connection).map_err(at)?;
    connection.pragma_update(None, "synchronous", "full").map_err(at)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(at)?;
    if tables == 0 {
        // Two processes may come here at once: the second finds the tables when it gets its turn.
        let make = format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        );
        if let Err(e) = connection.execute_batch(&make) {
            let _ = connection.execute_batch("ROLLBACK");
            if number("user_version").map_err(at)? != VERSION {
                return Err(at(e));
            }
        }
    }
    Ok(())
}

/// Keeps changes in a log beside the file, so that readers and a writer do not wait for each other. While another process turns this
/// on, SQLite says at once that the file is busy, whatever the timeout: this waits as long as other statements would.
///
/// # Errors
/// If the file cannot be written, or is busy for longer than 30 seconds.
pub fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(e) if is_busy(&e) && Instant::now() < end => sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn check(path: &Path, application: i64, version: i64) -> Result<(), Error> {
    if application != APPLICATION {
        let reason = "it is a database of another program".into();
        return Err(Error::Damaged { path: path.into(), reason });
    }
    if version > VERSION {
        return Err(Error::Newer { path: path.into(), found: version, known: VERSION });
    }
    Ok(())
}
