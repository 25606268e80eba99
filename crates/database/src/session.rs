//! A connection to a PostgreSQL server.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::{Client, Statement};

use crate::address::Server;
use crate::error::PATIENCE;
use crate::schema::Schema;
use crate::tls::Tls;
use crate::{Error, password};

/// A connection with the statements that were prepared on it.
pub(crate) struct Session {
    pub(crate) client: Client,
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
        let mut client = config.connect(tls).map_err(|e| Error::connecting(server, &e))?;
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
             SET enable_seqscan = {only_reads}; SET random_page_cost = 1.1; SET jit = off",
            schema.name,
            PATIENCE.as_millis()
        );
        client.batch_execute(&settings).map_err(|e| Error::server(server, schema, &e))?;
        Ok(Self { client, statements: HashMap::new() })
    }

    pub(crate) fn found(
        &mut self,
        server: &Server,
        schema: &'static Schema,
    ) -> Result<Found, Error> {
        let at = |e: postgres::Error| Error::server(server, schema, &e);
        let (name, place) = (schema.name, server.to_string());
        let row = self
            .client
            .query_one(
                "SELECT current_setting('server_encoding'),
                   (SELECT count(*) FROM pg_namespace WHERE nspname = $1),
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = $1),
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = $1 AND c.relname = 'version' AND c.relkind = 'r')",
                &[&name],
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
        let marks = self
            .client
            .query_opt(&format!("SELECT application, version FROM {name}.version"), &[])
            .map_err(|e| match Error::server(server, schema, &e) {
                Error::Content { reason, .. } => of_others(reason),
                other => other,
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
    pub(crate) fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&numbered(sql))?;
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// Claims a name until the session ends.
    pub(crate) fn try_claim(&mut self, name: &str) -> Result<bool, postgres::Error> {
        let sql = "SELECT pg_try_advisory_lock(hashtextextended(?1, 0))";
        let statement = self.prepared(sql)?;
        self.client.query_one(&statement, &[&name])?.try_get(0)
    }

    /// Gives a claimed name back.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), postgres::Error> {
        let statement = self.prepared("SELECT pg_advisory_unlock(hashtextextended(?1, 0))")?;
        self.client.query_one(&statement, &[&name]).map(drop)
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
