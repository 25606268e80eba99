//! Statements on an open database.

use std::cell::{RefCell, RefMut};

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::ToSql;
use rusqlite::{CachedStatement, params_from_iter};

use crate::Error;
use crate::schema::Schema;
use crate::session::Session;
use crate::value::{Cells, Row, Value};

/// An open database on which statements are run. Parameters are written `?1`, `?2` and so on;
/// statements must be such as both systems take.
pub struct Connection {
    pub(crate) place: String,
    pub(crate) schema: &'static Schema,
    pub(crate) system: System,
}

pub(crate) enum System {
    Sqlite(rusqlite::Connection),
    Postgres(Box<RefCell<Session>>),
}

impl System {
    pub(crate) fn of(session: Session) -> Self {
        Self::Postgres(Box::new(RefCell::new(session)))
    }
}

impl Connection {
    /// Runs a statement without an answer; how many rows it changed.
    ///
    /// # Errors
    /// If the database refuses it.
    pub fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        match &self.system {
            System::Sqlite(c) => {
                let changed = self.cached(c, sql)?.execute(params_from_iter(values));
                Ok(changed.map_err(|e| self.of_file(&e))? as u64)
            }
            System::Postgres(session) => {
                let mut session = session.borrow_mut();
                let at = |e: postgres::Error| self.of_server(&e);
                let statement = session.prepared(sql).map_err(at)?;
                session.client.execute(&statement, &as_sql(values)).map_err(at)
            }
        }
    }

    /// The rows of an answer, each as `read` makes it.
    ///
    /// # Errors
    /// If the database refuses the statement, or `read` a row.
    pub fn query<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let place = self.place.as_str();
        match &self.system {
            System::Sqlite(c) => {
                let at = |e: rusqlite::Error| self.of_file(&e);
                let mut statement = self.cached(c, sql)?;
                let mut rows = statement.query(params_from_iter(values)).map_err(at)?;
                let mut all = Vec::new();
                while let Some(row) = rows.next().map_err(at)? {
                    all.push(read(&Row { place, cells: Cells::Sqlite(row) })?);
                }
                Ok(all)
            }
            System::Postgres(session) => {
                let rows = self.rows(session.borrow_mut(), sql, values)?;
                rows.iter().map(|row| read(&Row { place, cells: Cells::Postgres(row) })).collect()
            }
        }
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
        Ok(self.query(sql, values, read)?.into_iter().next())
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
            System::Postgres(session) => {
                let mut session = session.borrow_mut();
                let at = |e: postgres::Error| self.of_server(&e);
                let all = session.prepared(&format!("SELECT {named} FROM {table}")).map_err(at)?;
                let kinds: Vec<_> = all.columns().iter().map(|c| c.type_().clone()).collect();
                let copy = format!("COPY {table} ({named}) FROM STDIN BINARY");
                let writer = session.client.copy_in(&copy).map_err(at)?;
                let mut writer = BinaryCopyInWriter::new(writer, &kinds);
                for row in rows {
                    writer.write(&as_sql(&row)).map_err(at)?;
                }
                writer.finish().map(drop).map_err(at)
            }
        }
    }

    pub(crate) fn of_file(&self, error: &rusqlite::Error) -> Error {
        Error::sqlite(&self.place, self.schema, error)
    }

    pub(crate) fn of_server(&self, error: &postgres::Error) -> Error {
        Error::server(&self.place, error)
    }

    fn cached<'c>(
        &self,
        connection: &'c rusqlite::Connection,
        sql: &str,
    ) -> Result<CachedStatement<'c>, Error> {
        connection.prepare_cached(sql).map_err(|e| self.of_file(&e))
    }

    fn rows(
        &self,
        mut session: RefMut<'_, Session>,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<postgres::Row>, Error> {
        let at = |e: postgres::Error| self.of_server(&e);
        let statement = session.prepared(sql).map_err(at)?;
        session.client.query(&statement, &as_sql(values)).map_err(at)
    }
}

fn as_sql<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
