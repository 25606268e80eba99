//! The tables of a board on both systems, and their versions.

use budwood_database::{Connection, Kind, Schema, Tables};

use crate::error::OfDatabase;
use crate::{Error, dialect, fulltext, summary};

/// What a board consists of.
pub(super) static SCHEMA: Kind = Kind {
    schema: Schema {
        name: "budwood_board",
        what: "a board",
        remedy: "give another folder",
        // "Budb".
        application: 0x4275_6462,
        sqlite: Tables {
            new: concat!(include_str!("schema.sql"), include_str!("guards.sql")),
            steps: &[
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
            ],
        },
        postgres: Tables {
            new: concat!(
                include_str!("postgres.sql"),
                include_str!("postgres_search.sql"),
                include_str!("postgres_references.sql"),
                include_str!("postgres_version_3.sql"),
                include_str!("postgres_version_4.sql"),
                include_str!("postgres_version_5.sql")
            ),
            steps: &[
                concat!(
                    "DROP TABLE paper_text, entry_text, model_text;
                     DROP FUNCTION wanted, indexed, plain;",
                    include_str!("postgres_search.sql"),
                    "INSERT INTO paper_text
                       SELECT id, length(title), named(title), indexed(title, authors, abstract)
                       FROM papers;"
                ),
                concat!(
                    include_str!("postgres_references.sql"),
                    include_str!("postgres_version_3.sql")
                ),
                concat!(
                    include_str!("postgres_references.sql"),
                    include_str!("postgres_version_4.sql")
                ),
                include_str!("postgres_version_5.sql"),
            ],
        },
    },
    migrated,
};

/// Counts again what tables of an older version had counted in their way.
fn migrated(sql: &Connection) -> OfDatabase<()> {
    // What holds the state of the art may be another result by now.
    let verified = "SELECT id FROM leaderboards WHERE verified > 0";
    let verified: Vec<i64> = sql.query(verified, &[], |r| r.get(0))?;
    summary::refresh(sql, &verified).map_err(|e| match e {
        Error::Database(e) => e,
        other => budwood_database::Error::content("the board", other),
    })?;
    summary::refresh_counts(sql, &summary::CountsOf::ALL)?;
    dialect::settle(sql)?;
    fulltext::note_common_words(sql)
}
