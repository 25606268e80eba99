//! The tables of a board, and their version.

use std::path::Path;

use budwood_database::sqlite::{make, write_ahead};
use rusqlite::{Connection, TransactionBehavior};

use crate::{Error, summary};

/// What brings the tables of each older version to the next, from version 1 on.
const STEPS: &[&str] = &[
    "ALTER TABLE methods ADD COLUMN by_year TEXT NOT NULL DEFAULT '[]';
    DROP TABLE entry_text;
    CREATE VIRTUAL TABLE entry_text USING fts5 (
        kind, ref UNINDEXED, name, text, tokenize = 'porter unicode61', prefix = '3 4'
    );
    CREATE VIRTUAL TABLE model_text USING fts5 (
        ref UNINDEXED, name, text, tokenize = 'porter unicode61', prefix = '3'
    );
    CREATE INDEX leaderboards_counts ON leaderboards (results, verified);
    CREATE INDEX methods_listed ON methods (implemented IS NULL, papers DESC, name);
    CREATE INDEX papers_by_results ON papers (results DESC, title_key) WHERE results > 0;
    DROP TABLE terms;
    CREATE TABLE vector_model (base_sha256 TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE paper_vectors (
        paper INTEGER PRIMARY KEY REFERENCES papers (id), vector BLOB NOT NULL
    ) STRICT;",
    concat!(include_str!("named_data.sql"), include_str!("guards.sql")),
];
/// Version of the tables that this program makes.
const VERSION: i64 = 1 + STEPS.len() as i64;
/// "Budb": marks the file as a board of ours.
const APPLICATION: i64 = 0x4275_6462;

const TABLES: &str = concat!(include_str!("schema.sql"), include_str!("guards.sql"));

/// Makes the tables of a new board, or checks those of an old one.
pub(super) fn prepare(path: &Path, connection: &Connection) -> Result<(), Error> {
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
    if tables > 0 {
        return migrate(connection);
    }
    make(connection, TABLES, APPLICATION, VERSION).map_err(at)
}

/// Brings the tables of an older version to this one, all or nothing.
fn migrate(connection: &Connection) -> Result<(), Error> {
    let version = |c: &Connection| c.pragma_query_value(None, "user_version", |r| r.get(0));
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let from: i64 = version(&transaction)?;
    let steps = usize::try_from(from - 1).ok().and_then(|n| STEPS.get(n..)).unwrap_or_default();
    for step in steps {
        transaction.execute_batch(step)?;
    }
    // What holds the state of the art may be another result by now.
    let verified: Vec<i64> = transaction
        .prepare("SELECT id FROM leaderboards WHERE verified > 0")?
        .query_map([], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    for leaderboard in verified {
        summary::refresh(&transaction, leaderboard)?;
    }
    summary::refresh_counts(&transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Whether this is a board that the program can read; true if its tables are of this version.
pub(super) fn check(path: &Path, application: i64, version: i64) -> Result<bool, Error> {
    if application != APPLICATION {
        let reason = "it is a database of another program".into();
        return Err(Error::Damaged { path: path.into(), reason });
    }
    if version > VERSION {
        return Err(Error::Newer { path: path.into(), found: version, known: VERSION });
    }
    Ok(version == VERSION)
}
