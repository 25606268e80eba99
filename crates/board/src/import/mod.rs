//! The archive's five files, streamed onto the board.
//!
//! Each is a JSON list. Its elements are written in batches, each batch and the count of what is
//! done in one transaction: an import that was killed goes on where it was, and the same file twice
//! changes nothing.

mod beside;
mod context;
mod datasets;
mod fields;
mod links;
mod methods;
mod papers;
mod report;
mod stream;
pub(crate) mod tables;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::thread;

use budwood_base::digest;
use budwood_database::params;
use serde_json::Value;

pub use context::Options;
pub use report::Report;
pub use stream::Limits;

use crate::db::now;
use crate::log::{Entry, Subject};
use crate::{Board, Error, dialect, fulltext};

use beside::AllIn;
use context::{Context, Kind, State};

/// Bytes of the file in a transaction; what is read from them takes several times as much memory.
const BATCH_BYTES: u64 = 8 << 20;

/// All files of the archive.
const KINDS: &[Kind] = &[tables::KIND, papers::KIND, links::KIND, methods::KIND, datasets::KIND];

/// Puts a file of the archive on the board. `progress` is told the number of elements that are
/// done.
///
/// # Errors
/// If the file is not one of the archive's, cannot be read, or goes over a limit; what was done
/// until then stays, and the import goes on from there when it is called again.
pub fn file(
    board: &mut Board,
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, Error> {
    let (place, (say, said)) = (board.place().clone(), mpsc::channel());
    let report = thread::scope(|scope| {
        if board.sql().is_server() {
            scope.spawn(move || beside::put_in_order(&place, &said));
        }
        let report = import(board, path, options, progress, say)?;
        if !report.unchanged {
            dialect::settle(board.sql())?;
        }
        Ok::<_, Error>(report)
    })?;
    if !report.unchanged {
        // What the other connection was at may be left.
        dialect::settle(board.sql())?;
        fulltext::note_common_words(board.sql())?;
    }
    Ok(report)
}

fn import(
    board: &mut Board,
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
    beside: Sender<AllIn>,
) -> Result<Report, Error> {
    let place = || path.display().to_string();
    let Some(first) = stream::first(path, options.limits)? else {
        return Err(Error::input(place(), "the list is empty: there is nothing to import"));
    };
    let kind = KINDS.iter().find(|k| (k.fits)(&first)).ok_or_else(|| {
        Error::input(
            place(),
            "its first element is not one of the archive's files: evaluation-tables, papers-with-abstracts, \
             links-between-papers-and-code, methods, datasets",
        )
    })?;
    let sha256 = digest::of_file(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let (archive, import, done, finished) = begin(board, path, kind.name, &sha256, options)?;
    let mut report = Report { kind: kind.name.into(), from: done, ..Report::default() };
    if finished {
        report.unchanged = true;
        return Ok(report);
    }
    if done > 0 {
        let stored: String =
            board
                .sql()
                .one("SELECT report FROM imports WHERE id = ?1", params![import], |r| r.get(0))?;
        report = serde_json::from_str(&stored).unwrap_or_default();
        report.from = done;
    }
    let report = RefCell::new(report);
    let mut state = State::default();
    let skip = if kind.again { 0 } else { done };
    let mut write = |board: &mut Board, batch: Batch| -> Result<(), Error> {
        let transaction = board.write()?;
        dialect::expect_many(&transaction)?;
        dialect::need_not_last(&transaction)?;
        let mut context =
            Context { sql: &transaction, archive, options, report: &report, state: &mut state };
        (kind.begin)(&mut context, &batch.elements)?;
        for element in batch.elements {
            (kind.element)(&mut context, element)?;
        }
        (kind.end)(&mut context)?;
        let upto = batch.upto;
        report.borrow_mut().elements = upto;
        let json = serde_json::to_string(&*report.borrow()).unwrap_or_default();
        transaction.execute(
            "UPDATE imports SET done = ?2, report = ?3 WHERE id = ?1",
            params![import, upto as i64, json],
        )?;
        transaction.commit()?;
        progress(upto);
        Ok(())
    };
    // A batch is read while the one before it is written.
    let (send, batches) = mpsc::sync_channel(0);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read(path, options, skip, &send));
        for batch in batches {
            write(board, batch)?;
        }
        reader.join().unwrap_or_else(|panicked| resume_unwind(panicked))
    })?;
    // Where nobody listens, it is done at the end.
    let _ = beside.send(AllIn);
    let transaction = board.write()?;
    dialect::expect_many(&transaction)?;
    let mut context =
        Context { sql: &transaction, archive, options, report: &report, state: &mut state };
    (kind.finish)(&mut context)?;
    let report = report.into_inner();
    let json = serde_json::to_string(&report).unwrap_or_default();
    transaction.execute(
        "UPDATE imports SET finished = 1, report = ?2 WHERE id = ?1",
        params![import, json],
    )?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let entry = Entry {
        who: &options.who,
        action: "import",
        subject: Subject::Import,
        id: Some(import),
        name: &name,
        reason: "",
        details: serde_json::to_value(&report).unwrap_or_default(),
    };
    entry.write(&transaction)?;
    transaction.commit()?;
    Ok(report)
}

