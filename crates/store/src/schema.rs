//! The tables of a store, and their version.

use std::path::Path;

use rusqlite::Connection;

use crate::Error;
use crate::file::{make, write_ahead};

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
        make(connection, TABLES, APPLICATION, VERSION).map_err(at)?;
    }
    Ok(())
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
