//! SQLite files: how they are made when several processes come at once.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::Error;
use crate::connection::System;
use crate::error::PATIENCE;
use crate::schema::Schema;

/// Opens a file, and makes it if it is not there.
pub(crate) fn open(path: &Path, schema: &'static Schema) -> Result<Connection, Error> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Io { path: folder.into(), source })?;
    }
    let at = |e: rusqlite::Error| Error::sqlite(path.display(), schema, &e);
    let connection = Connection::open(whole(path)?).map_err(at)?;
    connection.busy_timeout(PATIENCE).map_err(at)?;
    let tables = tables(&connection).map_err(at)?;
    if tables > 0 {
        check(path, schema, &connection)?;
    }
    write_ahead(&connection).map_err(at)?;
    connection.pragma_update(None, "synchronous", "full").map_err(at)?;
    if tables == 0 {
        let (application, known) = (schema.application, schema.sqlite.version());
        make(&connection, schema.sqlite.new, application, known).map_err(at)?;
    }
    usual(&connection).map_err(at)?;
    Ok(connection)
}

/// Opens a file that is there, for reading only; none if its tables are of an older version, or not
/// there yet.
pub(crate) fn open_to_read(
    path: &Path,
    schema: &'static Schema,
) -> Result<Option<Connection>, Error> {
    let at = |e: rusqlite::Error| Error::sqlite(path.display(), schema, &e);
    let (file, reads) = (whole(path)?, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let mut connection =
        Connection::open_with_flags(&file, reads | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(at)?;
    connection.busy_timeout(PATIENCE).map_err(at)?;
    if is_sealed(&connection, &file) {
        let flags = reads | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        connection = Connection::open_with_flags(as_it_is(&file), flags).map_err(at)?;
    }
    // One without tables was begun by a process that was killed.
    let is_begun = tables(&connection).map_err(at)? == 0;
    if is_begun || check(path, schema, &connection)? < schema.sqlite.version() {
        return Ok(None);
    }
    // Readers share the system's copy of the file; a writer's own memory stays small.
    connection.pragma_update(None, "mmap_size", 1_i64 << 32).map_err(at)?;
    // What a writer keeps to undo an update of all rows is as large as they are, and belongs on the
    // disk.
    connection.pragma_update(None, "temp_store", "memory").map_err(at)?;
    usual(&connection).map_err(at)?;
    Ok(Some(connection))
}

fn tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

/// Whether a file is in a folder that this process cannot write to, and nobody else writes just
/// now. Even for reading SQLite puts files of its own beside one that nobody has open.
fn is_sealed(connection: &Connection, file: &Path) -> bool {
    let cannot = matches!(
        tables(connection).as_ref().map_err(rusqlite::Error::sqlite_error_code),
        Err(Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
    );
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    cannot && std::fs::metadata(log).map_or(true, |log| log.len() == 0)
}

/// The address of a file that is read without files beside it.
fn as_it_is(file: &Path) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), PLAIN).to_string();
    // That of a path with a drive has a slash before it.
    format!("file:///{}?immutable=1", path.trim_start_matches('/'))
}

/// The path from the root. SQLite takes other names, such as `:memory:` and `file:x?mode=memory`,
/// for databases that are gone with the process.
fn whole(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Io { path: path.into(), source })
}

fn usual(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(())
}

/// The version of a file's tables, if it is one of ours.
fn check(path: &Path, schema: &'static Schema, connection: &Connection) -> Result<i64, Error> {
    let number = |name: &str| {
        let found = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        found.map_err(|e| Error::sqlite(path.display(), schema, &e))
    };
    let found = number("user_version")?;
    if number("application_id")? != schema.application {
        let reason = "it is a database of another program";
        return Err(Error::damaged(path.display(), schema, reason));
    }
    let known = schema.sqlite.version();
    if found > known {
        let (place, what) = (path.display().to_string(), schema.what);
        return Err(Error::Newer { place, what, found, known });
    }
    Ok(found)
}

/// Brings the tables of an older version to this one, all or nothing.
pub(crate) fn migrate(
    connection: &crate::Connection,
    migrated: fn(&crate::Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    let (System::Sqlite(file), schema) = (&connection.system, connection.schema) else {
        return Ok(());
    };
    let version = || {
        let found = file.pragma_query_value(None, "user_version", |r| r.get::<_, i64>(0));
        found.map_err(|e| connection.of_file(&e))
    };
    let known = schema.sqlite.version();
    if version()? == known {
        return Ok(());
    }
    let transaction = connection.begin()?;
    // Another process may have done it meanwhile.
    for step in schema.sqlite.steps_after(version()?) {
        connection.batch(step)?;
    }
    migrated(connection)?;
    connection.batch(&format!("PRAGMA user_version = {known}"))?;
    transaction.commit()
}

/// Keeps changes in a log beside the file, so that readers and a writer do not wait for each other.
/// While another process turns this on, SQLite says at once that the file is busy, whatever the
/// timeout: this waits as long as other statements would.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
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
fn make(
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
