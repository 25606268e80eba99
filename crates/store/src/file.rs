//! What the SQLite files of this program have in common, stores and boards: how they are made when
//! several processes come at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Keeps changes in a log beside the file, so that readers and a writer do not wait for each other.
/// While another process turns this on, SQLite says at once that the file is busy, whatever the
/// timeout: this waits as long as other statements would.
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
