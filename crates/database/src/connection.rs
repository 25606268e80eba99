//! Statements on an open database.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;

use rusqlite::{CachedStatement, Params, params_from_iter};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::ToSql;

use crate::Error;
use crate::address::Server;
use crate::remembered::{Look, Remembered};
use crate::schema::Schema;
use crate::session::Session;
use crate::value::{Cells, Row, Value};
use crate::waiting::Waiting;

/// An open database on which statements are run. Parameters are written `?1`, `?2` and so on;
/// statements must be such as both systems take.
pub struct Connection {
    pub(crate) place: String,
    pub(crate) schema: &'static Schema,
    pub(crate) system: System,
    /// Whether a transaction is open.
    pub(crate) is_busy: Cell<bool>,
    /// Rows that statements of this connection changed.
    pub(crate) changed: Cell<u64>,
}

pub(crate) enum System {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Remote>),
}

/// A connection to a server, which is made again when it is cut.
pub(crate) struct Remote {
    pub(crate) server: Server,
    pub(crate) only_reads: bool,
    pub(crate) session: RefCell<Session>,
    /// Questions that were asked so far.
    pub(crate) asked: Cell<u64>,
    /// Names that this process has claimed.
    pub(crate) claimed: RefCell<Vec<String>>,
    /// Rows that are added before anything reads their tables.
    pub(crate) waiting: RefCell<Vec<Waiting>>,
    /// Numbers of the statements that were sent with such rows and may still fail.
    pub(crate) sent: RefCell<Vec<u64>>,
    /// Answers that may be given again.
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) look: RefCell<Look>,
}

impl Remote {
    /// The number of the next question.
    pub(crate) fn number(&self) -> u64 {
        self.asked.replace(self.asked.get() + 1)
    }
}

impl Connection {
    pub(crate) fn of(place: String, schema: &'static Schema, system: System) -> Self {
        Self { place, schema, system, is_busy: Cell::new(false), changed: Cell::new(0) }
    }

    /// Whether this is a PostgreSQL server, for the few statements that differ.
    pub fn is_server(&self) -> bool {
        matches!(self.system, System::Postgres(_))
    }