/// Elements of one transaction, and the number of the file's that are done with them.
struct Batch {
    elements: Vec<Value>,
    upto: u64,
}

/// Reads a file from its element `skip` on. The last batch may be empty.
fn read(
    path: &Path,
    options: &Options,
    skip: u64,
    batches: &SyncSender<Batch>,
) -> Result<(), Error> {
    // Nobody takes it where writing failed, whose error counts.
    let send = |batch| batches.send(batch).map_err(|_| Error::Refused(String::new()));
    let (mut batch, mut size) = (Batch { elements: Vec::new(), upto: skip }, 0);
    stream::elements(path, options.limits, skip, |at, bytes, element| {
        batch.elements.push(element);
        (batch.upto, size) = (at + 1, size + bytes);
        if (batch.elements.len() as u64) < options.batch && size < BATCH_BYTES {
            return Ok(());
        }
        size = 0;
        let next = Batch { elements: Vec::new(), upto: at + 1 };
        send(std::mem::replace(&mut batch, next))
    })?;
    send(batch)
}

/// The archive and the import of a file: numbers, elements that are in, and whether it is done.
fn begin(
    board: &mut Board,
    path: &Path,
    kind: &str,
    sha256: &str,
    options: &Options,
) -> Result<(i64, i64, u64, bool), Error> {
    let stem = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.trim_end_matches(".gz").trim_end_matches(".json");
    let name = options.archive.as_deref().unwrap_or(stem);
    let transaction = board.write()?;
    transaction.execute("INSERT INTO archives (name, attribution, licence) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", params![name, options.attribution, options.licence])?;
    let archive: i64 =
        transaction.one("SELECT id FROM archives WHERE name = ?1", params![name], |r| r.get(0))?;
    let found = transaction.first(
        "SELECT id, done, finished FROM imports WHERE archive = ?1 AND kind = ?2 AND sha256 = ?3",
        params![archive, kind, sha256],
        |r| Ok((r.get(0)?, r.get::<i64>(1)? as u64, r.get(2)?)),
    )?;
    let (import, mut done, mut finished) = match found {
        Some(found) => found,
        None => {
            (transaction.add("INSERT INTO imports (archive, kind, sha256, at, report) VALUES (?1, ?2, ?3, ?4, '{}')", params![archive, kind, sha256, now()])?, 0, false)
        }
    };
    let this = params![archive, kind, import];
    let newer = "SELECT EXISTS (SELECT 1 FROM imports WHERE archive = ?1 AND kind = ?2 AND id > ?3 AND done > 0)";
    if finished && transaction.one(newer, this, |r| r.get(0))? {
        (done, finished) = (0, false);
    }
    if !finished {
        // The board does not stay as other files of the archive left it, so that they may come
        // again, as this one may have.
        transaction.execute(
            "UPDATE imports SET done = 0, finished = 0 WHERE archive = ?1 AND kind = ?2
             AND (id <> ?3 OR finished = 1)",
            this,
        )?;
    }
    transaction.commit()?;
    Ok((archive, import, done, finished))
}
