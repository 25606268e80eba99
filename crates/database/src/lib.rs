//! SQL on a SQLite file or a PostgreSQL server, in one form: the only code that knows either.
//!
//! A [`Database`] is opened from an [`Address`] for a [`Schema`], which says which tables it has on
//! each system. Work on it is a closure that is given a [`Connection`]; on a server it is done
//! again if the connection is cut, so that it must do the same each time.
//!
//! One process writes at a time, on a server as in a file: what is read in [`Database::write`] is
//! still so when it is written.

mod address;
mod connection;
mod error;
mod password;
mod schema;
mod session;
pub mod sqlite;
mod tls;
mod value;

use std::cell::RefCell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Transaction, TransactionBehavior};

pub use address::{Address, Server, without_passwords};
pub use connection::Connection;
use connection::System;
pub use error::Error;
use error::PATIENCE;
pub use schema::{Schema, Tables};
use session::Session;
pub use value::{Column, Row, Value};

/// An open database.
pub struct Database {
    address: Address,
    connection: Connection,
    /// Names that this process has claimed.
    claimed: RefCell<Vec<String>>,
}

impl Database {
    /// Opens a database, and makes its tables if they are not there.
    ///
    /// # Errors
    /// If it is something else, damaged, of a newer version, cannot be reached or written.
    pub fn open(address: &Address, schema: &'static Schema) -> Result<Self, Error> {
        let system = match address {
            Address::File(path) => System::Sqlite(sqlite::open(path, schema)?),
            Address::Server(server) => System::of(Session::open(server, schema)?),
        };
        Ok(Self::on(address, schema, system))
    }

    /// Opens a database if it is there; nothing is made.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn find(address: &Address, schema: &'static Schema) -> Result<Option<Self>, Error> {
        let system = match address {
            Address::File(path) if path.exists() => System::Sqlite(sqlite::open(path, schema)?),
            Address::File(_) => return Ok(None),
            Address::Server(server) => match Session::find(server, schema)? {
                Some(session) => System::of(session),
                None => return Ok(None),
            },
        };
        Ok(Some(Self::on(address, schema, system)))
    }

    fn on(address: &Address, schema: &'static Schema, system: System) -> Self {
        let connection = Connection { place: address.to_string(), schema, system };
        Self { address: address.clone(), connection, claimed: RefCell::default() }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Reads.
    ///
    /// # Errors
    /// Those of `work`, or if the connection is cut for longer than 30 seconds.
    pub fn read<T>(
        &self,
        mut work: impl FnMut(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.again(|| work(&self.connection))
    }

    /// Writes all that `work` does or nothing of it, while no other process writes. If the
    /// connection is cut at the very end, `work` is done again and finds what it had written.
    ///
    /// # Errors
    /// Those of `work`; if another process writes for longer than 30 seconds, or the connection is
    /// cut for as long.
    pub fn write<T>(
        &self,
        mut work: impl FnMut(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = &self.connection;
        self.again(|| match &connection.system {
            System::Sqlite(file) => {
                let at = |e: rusqlite::Error| connection.of_file(&e);
                let transaction =
                    Transaction::new_unchecked(file, TransactionBehavior::Immediate).map_err(at)?;
                let done = work(connection)?;
                transaction.commit().map_err(at)?;
                Ok(done)
            }
            System::Postgres(session) => {
                let at = |e: postgres::Error| connection.of_server(&e);
                session.borrow_mut().begin(self.connection.schema).map_err(at)?;
                let done = work(connection);
                let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
                let ended = session.borrow_mut().client.batch_execute(end).map_err(at);
                done.and_then(|done| ended.map(|()| done))
            }
        })
    }

    /// Claims a name among the processes that use a server; false if another has it. It is free
    /// again when it is released, or the process or its connection ends. Files have no claims: who
    /// shares a file shares its folder, and locks there.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub fn claim(&self, name: &str) -> Result<bool, Error> {
        if matches!(self.connection.system, System::Sqlite(_)) {
            return Ok(true);
        }
        let is_ours = self.read(|connection| try_claim(connection, name))?;
        if is_ours {
            self.claimed.borrow_mut().push(name.into());
        }
        Ok(is_ours)
    }

    /// Gives a claimed name back. Where that fails, the connection has ended, and the claim with
    /// it.
    pub fn release(&self, name: &str) {
        let mut claimed = self.claimed.borrow_mut();
        if let Some(place) = claimed.iter().position(|n| n == name) {
            claimed.swap_remove(place);
            let _ = self.connection.query(RELEASE, &[name.into()], |_| Ok(()));
        }
    }

    /// Does the work again on a new connection, if that was cut.
    fn again<T>(&self, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match work() {
                Err(e) if e.is_of_the_connection() && Instant::now() < end => e,
                other => return other,
            };
            while let Err(e) = self.connect_again() {
                let passes = e.is_of_the_connection() || matches!(e, Error::Unreachable { .. });
                if !passes {
                    return Err(e);
                }
                if Instant::now() + pause >= end {
                    return Err(error);
                }
                sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }

    fn connect_again(&self) -> Result<(), Error> {
        if let (Address::Server(server), System::Postgres(session)) =
            (&self.address, &self.connection.system)
        {
            *session.borrow_mut() = Session::connect(server, self.connection.schema)?;
            // Claims ended with the connection. One that another has taken meanwhile is lost: what
            // both do is the same, and recorded once.
            for name in self.claimed.borrow().iter() {
                try_claim(&self.connection, name)?;
            }
        }
        Ok(())
    }
}

const RELEASE: &str = "SELECT pg_advisory_unlock(hashtextextended(?1, 0))";

fn try_claim(connection: &Connection, name: &str) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtextextended(?1, 0))";
    Ok(connection.first(sql, &[name.into()], |row| row.get(0))?.unwrap_or(false))
}
