//! A connection to a PostgreSQL server.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::address::Server;
use crate::error::PATIENCE;
use crate::line::Line;
use crate::schema::Schema;
use crate::tls::Tls;
use crate::{Error, password};

/// A connection with the statements that were prepared on it.
pub(crate) struct Session {
    // It goes before the line does, which then ends.
    client: Arc<Client>,
    pub(crate) line: Line,
    statements: HashMap<String, Statement>,
}

/// What there is on a server.
pub(crate) enum Found {
    Nothing,
    /// The schema, made by the server's owner, and nothing in it.
    Empty,
    Tables(i64),
}

impl Session {
    /// Connects.
    pub(crate) fn connect(
        server: &Server,
        schema: &'static Schema,
        only_reads: bool,
    ) -> Result<Self, Error> {
        patiently(|| Self::connect_once(server, schema, only_reads))
    }

    pub(crate) fn connect_once(
        server: &Server,
        schema: &'static Schema,
        only_reads: bool,
    ) -> Result<Self, Error> {
        let mut config = server.config.clone();
        if config.get_password().is_none()
            && let Some(password) = password::found(&config)
        {
            config.password(password);
        }
        let tls = Tls::new(&server.trust).map_err(|e| Error::content(server, e))?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::content(server, e))?;
        let connected = runtime.block_on(config.connect(tls));
        let (client, connection) = connected.map_err(|e| Error::connecting(server, &e))?;
        let (client, line) = (Arc::new(client), Line::new(runtime, connection));
        let mut session = Self { client, line, statements: HashMap::new() };
        // Whoever writes finds rows by their keys: a plan that was made while a table was empty
        // must not read the whole of it later. What is asked for again and again is in memory, and
        // no statement is long enough to be compiled. Names in statements are those of our schema.
        // A machine that vanished keeps its locks for two hours, if the server is not told, and a
        // process that was stopped for ever.
        let settings = format!(
            "SET search_path = {}; SET standard_conforming_strings = on; SET lock_timeout = {}; SET client_min_messages = warning;
             SET idle_in_transaction_session_timeout = 60000;
             SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6;
             SET default_transaction_read_only = {only_reads};
             SET enable_seqscan = {only_reads}; SET random_page_cost = 1.1; SET jit = off;
             SET plan_cache_mode = force_generic_plan",
            schema.name,
            PATIENCE.as_millis()
        );
        session.batch(&settings).map_err(|e| Error::server(server, schema, &e))?;
        Ok(session)
    }

    pub(crate) fn found(
        &mut self,
        server: &Server,
        schema: &'static Schema,
    ) -> Result<Found, Error> {
        let at = |e: tokio_postgres::Error| Error::server(server, schema, &e);
        let (name, place) = (schema.name, server.to_string());
        let row = self
            .one(
                "SELECT current_setting('server_encoding'),
                   (SELECT count(*) FROM pg_namespace WHERE nspname = ?1),
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = ?1),
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = ?1 AND c.relname = 'version' AND c.relkind = 'r')",
                name,
            )
            .map_err(at)?;
        let encoding: String = row.get(0);
        if encoding != "UTF8" {
            let reason = format!(
                "the database has the encoding {encoding}, which cannot hold every text; make one \
                 with CREATE DATABASE name TEMPLATE template0 ENCODING 'UTF8'"
            );
            return Err(Error::Content { place, reason });
        }
        let of_others = |reason: String| Error::damaged(server, schema, reason);
        match [1, 2, 3].map(|i| row.get::<_, i64>(i)) {
            [0, _, _] => return Ok(Found::Nothing),
            [_, 0, _] => return Ok(Found::Empty),
            [_, _, 0] => return Err(of_others(format!("its schema {name} is of another program"))),
            _ => {}
        }
        let marks = format!("SELECT application, version FROM {name}.version");
        let marks = self.run(async |client| client.query_opt(&marks, &[]).await).map_err(|e| {
            match Error::server(server, schema, &e) {
                Error::Content { reason, .. } => of_others(reason),
                other => other,
            }
        })?;
        let Some(marks) = marks else { return Err(of_others("it has no version".into())) };
        let (Ok(application), Ok(found)) = (marks.try_get::<_, i64>(0), marks.try_get::<_, i64>(1))
        else {
            return Err(of_others(format!("its schema {name} is of another program")));
        };
        if application != schema.application {
            return Err(of_others(format!("its schema {name} is of another program")));
        }
        let known = schema.postgres.version();
        if found > known {
            return Err(Error::Newer { place, what: schema.what, found, known });
        }
        Ok(Found::Tables(found))
    }

    /// A statement, prepared once.
    pub(crate) fn prepared(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.run(async |client| client.prepare(&numbered(sql)).await)?;
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// Asks a question under a number, whose answer the line brings.
    pub(crate) fn ask<V: ToSql + Sync>(
        &mut self,
        number: u64,
        statement: Statement,
        values: impl AsRef<[V]> + Send + 'static,
    ) {
        let client = Arc::clone(&self.client);
        self.line.ask(number, async move {
            let values: Vec<_> = values.as_ref().iter().map(|v| v as &(dyn ToSql + Sync)).collect();
            client.query(&statement, &values).await
        });
    }

    /// Waits for work of the client.
    pub(crate) fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        self.line.wait(work(&self.client))
    }

    /// Runs several statements without parameters.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    /// Claims a name until the session ends.
    pub(crate) fn try_claim(&mut self, name: &str) -> Result<bool, tokio_postgres::Error> {
        self.one("SELECT pg_try_advisory_lock(hashtextextended(?1, 0))", name)?.try_get(0)
    }

    /// Gives a claimed name back.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), tokio_postgres::Error> {
        self.one("SELECT pg_advisory_unlock(hashtextextended(?1, 0))", name).map(drop)
    }

    /// The one row of an answer to a question with a text.
    fn one(&mut self, sql: &str, text: &str) -> Result<Row, tokio_postgres::Error> {
        let statement = self.prepared(sql)?;
        self.run(async |client| client.query_one(&statement, &[&text]).await)
    }
}

/// Does what a server that begins, ends or is full does not let be done, again and again.
pub(crate) fn patiently<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(50);
    loop {
        match work() {
            Err(e) if e.is_of_the_connection() && Instant::now() + pause < end => sleep(pause),
            other => return other,
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// `?1` of SQLite is `$1` here.
fn numbered(sql: &str) -> String {
    let mut rest = sql.chars().peekable();
    let mut whole = String::with_capacity(sql.len());
    while let Some(sign) = rest.next() {
        let is_number = sign == '?' && rest.peek().is_some_and(char::is_ascii_digit);
        whole.push(if is_number { '$' } else { sign });
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_as_the_server_takes_them() {
        assert_eq!(numbered("a = ?1 OR b = ?12 ?"), "a = $1 OR b = $12 ?");
    }
}
