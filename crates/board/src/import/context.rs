//! What the importers of the archive's files work with.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use budwood_database::{Connection, Value as SqlValue, params};
use serde_json::Value;

use super::report::Report;
use super::stream::Limits;
use crate::lexemes::Lexemes;
use crate::text::slug_of_url;
use crate::{Error, dialect, entities};

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
    /// What is left to do at the end of a batch.
    pub(super) end: fn(&mut Context<'_>) -> Result<(), Error>,
    /// What is left to do at the end: to count again what its elements change.
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
    pub(super) lexemes: Lexemes,
    pub(super) mentions: Mentions,
    pub(super) tables: Tables,
    pub(super) links: Links,
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

/// Those of the texts that a column holds, among rows of a condition, each with the number of the
/// paper that counts most.
pub(super) fn among(
    sql: &Connection,
    (column, condition): (&str, &str),
    texts: &[String],
) -> Result<Vec<(String, i64)>, Error> {
    const AT_ONCE: usize = 250;
    let places: Vec<_> = (1..=AT_ONCE).map(|i| format!("(?{i})")).collect();
    // A query for each text, which an index answers. As a join it would be planned before the
    // table grew, and go through all of it.
    let query = format!(
        "SELECT column1, (SELECT id FROM papers WHERE {condition} {column} = v.column1
                          ORDER BY stub, id LIMIT 1) FROM (VALUES {}) v",
        places.join(", ")
    );
    let mut found = Vec::new();
    for texts in texts.chunks(AT_ONCE) {
        // Always as many, so that the statement is the same.
        let mut values: Vec<_> = texts.iter().map(SqlValue::from).collect();
        values.resize(AT_ONCE, SqlValue::Null);
        sql.query(&query, &values, |r| {
            found.extend(r.get::<Option<i64>>(1)?.map(|id| Ok((r.get(0)?, id))).transpose()?);
            Ok(())
        })?;
    }
    Ok(found)
}

/// The papers that a batch speaks of, looked up at once.
#[derive(Default)]
pub(super) struct Mentions {
    /// Numbers by a column and what it holds; none where no paper has it.
    found: HashMap<(&'static str, String), Option<i64>>,
}

impl Mentions {
    /// Columns of papers in the order in which they count.
    const COLUMNS: [&str; 4] = ["slug", "arxiv_id", "url_abs", "title_key"];

    /// Looks up papers, each by its keys.
    pub(super) fn of(
        sql: &Connection,
        mut papers: Vec<Vec<(&'static str, String)>>,
    ) -> Result<Self, Error> {
        let mut all = Self::default();
        for column in Self::COLUMNS {
            let keys = papers.iter().flatten().filter(|key| key.0 == column);
            let texts: BTreeSet<String> = keys.map(|key| key.1.clone()).collect();
            let texts: Vec<String> = texts.into_iter().collect();
            for (text, id) in among(sql, (column, ""), &texts)? {
                all.found.insert((column, text), Some(id));
            }
            for text in texts {
                all.found.entry((column, text)).or_insert(None);
            }
            // Those that are found are not looked for by what counts less.
            papers.retain(|keys| all.known(keys).is_none());
        }
        Ok(all)
    }

    /// The papers that were found.
    pub(super) fn papers(&self) -> BTreeSet<i64> {
        self.found.values().flatten().copied().collect()
    }

    fn known(&self, keys: &[(&'static str, String)]) -> Option<i64> {
        keys.iter().find_map(|key| self.found.get(key).copied().flatten())
    }

    /// The number of a paper by its keys.
    pub(super) fn find(
        &self,
        sql: &Connection,
        keys: Vec<(&'static str, String)>,
    ) -> Result<Option<i64>, Error> {
        for key in keys {
            let found = match self.found.get(&key) {
                Some(found) => *found,
                None => entities::paper_by(sql, key.0, &key.1)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Forgets that there is no paper of these keys, as one was made.
    pub(super) fn forget(&mut self, keys: &[(&'static str, String)]) {
        for key in keys {
            self.found.remove(key);
        }
    }
}

/// What is there of the code links of a batch's papers.
#[derive(Default)]
pub(super) struct Links {
    /// Papers that were looked up.
    pub(super) papers: BTreeSet<i64>,
    /// Papers with addresses.
    pub(super) there: HashSet<(i64, String)>,
    /// The next link's number.
    pub(super) next: i64,
}

impl Links {
    /// Looks up the links of papers, once.
    pub(super) fn look_up(&mut self, sql: &Connection, papers: BTreeSet<i64>) -> Result<(), Error> {
        let new: Vec<i64> = papers.difference(&self.papers).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let these = dialect::is_among(sql, "paper", "?1");
        let query = format!("SELECT paper, url FROM code_links WHERE {these}");
        let found =
            sql.query(&query, params![dialect::list(&new)], |r| Ok((r.get(0)?, r.get(1)?)))?;
        self.there.extend(found);
        self.papers.extend(new);
        Ok(())
    }
}

/// What tables of a batch hold.
#[derive(Default)]
pub(super) struct Tables {
    /// The next result's number.
    pub(super) results: i64,
    /// The next metric's number.
    pub(super) metrics: i64,
    /// Leaderboards whose rows may have changed.
    pub(super) touched: Vec<i64>,
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

/// The text of a field; empty if it is none.
pub(super) fn text<'v>(element: &'v Value, name: &str) -> &'v str {
    element.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What a paper is known by that an element names as `{title, url}`, with the archive's address of
/// it or another.
pub(super) fn mention(paper: &Value) -> Vec<(&'static str, String)> {
    at(text(paper, "url"), text(paper, "title"), text(paper, "url"))
}

/// What a paper is known by: its page in the archive, its title, and an address elsewhere.
pub(super) fn at(page: &str, title: &str, url: &str) -> Vec<(&'static str, String)> {
    let slug = slug_of_url(page, "paper").map(|slug| ("slug", slug));
    slug.into_iter().chain(entities::paper_keys(title, url)).collect()
}

/// Looks up the papers that the elements of a batch name in their field `paper`.
pub(super) fn look_up_papers(context: &mut Context<'_>, batch: &[Value]) -> Result<(), Error> {
    let papers = batch.iter().filter_map(|element| element.get("paper")).map(mention).collect();
    context.state.mentions = Mentions::of(context.sql, papers)?;
    Ok(())
}

/// How far the archive's tree has grown.
#[derive(Default)]
pub(super) struct Tree {
    /// Children of a node of one kind and name so far.
    pub(super) occurrences: HashMap<(i64, &'static str, String), i64>,
    /// Children of a node so far.
    pub(super) positions: HashMap<i64, i64>,
}
