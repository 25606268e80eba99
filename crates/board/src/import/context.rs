//! What the importers of the archive's files work with.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use budwood_database::{Connection, Value as SqlValue, params};
use serde_json::Value;

use super::report::Report;
use super::stream::Limits;
use crate::text::slug_of_url;
use crate::{Error, entities};

/// What an import is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the archive that the file belongs to; without one, the file's name without endings.
    /// A newer file of the same archive brings its tables up to date.
    pub archive: Option<String>,
    /// Whom the data comes from, as it is shown beside them.
    pub attribution: String,
    /// Terms of the data.
    pub licence: String,
    /// Whether methods and data sets that nothing refers to are left out: much of what the archive
    /// lists is spam.
    pub gate: bool,
    /// How much may be read.
    pub limits: Limits,
    /// Elements in a transaction; fewer where they are large.
    pub batch: u64,
    /// Who imports, for the log.
    pub who: String,
}

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
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Whether an element is of this file.
    pub(super) fits: fn(&Value) -> bool,
    /// Puts an element on the board.
    pub(super) element: fn(&mut Context<'_>, Value) -> Result<(), Error>,
    /// Whether elements before the one that an import goes on with must be looked at again.
    pub(super) again: bool,
    /// Looks up at once what the elements of a batch will ask for.
    pub(super) begin: fn(&mut Context<'_>, &[Value]) -> Result<(), Error>,
    /// What is left to do at the end.
    pub(super) finish: fn(&mut Context<'_>) -> Result<(), Error>,
}

/// What an element's importer works with.
pub(super) struct Context<'a> {
    pub(super) sql: &'a Connection,
    pub(super) archive: i64,
    pub(super) options: &'a Options,
    pub(super) report: &'a RefCell<Report>,
    pub(super) state: &'a mut State,
}

/// What is known across the elements of one file.
#[derive(Default)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) tasks: HashMap<String, i64>,
    pub(super) methods: HashMap<String, i64>,
    pub(super) papers: Papers,
}

/// What is known of the papers of a batch, so that those that are new need not be looked for.
#[derive(Default)]
pub(super) struct Papers {
    /// Addresses that are taken.
    pub(super) slugs: HashSet<String>,
    /// arXiv numbers and titles of papers that are only known from results' links.
    pub(super) stubs: HashSet<String>,
    /// The next paper's number.
    pub(super) next: i64,
}

/// Those of the texts that a column holds, among rows of a condition.
pub(super) fn among(
    sql: &Connection,
    (column, condition): (&str, &str),
    texts: &[String],
    found: &mut HashSet<String>,
) -> Result<(), Error> {
    const AT_ONCE: usize = 250;
    let places: Vec<_> = (1..=AT_ONCE).map(|i| format!("?{i}")).collect();
    let places = places.join(", ");
    let query = format!("SELECT {column} FROM papers WHERE {condition} {column} IN ({places})");
    for texts in texts.chunks(AT_ONCE) {
        // Always as many, so that the statement is the same.
        let all = texts.iter().chain(std::iter::repeat(&texts[0])).take(AT_ONCE);
        let values: Vec<_> = all.map(SqlValue::from).collect();
        found.extend(sql.query(&query, &values, |r| r.get::<String>(0))?);
    }
    Ok(())
}

impl State {
    pub(super) fn task(
        &mut self,
        sql: &Connection,
        name: &str,
        archive: i64,
    ) -> Result<i64, Error> {
        if let Some(&id) = self.tasks.get(name) {
            return Ok(id);
        }
        let (id, _) = entities::task(sql, name, Some(archive))?;
        self.tasks.insert(name.into(), id);
        Ok(id)
    }

    pub(super) fn method(
        &mut self,
        sql: &Connection,
        name: &str,
        archive: i64,
    ) -> Result<i64, Error> {
        if let Some(&id) = self.methods.get(name) {
            return Ok(id);
        }
        let (id, _) = entities::method(sql, name, Some(archive))?;
        self.methods.insert(name.into(), id);
        Ok(id)
    }
}

/// The paper that an element names as `{title, url}`, with the archive's address of it or another.
pub(super) fn mention(context: &Context<'_>, paper: &Value) -> Result<Option<i64>, Error> {
    let text = |name: &str| paper.get(name).and_then(Value::as_str).unwrap_or_default();
    match paper_at(context.sql, text("url"))? {
        Some(found) => Ok(Some(found)),
        None => entities::find_paper(context.sql, text("title"), text("url")),
    }
}

/// The paper whose page in the archive this address is.
pub(super) fn paper_at(sql: &Connection, url: &str) -> Result<Option<i64>, Error> {
    let Some(slug) = slug_of_url(url, "paper") else { return Ok(None) };
    Ok(sql.first("SELECT id FROM papers WHERE slug = ?1", params![slug], |r| r.get(0))?)
}

/// How far the archive's tree has grown.
#[derive(Default)]
pub(super) struct Tree {
    /// Children of a node of one kind and name so far.
    pub(super) occurrences: HashMap<(i64, &'static str, String), i64>,
    /// Children of a node so far.
    pub(super) positions: HashMap<i64, i64>,
}
