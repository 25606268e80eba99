//! SQL on a SQLite file or a PostgreSQL server, in one form: the only code that knows either.
//!
//! A [`Database`] is opened from an [`Address`] for a [`Schema`], which says which tables it has on
//! each system. Work on it is a closure that is given a [`Connection`]; on a server it is done
//! again if the connection is cut, so that it must do the same each time.
//!
//! One process writes at a time, on a server as in a file: what is read in [`Database::write`] is
//! still so when it is written.

mod address;
mod asked;
mod connection;
mod error;
mod later;
mod line;
mod list;
mod password;
mod remembered;
mod schema;
mod server_tables;
mod session;
mod sqlite;
mod tls;
mod transaction;
mod value;
mod waiting;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use address::{Address, Server, without_passwords};
pub use asked::Asked;
pub use connection::Connection;
use connection::{Remote, System};
pub use error::Error;
use error::PATIENCE;
pub use schema::{Schema, Tables};
use session::{Session, patiently};
pub use transaction::Transaction;
pub use value::{Bind, Column, Row, Value};
pub use waiting::Addition;

/// A kind of database of ours.
pub struct Kind {
    /// Its tables.
    pub schema: Schema,
    /// What else is to be done when older tables have become these, in the same transaction.
    pub migrated: fn(&Connection) -> Result<(), Error>,
}

/// An open database.
pub struct Database {
    address: Address,
    connection: Connection,
}

impl Database {
    /// Opens a database, and makes its tables if they are not there.
    ///
    /// # Errors
    /// If it is something else, damaged, of a newer version, cannot be reached or written.
    pub fn open(address: &Address, kind: &'static Kind) -> Result<Self, Error> {
        match address {
            Address::File(path) => {
                let file = sqlite::open(path, &kind.schema)?;
                let database = Self::on(address, &kind.schema, System::Sqlite(file));
                sqlite::migrate(&database.connection, kind.migrated)?;
                Ok(database)
            }
            Address::Server(server) => patiently(|| {
                let database = Self::connect(address, server, &kind.schema, false)?;
                server_tables::prepare(&database.connection, kind.migrated)?;
                Ok(database)
            }),
        }
    }

    /// Opens a database for reading only, if it is there; nothing is made. Tables of an older
    /// version are brought to this one first.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn find_to_read(address: &Address, kind: &'static Kind) -> Result<Option<Self>, Error> {
        let system = match address {
            Address::File(path) if path.exists() => match sqlite::open_to_read(path, &kind.schema)?
            {
                Some(file) => System::Sqlite(file),
                None => {
                    drop(Self::open(address, kind)?);
                    return Self::find_to_read(address, kind);
                }
            },
            Address::File(_) => return Ok(None),
            Address::Server(server) => {
                return patiently(|| {
                    let database = Self::connect(address, server, &kind.schema, true)?;
                    match server_tables::are_there(&database.connection)? {
                        None => return Ok(None),
                        Some(true) => {}
                        Some(false) => drop(Self::open(address, kind)?),
                    }
                    Ok(Some(database))
                });
            }
        };
        Ok(Some(Self::on(address, &kind.schema, system)))
    }

    /// Whether there is a database of this kind, without making or changing anything.
    ///
    /// # Errors
    /// If it cannot be reached, or is of another kind.
    pub fn is_there(address: &Address, kind: &'static Kind) -> Result<bool, Error> {
        match address {
            Address::File(path) => Ok(path.exists()),
            Address::Server(server) => patiently(|| {
                let database = Self::connect(address, server, &kind.schema, true)?;
                Ok(server_tables::are_there(&database.connection)?.is_some())
            }),
        }
    }

    fn connect(
        address: &Address,
        server: &Server,
        schema: &'static Schema,
        only_reads: bool,
    ) -> Result<Self, Error> {
        let session = RefCell::new(Session::connect_once(server, schema, only_reads)?);
        let (server, asked, claimed) = (server.clone(), Cell::new(0), RefCell::default());
        let (waiting, sent) = (RefCell::default(), RefCell::default());
        let (remembered, look) = (Arc::default(), RefCell::default());
        let remote =
            Remote { server, only_reads, session, asked, claimed, waiting, sent, remembered, look };
        let remote = Box::new(remote);
        Ok(Self::on(address, schema, System::Postgres(remote)))
    }

    fn on(address: &Address, schema: &'static Schema, system: System) -> Self {
        let connection = Connection::of(address.to_string(), schema, system);
        Self { address: address.clone(), connection }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its connection, for statements outside a transaction: such as read. A connection to a server
    /// that was cut is made again, once.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Begins work that reads, and need not see what is written from now on. On a server, what was
    /// asked after an earlier look is not asked again if nothing was written since. That is so for
    /// connections that only read: who may write asks all anew.
    pub fn look(&self) {
        self.connection.look();
    }

    /// Has this connection remember together with another one to the same database.
    pub fn share(&mut self, other: &Self) {
        if let (System::Postgres(own), System::Postgres(other)) =
            (&mut self.connection.system, &other.connection.system)
        {
            own.remembered = Arc::clone(&other.remembered);
        }
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
        self.again(|| {
            let transaction = self.begin()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Claims a name among the processes that use a server; false if another has it. It is free
    /// again when it is released, or the process or its connection ends. Files have no claims: who
    /// shares a file shares its folder, and locks there.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub fn claim(&self, name: &str) -> Result<bool, Error> {
        let System::Postgres(remote) = &self.connection.system else { return Ok(true) };
        let is_ours = self
            .read(|connection| connection.on_server(remote, |session| session.try_claim(name)))?;
        if is_ours {
            remote.claimed.borrow_mut().push(name.into());
        }
        Ok(is_ours)
    }

    /// Gives a claimed name back. Where that fails, the connection has ended, and the claim with
    /// it.
    pub fn release(&self, name: &str) {
        let System::Postgres(remote) = &self.connection.system else { return };
        let mut claimed = remote.claimed.borrow_mut();
        if let Some(place) = claimed.iter().position(|n| n == name) {
            claimed.swap_remove(place);
            let _ = remote.session.borrow_mut().release(name);
        }
    }

    /// Does the work again on a new connection, if that was cut.
    fn again<T>(&self, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match work() {
                Err(e) if e.may_pass() && Instant::now() < end => e,
                other => return other,
            };
            while let Err(e) = self.connection.connect_again() {
                if !e.may_pass() {
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
}
