//! Rows that may wait: on a server they travel together, before anything reads their table.

use std::fmt::Write as _;

use crate::Error;
use crate::connection::{Connection, System};
use crate::value::{Value, literal};
use crate::waiting::{Addition, Waiting};

/// Bytes that wait at most.
const MOST: usize = 1 << 20;

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
        let place = place.unwrap_or_else(|| {
            all.push(Waiting { addition, rows: String::new() });
            all.len() - 1
        });
        let rows = &mut all[place].rows;
        rows.push_str(if rows.is_empty() { "(" } else { ", (" });
        for (i, value) in values.iter().enumerate() {
            rows.push_str(if i > 0 { ", " } else { "" });
            literal(value, rows);
        }
        rows.push(')');
        let is_full = rows.len() > MOST;
        drop(all);
        if is_full { self.send_waiting() } else { Ok(()) }
    }

    /// Sends what waits, if a statement may speak of its table.
    pub(crate) fn send_waiting_of(&self, sql: &str) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let speaks = remote.waiting.borrow().iter().any(|w| sql.contains(w.addition.table));
        if speaks { self.send_waiting() } else { Ok(()) }
    }

    /// Sends what waits.
    pub(crate) fn send_waiting(&self) -> Result<(), Error> {
        let System::Postgres(remote) = &self.system else { return Ok(()) };
        let mut all = std::mem::take(&mut *remote.waiting.borrow_mut());
        all.sort_by_key(|w| !w.addition.is_referred_to);
        let mut script = String::new();
        for Waiting { addition, rows } in all {
            let [before, after] = addition.around();
            let _ = write!(script, "{before} {rows} {after};");
        }
        if script.is_empty() { Ok(()) } else { self.batch(&script) }
    }
}
