//! Questions that are asked before their answers are needed: on a server those that follow each
//! other take one journey.

use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as SqliteValue;

use crate::Error;
use crate::connection::{Connection, Remote, System};
use crate::remembered::{self, Answer, Look};
use crate::session::Session;
use crate::value::{Cells, Encoded, Row, Value};

/// A question whose answer is yet to be read.
pub struct Asked<'a> {
    connection: &'a Connection,
    question: Question<'a>,
}

enum Question<'a> {
    /// A file is asked when the answer is read.
    File(&'a rusqlite::Connection, String, Vec<SqliteValue>),
    Server(Sent<'a>),
}

impl Connection {
    /// Asks a question without waiting for the answer. What is wrong with the question is said here
    /// or when the answer is read; what this connection writes in between may be in it or not.
    ///
    /// # Errors
    /// If the database refuses the statement.
    pub fn ask(&self, sql: &str, values: &[Value<'_>]) -> Result<Asked<'_>, Error> {
        let question = match &self.system {
            System::Sqlite(file) => {
                Question::File(file, sql.into(), values.iter().map(|&v| v.into()).collect())
            }
            System::Postgres(remote) => Question::Server(Sent::new(self, remote, sql, values)?),
        };
        Ok(Asked { connection: self, question })
    }

    /// Has the server say which state its tables are in, without waiting for it. Until the next
    /// look, questions that were answered in this state are not asked again.
    pub(crate) fn look(&self) {
        let System::Postgres(remote) = &self.system else { return };
        // Who writes reads what was written.
        if !remote.only_reads {
            return;
        }
        let number = remote.number();
        // What is wrong is said by the next question.
        let _ = self.on_server(remote, |session| remote.look.borrow_mut().ask(session, number));
    }

    /// Works with what is remembered; not in an open transaction, which may see what is older or
    /// newer.
    fn with_look<T>(
        &self,
        remote: &Remote,
        work: impl FnOnce(&mut Look, &mut Session) -> T,
    ) -> Option<T> {
        let work = || work(&mut remote.look.borrow_mut(), &mut remote.session.borrow_mut());
        (!self.is_busy.get()).then(work)
    }

    pub(crate) fn of_a_server<T>(
        &self,
        remote: &Remote,
        most: usize,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        Sent::new(self, remote, sql, values)?.at_most(most, read)
    }
}

impl Asked<'_> {
    /// The rows of the answer, each as `read` makes it.
    ///
    /// # Errors
    /// If the database refuses the statement, or `read` a row.
    pub fn rows<T>(self, read: impl FnMut(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.at_most(usize::MAX, read)
    }

    /// The first row of the answer, if there is any.
    ///
    /// # Errors
    /// As [`Asked::rows`].
    pub fn first<T>(
        self,
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.at_most(1, read)?.pop())
    }

    /// The first row of an answer that has one.
    ///
    /// # Errors
    /// As [`Asked::rows`], and if there is none.
    pub fn one<T>(self, read: impl FnMut(&Row<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let connection = self.connection;
        connection.there(self.first(read)?)
    }

    fn at_most<T>(
        self,
        most: usize,
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        match self.question {
            Question::File(file, sql, values) => {
                self.connection.of_a_file(file, most, &sql, params_from_iter(values), read)
            }
            Question::Server(sent) => sent.at_most(most, read),
        }
    }
}

/// A question to a server.
struct Sent<'a> {
    connection: &'a Connection,
    remote: &'a Remote,
    number: u64,
    question: remembered::Question,
    /// The answer, if the server need not be asked.
    known: Option<Answer>,
}

impl<'a> Sent<'a> {
    fn new(
        connection: &'a Connection,
        remote: &'a Remote,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Self, Error> {
        connection.send_waiting_of(sql)?;
        let number = remote.number();
        let statement = connection.on_server(remote, |session| session.prepared(sql));
        let statement = statement.map_err(|e| connection.first_error(e))?;
        let values = Encoded::all(values, statement.params());
        let values = values.map_err(|e| Error::content(&connection.place, e))?;
        let question = (sql.into(), Arc::clone(&values));
        let known = connection
            .with_look(remote, |look, session| remote.remembered.recall(look, session, &question));
        let known = known.flatten();
        if known.is_none() {
            remote.session.borrow_mut().ask(number, statement, values);
        }
        Ok(Self { connection, remote, number, question, known })
    }

    /// The first rows of its answer.
    fn at_most<T>(
        &self,
        most: usize,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let place = self.connection.place.as_str();
        let read = |row| read(&Row { place, cells: Cells::Postgres(row) });
        let answer = match &self.known {
            Some(answer) => Arc::clone(answer),
            None => self.answer().map_err(|e| self.connection.first_error(e))?,
        };
        answer.iter().take(most).map(read).collect()
    }

    fn answer(&self) -> Result<Answer, Error> {
        let answer = self.connection.on_server(self.remote, |session| {
            // The connection may have been cut and made again since.
            if !session.line.is_open(self.number) {
                let statement = session.prepared(&self.question.0)?;
                session.ask(self.number, statement, Arc::clone(&self.question.1));
            }
            session.line.answer(self.number)
        })?;
        let answer = answer.into();
        self.connection.with_look(self.remote, |look, session| {
            let known = (&self.question, &answer);
            self.remote.remembered.remember(look, session, self.number, known);
        });
        Ok(answer)
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if self.known.is_none() {
            self.remote.session.borrow_mut().line.forget(self.number);
        }
    }
}
