//! Answers that a server has given, for as long as nothing is written.
//!
//! A statement sees what a snapshot shows, and two snapshots that are equal show the same rows. A
//! server's snapshot names the transactions that are over (`pg_current_snapshot`, PostgreSQL
//! documentation, 9.27.8): once another one ends there is a new one, and the old one does not come
//! back. So what was read after a snapshot was asked for is right whenever that is the snapshot
//! again, although it may have been written after it was asked for: then it never is again.

use std::collections::HashMap;
use std::mem::{size_of, take};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Row;

use crate::session::Session;
use crate::value::Encoded;

/// A standby's snapshots do not name what is under way there, and each server has its own.
const SNAPSHOT: &str = "SELECT CASE WHEN NOT pg_is_in_recovery()
       THEN CAST(pg_current_snapshot() AS TEXT) || ' ' || pg_postmaster_start_time() END";

/// Bytes of the answers that connections keep together, in each of two halves.
const HALF: usize = 16 << 20;
/// What an answer takes beside its rows, estimated.
const BESIDE: usize = 512;

/// A statement and its values.
pub(crate) type Question = (Arc<str>, Arc<[Encoded]>);
pub(crate) type Answer = Arc<[Row]>;

/// What connections to one database remember together.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    /// The snapshot for which they are right.
    snapshot: String,
    /// Those that were given since the older ones were set aside.
    young: HashMap<Question, Answer>,
    old: HashMap<Question, Answer>,
    /// Bytes of the young ones.
    bytes: usize,
}

/// A connection's last look at the state of the database.
#[derive(Default)]
pub(crate) struct Look {
    /// The number of the question: what was asked before may be older.
    number: u64,
    snapshot: Snapshot,
}

#[derive(Default, PartialEq)]
enum Snapshot {
    /// It was not asked for: nothing is remembered.
    #[default]
    Unknown,
    /// The answer is not here yet.
    Asked,
    Known(String),
}

impl Remembered {
    /// The answer to a question, if it is known to be right at the last look.
    pub(crate) fn recall(
        &self,
        look: &mut Look,
        session: &mut Session,
        question: &Question,
    ) -> Option<Answer> {
        // A question that is new travels together with the look.
        if look.snapshot == Snapshot::Unknown || !self.answers().has(question) {
            return None;
        }
        let snapshot = look.snapshot(session)?;
        let mut answers = self.answers();
        (answers.snapshot == snapshot).then(|| answers.give(question)).flatten()
    }

    /// Keeps the answer to a question that was asked under a number after the last look.
    pub(crate) fn remember(
        &self,
        look: &mut Look,
        session: &mut Session,
        number: u64,
        (question, answer): (&Question, &Answer),
    ) {
        if number < look.number {
            return;
        }
        let Some(snapshot) = look.snapshot(session) else { return };
        let mut answers = self.answers();
        if answers.snapshot != snapshot {
            *answers = Answers { snapshot: snapshot.into(), ..Answers::default() };
        }
        answers.keep(question.clone(), Arc::clone(answer));
    }

    pub(crate) fn forget(&self) {
        *self.answers() = Answers::default();
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    fn has(&self, question: &Question) -> bool {
        self.young.contains_key(question) || self.old.contains_key(question)
    }

    fn give(&mut self, question: &Question) -> Option<Answer> {
        if let Some(answer) = self.young.get(question) {
            return Some(Arc::clone(answer));
        }
        // What is asked for again stays when others are given up.
        let (question, answer) = self.old.remove_entry(question)?;
        self.keep(question, Arc::clone(&answer));
        Some(answer)
    }

    fn keep(&mut self, question: Question, answer: Answer) {
        let bytes = BESIDE + question.0.len() + answer.iter().map(bytes_of).sum::<usize>();
        if bytes > HALF / 4 || self.young.contains_key(&question) {
            return;
        }
        self.bytes += bytes;
        if self.bytes > HALF {
            self.old = take(&mut self.young);
            self.bytes = bytes;
        }
        self.young.insert(question, answer);
    }
}

impl Look {
    /// Asks for the snapshot without waiting for it, in place of an earlier look.
    pub(crate) fn ask(
        &mut self,
        session: &mut Session,
        number: u64,
    ) -> Result<(), tokio_postgres::Error> {
        if self.snapshot == Snapshot::Asked {
            session.line.forget(self.number);
        }
        *self = Self::default();
        let statement = session.prepared(SNAPSHOT)?;
        session.ask(number, statement, Vec::<Encoded>::new());
        *self = Self { number, snapshot: Snapshot::Asked };
        Ok(())
    }

    /// The snapshot, once the server has said it.
    fn snapshot(&mut self, session: &mut Session) -> Option<&str> {
        if self.snapshot == Snapshot::Asked {
            // The connection may have been made again since.
            let is_open = session.line.is_open(self.number);
            let there = is_open.then(|| session.line.answer(self.number));
            let found =
                there.and_then(Result::ok).and_then(|rows| rows.first()?.try_get(0).ok()?);
            self.snapshot = found.map_or(Snapshot::Unknown, Snapshot::Known);
        }
        match &self.snapshot {
            Snapshot::Known(snapshot) => Some(snapshot),
            _ => None,
        }
    }
}

fn bytes_of(row: &Row) -> usize {
    size_of::<Row>() + row.raw_size_bytes() + row.len() * size_of::<Option<Range<usize>>>()
}