    /// Runs a statement without an answer; how many rows it changed.
    ///
    /// # Errors
    /// If the database refuses it.
    pub fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        let changed = match &self.system {
            System::Sqlite(c) => {
                let changed = self.cached(c, sql)?.execute(params_from_iter(values));
                changed.map_err(|e| self.of_file(&e))? as u64
            }
            System::Postgres(remote) => {
                self.send_waiting_of(sql)?;
                let execute = |session: &mut Session| {
                    let (statement, values) = (session.prepared(sql)?, as_sql(values));
                    session.run(async |client| client.execute(&statement, &values).await)
                };
                let done = execute(&mut remote.session.borrow_mut());
                done.map_err(|e| self.first_error(self.of_server(&e)))?
            }
        };
        self.changed.set(self.changed.get() + changed);
        Ok(changed)
    }

    /// Adds a row by an `INSERT`; the number that it got, its column `id`.
    ///
    /// # Errors
    /// If the database refuses it.
    pub fn add(&self, sql: &str, values: &[Value<'_>]) -> Result<i64, Error> {
        match &self.system {
            System::Sqlite(c) => {
                self.execute(sql, values)?;
                Ok(c.last_insert_rowid())
            }
            System::Postgres(_) => {
                self.changed.set(self.changed.get() + 1);
                self.one(&format!("{sql} RETURNING id"), values, |row| row.get(0))
            }
        }
    }

    /// How many rows this connection has changed so far.
    pub fn changed(&self) -> u64 {
        self.changed.get()
    }

    /// The rows of an answer, each as `read` makes it.
    ///
    /// # Errors
    /// If the database refuses the statement, or `read` a row.
    pub fn query<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.at_most(usize::MAX, sql, values, read)
    }

    /// The first row of an answer, if there is any.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.at_most(1, sql, values, read)?.pop())
    }

    /// The first row of an answer that has one.
    ///
    /// # Errors
    /// As [`Connection::query`], and if there is none.
    pub fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.there(self.first(sql, values, read)?)
    }

    /// Whether an answer has a row.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, Error> {
        Ok(self.first(sql, values, |_| Ok(()))?.is_some())
    }

    fn at_most<T>(
        &self,
        most: usize,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        match &self.system {
            System::Sqlite(c) => self.of_a_file(c, most, sql, params_from_iter(values), read),
            System::Postgres(remote) => self.of_a_server(remote, most, sql, values, read),
        }
    }

    pub(crate) fn of_a_file<T>(
        &self,
        file: &rusqlite::Connection,
        most: usize,
        sql: &str,
        values: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let at = |e: rusqlite::Error| self.of_file(&e);
        let mut statement = self.cached(file, sql)?;
        let mut rows = statement.query(values).map_err(at)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(at)? {
            all.push(read(&Row { place: &self.place, cells: Cells::Sqlite(row) })?);
            if all.len() == most {
                break;
            }
        }
        Ok(all)
    }

    /// A row that must be there.
    pub(crate) fn there<T>(&self, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| Error::content(&self.place, "a row that should be there is not"))
    }

    /// Puts many rows into a table: on a server they travel together.
    ///
    /// # Errors
    /// If the database refuses one of them.
    pub fn insert<'v, const N: usize>(
        &self,
        table: &str,
        columns: [&str; N],
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), Error> {
        let named = columns.join(", ");
        match &self.system {
            System::Sqlite(c) => {
                let places: Vec<_> = (1..=N).map(|i| format!("?{i}")).collect();
                let places = places.join(", ");
                let sql = format!("INSERT INTO {table} ({named}) VALUES ({places})");
                let mut statement = self.cached(c, &sql)?;
                for row in rows {
                    let added = statement.execute(params_from_iter(&row));
                    added.map_err(|e| self.of_file(&e))?;
                }
                Ok(())
            }
            System::Postgres(remote) => {
                self.send_waiting()?;
                self.heed_sent()?;
                let mut session = remote.session.borrow_mut();
                let at = |e: tokio_postgres::Error| self.of_server(&e);
                let all = session.prepared(&format!("SELECT {named} FROM {table}")).map_err(at)?;
                let kinds: Vec<_> = all.columns().iter().map(|c| c.type_().clone()).collect();
                let copy = format!("COPY {table} ({named}) FROM STDIN BINARY");
                let done = session.run(async |client| {
                    let writer = BinaryCopyInWriter::new(client.copy_in(&copy).await?, &kinds);
                    let mut writer = pin!(writer);
                    for row in rows {
                        writer.as_mut().write(&as_sql(&row)).await?;
                    }
                    writer.finish().await
                });
                done.map(drop).map_err(at)
            }
        }
    }

    pub(crate) fn of_file(&self, error: &rusqlite::Error) -> Error {
        Error::sqlite(&self.place, self.schema, error)
    }

    pub(crate) fn of_server(&self, error: &tokio_postgres::Error) -> Error {
        Error::server(&self.place, self.schema, error)
    }

    /// Runs several statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Error> {
        match &self.system {
            System::Sqlite(c) => c.execute_batch(sql).map_err(|e| self.of_file(&e)),
            System::Postgres(remote) => {
                let mut session = remote.session.borrow_mut();
                session.batch(sql).map_err(|e| self.of_server(&e))
            }
        }
    }

    /// Works on the server. Outside a transaction a connection that was cut, be it long ago, is
    /// made again and the work done once more: it reads, or begins a transaction.
    pub(crate) fn on_server<T>(
        &self,
        remote: &Remote,
        mut work: impl FnMut(&mut Session) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        let done = work(&mut remote.session.borrow_mut()).map_err(|e| self.of_server(&e));
        match done {
            Err(e) if e.is_of_the_connection() && !self.is_busy.get() => {
                self.connect_again()?;
                work(&mut remote.session.borrow_mut()).map_err(|e| self.of_server(&e))
            }
            other => other,
        }
    }

    pub(crate) fn connect_again(&self) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let session = Session::connect(&remote.server, self.schema, remote.only_reads)?;
        *remote.session.borrow_mut() = session;
        remote.remembered.forget();
        remote.look.take();
        // Claims ended with the connection. One that another has taken meanwhile is lost: what both
        // do is the same, and recorded once.
        let mut claimed = remote.claimed.borrow_mut();
        let mut kept = Vec::with_capacity(claimed.len());
        for name in claimed.drain(..) {
            let mut session = remote.session.borrow_mut();
            let taken = session.try_claim(&name).map_err(|e| self.of_server(&e));
            if taken? {
                kept.push(name);
            }
        }
        *claimed = kept;
        Ok(())
    }

    fn cached<'c>(
        &self,
        connection: &'c rusqlite::Connection,
        sql: &str,
    ) -> Result<CachedStatement<'c>, Error> {
        connection.prepare_cached(sql).map_err(|e| self.of_file(&e))
    }
}

fn as_sql<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
