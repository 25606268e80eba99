//! Rows that may wait: on a server they travel together, before anything reads their table.

use std::cell::RefMut;

use tokio_postgres::Statement;
use tokio_postgres::types::{Kind, Type};

use crate::Error;
use crate::connection::{Connection, System};
use crate::list::List;
use crate::session::Session;
use crate::value::Value;
use crate::waiting::{Addition, Waiting};

/// Bytes that wait at most.
const MOST: usize = 1 << 18;
/// Bytes that wait while the server has nothing to do.
const FEW: usize = 1 << 15;
/// Statements that are under way when more are sent: those of a lot or two.
const UNDER_WAY: usize = 6;

impl Connection {
    /// Adds a row before anything else reads its table, and before the transaction ends. To be
    /// called in a transaction.
    ///
    /// # Errors
    /// If the database refuses it, or one that waited.
    pub fn add_later(
        &self,
        addition: &'static Addition,
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else {
            return self.execute(addition.one, values).map(drop);
        };
        let mut all = remote.waiting.borrow_mut();
        let place = all.iter().position(|w| std::ptr::eq(w.addition, addition));
        let place = match place {
            Some(place) => place,
            None => {
                let prepared = prepared(&mut remote.session.borrow_mut(), addition);
                let prepared = prepared.map_err(|e| self.first_error(self.of_server(&e)));
                let (statement, kinds) = prepared?;
                let lists = kinds.into_iter().map(List::of).collect();
                all.push(Waiting { addition, statement, lists });
                all.len() - 1
            }
        };
        let lists = &mut all[place].lists;
        for (list, value) in lists.iter_mut().zip(values) {
            list.push(value).map_err(|e| Error::content(&self.place, e))?;
        }
        let most = if remote.sent.borrow().is_empty() { FEW } else { MOST };
        let is_full = lists.iter().map(List::size).sum::<usize>() > most;
        drop(all);
        if is_full { self.send_waiting() } else { Ok(()) }
    }

    /// Sends what waits, if a statement may speak of its table.
    pub(crate) fn send_waiting_of(&self, sql: &str) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let speaks = remote.waiting.borrow().iter().any(|w| sql.contains(w.addition.table));
        if speaks { self.send_waiting() } else { Ok(()) }
    }

    /// Sends what waits. The server works on it while this process goes on; what is wrong with it
    /// is said by what comes next.
    pub(crate) fn send_waiting(&self) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let mut all = std::mem::take(&mut *remote.waiting.borrow_mut());
        if all.is_empty() {
            return Ok(());
        }
        self.heed(UNDER_WAY)?;
        all.sort_by_key(|w| !w.addition.is_referred_to);
        let mut session = remote.session.borrow_mut();
        for Waiting { statement, lists, .. } in all {
            let number = remote.number();
            session.ask(number, statement, lists);
            remote.sent.borrow_mut().push(number);
        }
        session.line.push().map_err(|e| self.of_server(&e))
    }

    /// Waits until the server has done what was sent.
    pub(crate) fn heed_sent(&self) -> Result<(), Error> {
        self.heed(0)
    }

    /// Waits until some statements at most are under way.
    fn heed(&self, most: usize) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let mut line = RefMut::map(remote.session.borrow_mut(), |session| &mut session.line);
        let mut sent = remote.sent.borrow_mut();
        let done = sent.len().saturating_sub(most);
        // The first one that fails makes all after it fail.
        let mut first = Ok(());
        for number in sent.drain(..done) {
            if line.is_open(number) {
                first = first.and(line.answer(number).map(drop));
            }
        }
        first.map_err(|e| self.of_server(&e))
    }

    /// The error of a statement, or of what was sent before it, which made it fail.
    pub(crate) fn first_error(&self, error: Error) -> Error {
        self.heed_sent().err().unwrap_or(error)
    }
}

/// A server's statement for many rows, and what its lists hold.
fn prepared(
    session: &mut Session,
    addition: &Addition,
) -> Result<(Statement, Vec<Type>), tokio_postgres::Error> {
    if let Some(many) = addition.many {
        let statement = session.prepared(many)?;
        let member = |list: &Type| match list.kind() {
            Kind::Array(member) => member.clone(),
            _ => list.clone(),
        };
        let kinds = statement.params().iter().map(member).collect();
        return Ok((statement, kinds));
    }
    let kinds = session.prepared(addition.one)?.params().to_vec();
    let names: Vec<_> = kinds.iter().map(Type::name).collect();
    Ok((session.prepared(&addition.of_lists(&names))?, kinds))
}
