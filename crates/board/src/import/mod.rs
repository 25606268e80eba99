//! The archive's five files, streamed onto the board.
//!
//! Each is a JSON list. Its elements are written in batches, each batch and the count of what is done in one
//! transaction: an import that was killed goes on where it was, and the same file twice changes nothing.

mod datasets;
mod fields;
mod links;
mod methods;
mod papers;
mod report;
mod stream;
pub(crate) mod tables;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use budwood_base::digest;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

pub use report::Report;
pub use stream::Limits;

use crate::db::now;
use crate::log::{Entry, Subject};
use crate::text::slug_of_url;
use crate::{Board, Error, entities};

use fields::Fields;
pub(crate) use fields::says_nothing;

/// What an import is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the archive that the file belongs to; without one, the file's name without endings. A newer file
    /// of the same archive brings its tables up to date.
    pub archive: Option<String>,
    /// Whom the data comes from, as it is shown beside them.
    pub attribution: String,
    /// Terms of the data.
    pub licence: String,
    /// Whether methods and data sets that nothing refers to are left out: much of what the archive lists is spam.
    pub gate: bool,
    /// How much may be read.
    pub limits: Limits,
    /// Elements in a transaction; fewer where they are large.
    pub batch: u64,
    /// Who imports, for the log.
    pub who: String,
}

/// Bytes of the file in a transaction; what is read from them takes several times as much memory.
const BATCH_BYTES: u64 = 16 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            archive: None,
            attribution: "Papers with Code archive".into(),
            licence: "CC-BY-SA-4.0".into(),
            gate: true,
            limits: Limits::default(),
            batch: 1000,
            who: "board".into(),
        }
    }
}

/// A file of the archive.
struct Kind {
    name: &'static str,
    /// Whether an element is of this file.
    fits: fn(&Value) -> bool,
    /// Puts an element on the board.
    element: fn(&mut Context<'_>, Value) -> Result<(), Error>,
    /// Whether elements before the one that an import goes on with must be looked at again.
    again: bool,
    /// What is left to do at the end.
    finish: fn(&mut Context<'_>) -> Result<(), Error>,
}

/// All files of the archive.
const KINDS: &[Kind] = &[tables::KIND, papers::KIND, links::KIND, methods::KIND, datasets::KIND];

/// What an element's importer works with.
struct Context<'a> {
    sql: &'a Connection,
    archive: i64,
    options: &'a Options,
    report: &'a RefCell<Report>,
    state: &'a mut State,
}

/// What is known across the elements of one file.
#[derive(Default)]
struct State {
    tree: tables::Tree,
    tasks: HashMap<String, i64>,
    methods: HashMap<String, i64>,
}

impl State {
    fn task(&mut self, sql: &Connection, name: &str, archive: i64) -> Result<i64, Error> {
        if let Some(&id) = self.tasks.get(name) {
            return Ok(id);
        }
        let (id, _) = entities::task(sql, name, Some(archive))?;
        self.tasks.insert(name.into(), id);
        Ok(id)
    }

    fn method(&mut self, sql: &Connection, name: &str, archive: i64) -> Result<i64, Error> {
        if let Some(&id) = self.methods.get(name) {
            return Ok(id);
        }
        let (id, _) = entities::method(sql, name, Some(archive))?;
        self.methods.insert(name.into(), id);
        Ok(id)
    }
}

/// The paper that an element names as `{title, url}`, with the archive's address of it or another.
fn mention(context: &Context<'_>, paper: &Value) -> Result<Option<i64>, Error> {
    let text = |name: &str| paper.get(name).and_then(Value::as_str).unwrap_or_default();
    if let Some(slug) = slug_of_url(text("url"), "paper") {
        let found = context
            .sql
            .prepare_cached("SELECT id FROM papers WHERE slug = ?1")?
            .query_row([slug], |r| r.get(0))
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    entities::find_paper(context.sql, text("title"), text("url"))
}

/// Puts a file of the archive on the board. `progress` is told the number of elements that are done.
///
/// # Errors
/// If the file is not one of the archive's, cannot be read, or goes over a limit; what was done until then
/// stays, and the import goes on from there when it is called again.
pub fn file(
    board: &mut Board,
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
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
                .query_row("SELECT report FROM imports WHERE id = ?1", [import], |r| r.get(0))?;
        report = serde_json::from_str(&stored).unwrap_or_default();
        report.from = done;
    }
    let report = RefCell::new(report);
    let mut state = State::default();
    let skip = if kind.again { 0 } else { done };
    let mut batch = Vec::new();
    let mut write = |board: &mut Board, batch: &mut Vec<Value>, upto: u64| -> Result<(), Error> {
        let transaction = board.write()?;
        let mut context =
            Context { sql: &transaction, archive, options, report: &report, state: &mut state };
        for element in batch.drain(..) {
            (kind.element)(&mut context, element)?;
        }
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
    let (mut count, mut size) = (skip, 0);
    stream::elements(path, options.limits, skip, |at, bytes, element| {
        batch.push(element);
        (count, size) = (at + 1, size + bytes);
        if (batch.len() as u64) < options.batch && size < BATCH_BYTES {
            return Ok(());
        }
        size = 0;
        write(board, &mut batch, count)
    })?;
    write(board, &mut batch, count)?;
    let transaction = board.write()?;
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
    transaction.execute(
        "INSERT OR IGNORE INTO archives (name, attribution, licence) VALUES (?1, ?2, ?3)",
        params![name, options.attribution, options.licence],
    )?;
    let archive: i64 =
        transaction.query_row("SELECT id FROM archives WHERE name = ?1", [name], |r| r.get(0))?;
    let found = transaction
        .query_row(
            "SELECT id, done, finished FROM imports WHERE archive = ?1 AND kind = ?2 AND sha256 = ?3",
            params![archive, kind, sha256],
            |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64, r.get(2)?)),
        )
        .optional()?;
    let (import, done, finished) = match found {
        Some(found) => found,
        None => {
            transaction.execute(
                "INSERT INTO imports (archive, kind, sha256, at, report) VALUES (?1, ?2, ?3, ?4, '{}')",
                params![archive, kind, sha256, now()],
            )?;
            (transaction.last_insert_rowid(), 0, false)
        }
    };
    transaction.commit()?;
    Ok((archive, import, done, finished))
}
