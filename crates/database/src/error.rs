//! What can be wrong with a database. No message holds a password.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::schema::Schema;

/// How long another writer is waited for, and a server that went away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An error with the place of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An address that leads nowhere. It may hold a password, so it is not repeated.
    #[error(
        "the address of the database {0}. It is a path, or \
         postgres://USER@HOST[:PORT]/DATABASE; signs in names as %40 for @, %2F for /, %3F for ?"
    )]
    Address(&'static str),
    /// Another process holds the database for longer than 30 seconds.
    #[error(
        "{place}: another process has been writing to {what} for more than 30 seconds; try again, or \
         end it"
    )]
    Locked {
        /// The database.
        place: String,
        /// What it is.
        what: &'static str,
    },
    /// Not what was asked for, or damaged.
    #[error("{place}: is not {what}, or is damaged ({reason}). Nothing was changed; {remedy}")]
    Damaged {
        /// The database.
        place: String,
        /// What it should be.
        what: &'static str,
        /// What the database says.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Made by a newer program.
    #[error(
        "{place}: is {what} of version {found}, but this program reads up to {known}: use a newer Budwood"
    )]
    Newer {
        /// The database.
        place: String,
        /// What it is.
        what: &'static str,
        /// Version of its tables.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// The server does not answer.
    #[error(
        "{place}: the PostgreSQL server cannot be reached ({reason}); see that it runs, and that \
         host and port are right"
    )]
    Unreachable {
        /// The database.
        place: String,
        /// Why.
        reason: String,
    },
    /// The server does not let this user in.
    #[error(
        "{place}: the server refuses the user ({reason}). A password is read from PGPASSWORD or \
         from ~/.pgpass, which no other user may be able to read, or stands in the address"
    )]
    Refused {
        /// The database.
        place: String,
        /// What the server says.
        reason: String,
    },
    /// The server has no such database.
    #[error("{0}: the server has no such database; `createdb` or CREATE DATABASE makes it")]
    NoDatabase(String),
    /// The user may not read or make the tables.
    #[error(
        "{place}: the user may not do this ({reason}); whoever makes the tables needs \
         GRANT CREATE ON DATABASE, others rights on the tables"
    )]
    NotAllowed {
        /// The database.
        place: String,
        /// What the server says.
        reason: String,
    },
    /// The server begins, ends or is full; it may answer later.
    #[error("{place}: the server takes no connection now ({reason}); try again later")]
    NotNow {
        /// The database.
        place: String,
        /// What the server says.
        reason: String,
    },
    /// The connection was cut. What was being written is there as a whole or not at all.
    #[error(
        "{place}: the connection to the server was cut ({reason}) and could not be made again; \
         run the same command again"
    )]
    Lost {
        /// The database.
        place: String,
        /// Why.
        reason: String,
    },
    /// Anything else.
    #[error("{place}: {reason}")]
    Content {
        /// The database.
        place: String,
        /// What.
        reason: String,
    },
}

impl Error {
    /// An error that is none of the others.
    pub fn content(place: impl Display, reason: impl Display) -> Self {
        Self::Content { place: place.to_string(), reason: reason.to_string() }
    }

    /// Whether the same work may succeed on a new connection.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::NotNow { .. })
    }

    /// Whether it may pass by itself: the connection was cut, or the server does not run now.
    pub fn may_pass(&self) -> bool {
        self.is_of_the_connection() || matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn sqlite(
        place: impl Display,
        schema: &'static Schema,
        error: &rusqlite::Error,
    ) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::locked(place, schema),
            Some(DatabaseCorrupt | NotADatabase) => Self::damaged(place, schema, error),
            _ => Self::content(place, error),
        }
    }

    fn locked(place: impl Display, schema: &'static Schema) -> Self {
        Self::Locked { place: place.to_string(), what: schema.what }
    }

    pub(crate) fn damaged(
        place: impl Display,
        schema: &'static Schema,
        reason: impl Display,
    ) -> Self {
        let (place, reason) = (place.to_string(), reason.to_string());
        Self::Damaged { place, what: schema.what, reason, remedy: schema.remedy }
    }

    /// An error of a server that was connected to.
    pub(crate) fn server(
        place: impl Display,
        schema: &'static Schema,
        error: &tokio_postgres::Error,
    ) -> Self {
        let (place, reason) = (place.to_string(), said(error));
        let Some(code) = error.code() else {
            // Values and rows that do not fit are faults of this program; all else is the line.
            let text = error.to_string();
            return match text.contains("serializing") || text.contains("parameters") {
                true => Self::Content { place, reason },
                false => Self::Lost { place, reason },
            };
        };
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            return Self::locked(place, schema);
        }
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            return Self::NotAllowed { place, reason };
        }
        // Ended by an administrator, a crash or a time limit of the server; or chosen as the victim
        // of two that wait for each other.
        let cut = [
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        let class = &code.code()[..2];
        if cut.contains(code)
            || (["57", "08"].contains(&class) && *code != SqlState::QUERY_CANCELED)
        {
            return Self::Lost { place, reason };
        }
        Self::Content { place, reason }
    }

    /// An error in connecting to a server.
    pub(crate) fn connecting(place: impl Display, error: &tokio_postgres::Error) -> Self {
        let (place, reason) = (place.to_string(), said(error));
        let Some(code) = error.code() else {
            // "password missing", of the client itself.
            let of_password = error.to_string().contains("configuration")
                || error.to_string().contains("authentication");
            return match of_password {
                true => Self::Refused { place, reason },
                false => Self::Unreachable { place, reason },
            };
        };
        match &code.code()[..2] {
            "28" => Self::Refused { place, reason },
            "3D" => Self::NoDatabase(place),
            "42" => Self::NotAllowed { place, reason },
            "53" | "57" | "08" => Self::NotNow { place, reason },
            _ => Self::Content { place, reason },
        }
    }
}

/// An error of the client in one line: what the server says, or each cause.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(of_server) = error.as_db_error() {
        let detail = of_server.detail().map_or(String::new(), |d| format!(": {d}"));
        return format!("{}{detail}", of_server.message());
    }
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said += &format!(": {error}");
        cause = error.source();
    }
    said
}
