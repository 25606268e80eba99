//! SQLite files: how they are made when several processes come at once.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Error;
use crate::error::PATIENCE;
use crate::schema::Schema;

/// Opens a file, makes it if it is not there, and brings its tables to this version.
pub(crate) fn open(path: &Path, schema: &'static Schema) -> Result<Connection, Error> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Io { path: folder.into(), source })?;
    }
    let at = |e: rusqlite::Error| Error::sqlite(path.display(), schema, &e);
    let connection = Connection::open(path).map_err(at)?;
    connection.busy_timeout(PATIENCE).map_err(at)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(at)?;
    let (application, known) = (schema.application, schema.sqlite.version());
    let mut found = known;
    if tables > 0 {
        found = number("user_version").map_err(at)?;
        if number("application_id").map_err(at)? != application {
            let reason = "it is a database of another program";
            return Err(Error::damaged(path.display(), schema, reason));
        }
        if found > known {
            let (place, what) = (path.display().to_string(), schema.what);
            return Err(Error::Newer { place, what, found, known });
        }
    }
    write_ahead(&connection).map_err(at)?;
    connection.pragma_update(None, "synchronous", "full").map_err(at)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(at)?;
    if tables == 0 {
        make(&connection, schema.sqlite.new, application, known).map_err(at)?;
    } else if found < known {
        migrate(&connection, schema).map_err(at)?;
    }
    Ok(connection)
}

/// Brings the tables of an older version to this one, all or nothing.
fn migrate(connection: &Connection, schema: &'static Schema) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let from = transaction.pragma_query_value(None, "user_version", |r| r.get(0))?;
    for step in schema.sqlite.steps_after(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", schema.sqlite.version())?;
    transaction.commit()
}

/// Keeps changes in a log beside the file, so that readers and a writer do not wait for each other.
/// While another process turns this on, SQLite says at once that the file is busy, whatever the
/// timeout: this waits as long as other statements would.
///
/// # Errors
/// If the file cannot be written, or is busy for longer than 30 seconds.
pub fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + PATIENCE;
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

/// Makes the tables of a new file and marks it with the program's number and the tables' version.
/// Two processes may come here at once: the second finds the tables when it gets its turn.
///
/// # Errors
/// If the file cannot be written.
pub fn make(
    connection: &Connection,
    tables: &str,
    application: i64,
    version: i64,
) -> rusqlite::Result<()> {
    let script = format!(
        "BEGIN IMMEDIATE; {tables} PRAGMA application_id = {application}; PRAGMA user_version = {version}; COMMIT;"
    );
    connection.execute_batch(&script).or_else(|error| {
        let _ = connection.execute_batch("ROLLBACK");
        let found: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if found == version { Ok(()) } else { Err(error) }
    })
}
