//! Transactions: all that is done in one is there at its end, or nothing of it.

use std::ops::Deref;

use crate::connection::{Connection, System};
use crate::{Database, Error};

/// An open transaction. Unless it is committed, nothing of it stays.
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Transaction<'_> {
    /// Keeps what was done.
    ///
    /// # Errors
    /// If the database cannot keep it. Where the connection is cut at the very end, it may be there
    /// as a whole all the same.
    pub fn commit(mut self) -> Result<(), Error> {
        self.connection.send_waiting()?;
        // A server that refused a row would undo all and call it done.
        self.connection.heed_sent()?;
        let done = self.connection.batch("COMMIT");
        self.is_open = done.is_err();
        self.connection.is_busy.set(self.is_open);
        done
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            if let System::Postgres(remote) = &self.connection.system {
                remote.waiting.borrow_mut().clear();
                // What failed is known, or does not matter any more.
                let _ = self.connection.heed_sent();
            }
            // Where that fails, the connection has ended, and the transaction with it.
            let _ = self.connection.batch("ROLLBACK");
            self.connection.is_busy.set(false);
        }
    }
}

impl Database {
    /// Begins to write, as the only one who does.
    ///
    /// # Errors
    /// If another process writes for longer than 30 seconds, or the database cannot be reached.
    pub fn begin(&self) -> Result<Transaction<'_>, Error> {
        self.connection.begin()
    }

    /// Begins to read what is there now: what others write meanwhile does not come in between.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub fn snapshot(&self) -> Result<Transaction<'_>, Error> {
        self.connection.open("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }
}

impl Connection {
    pub(crate) fn begin(&self) -> Result<Transaction<'_>, Error> {
        let server = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             SELECT pg_advisory_xact_lock({})",
            self.schema.application
        );
        self.open("BEGIN IMMEDIATE", &server)
    }

    fn open(&self, file: &str, server: &str) -> Result<Transaction<'_>, Error> {
        match &self.system {
            System::Sqlite(_) => self.batch(file)?,
            System::Postgres(remote) => self.on_server(remote, |session| {
                session.batch(server).inspect_err(|_| {
                    // It had begun, and waited for another too long.
                    let _ = session.batch("ROLLBACK");
                })
            })?,
        }
        self.is_busy.set(true);
        Ok(Transaction { connection: self, is_open: true })
    }
}
