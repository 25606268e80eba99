//! Papers.

use budwood_database::{Asked, Connection, params};
use serde::Serialize;

use super::item::{Which, as_written, attribution, names};
use super::related::Near;
use super::{Attribution, Named, Page, Part, Related};
use crate::date::DateSource;
use crate::error::OfDatabase;
use crate::setting::elsewhere;
use crate::state::state_of;
use crate::{Board, Error, State, dialect};

/// A paper as an entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaperItem {
    /// Its address.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its date.
    pub date: Option<String>,
    /// Its first authors; at most 5.
    pub authors: Vec<String>,
    /// The first 300 characters of its abstract.
    pub summary: String,
    /// Results that cite it.
    pub results: u64,
    /// Code links.
    pub codes: u64,
}

/// A paper.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paper {
    /// Its address.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its abstract; empty for papers that only results name.
    pub abstract_text: String,
    /// Its authors.
    pub authors: Vec<String>,
    /// Its date.
    pub date: Option<String>,
    /// How the date is known.
    pub date_source: Option<DateSource>,
    /// Its number on arXiv.
    pub arxiv_id: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Its text.
    pub pdf: Option<String>,
    /// Where it appeared.
    pub proceeding: Option<String>,
    /// Tasks.
    pub tasks: Vec<Named>,
    /// Methods.
    pub methods: Vec<Named>,
    /// Code, official first.
    pub code: Vec<Code>,
    /// Its results with their ranks.
    pub results: Vec<PaperResult>,
    /// Data sets that it introduced.
    pub datasets: Vec<Named>,
    /// Papers that are close to it.
    pub related: Vec<Related>,
    /// Whom it comes from, if from an archive.
    pub source: Option<Attribution>,
}

/// Code of a paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Code {
    /// Its address.
    pub url: String,
    /// Owner and repository, where the address says them.
    pub repository: Option<String>,
    /// Whether the authors published it.
    pub official: bool,
    /// Whether the paper names it.
    pub in_paper: bool,
    /// Whether the repository names the paper.
    pub in_repository: bool,
    /// Its framework; empty if not known.
    pub framework: String,
}

/// A result of a paper.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaperResult {
    /// Its number.
    pub result: i64,
    /// Its leaderboard.
    pub leaderboard: String,
    /// The task.
    pub task: Named,
    /// The data set.
    pub dataset: Named,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// The value as it was written.
    pub raw: String,
    /// What the board measured.
    pub measured: Option<f64>,
    /// Rank of the primary metric's value among all results of the leaderboard, claims included.
    pub rank: Option<u32>,
    /// Results of the leaderboard.
    pub of: u64,
    /// How far it is confirmed.
    pub state: State,
}

/// What [`items`] reads of papers `p`.
fn item(sql: &Connection) -> String {
    format!(
        "SELECT p.slug, p.title, p.date, p.authors, substr(p.abstract, 1, 300),
                coalesce(results, 0), coalesce(codes, 0)
         FROM {}",
        dialect::counted_papers(sql)
    )
}

/// The papers that were asked for.
pub(super) fn items(asked: Asked<'_>) -> Result<Vec<PaperItem>, Error> {
    Ok(asked.rows(|r| {
        let authors: String = r.get(3)?;
        let mut authors: Vec<String> = serde_json::from_str(&authors).unwrap_or_default();
        authors.truncate(5);
        Ok(PaperItem {
            slug: r.get(0)?,
            title: r.get(1)?,
            date: r.get(2)?,
            authors,
            summary: r.get(4)?,
            results: r.get::<i64>(5)? as u64,
            codes: r.get::<i64>(6)? as u64,
        })
    })?)
}

/// The order of papers `p` in lists.
const NEWEST: &str = "p.date DESC NULLS LAST, p.id DESC";

/// The papers of a task or a method, newest first. Few are quickly sorted, and asked for together
/// with the thing; of many the newest are soon met on the way down from the newest of all.
pub(super) struct OfThing<'s, 'a> {
    /// `task` or `method`.
    kind: &'static str,
    address: &'a str,
    part: Part,
    few: Asked<'s>,
}

/// Papers that are sorted at most.
const FEW: u64 = 1000;

impl<'s, 'a> OfThing<'s, 'a> {
    pub(super) fn ask(
        sql: &'s Connection,
        (kind, address): (&'static str, &'a str),
        part: Part,
    ) -> OfDatabase<Self> {
        let few = format!(
            "JOIN paper_{kind}s x ON x.paper = p.id
             WHERE x.{kind} = (SELECT id FROM {kind}s WHERE slug = ?1 AND papers <= {FEW})"
        );
        Ok(Self { kind, address, part, few: ask_newest(sql, &few, address, part)? })
    }

    /// The papers, of which there are `count` in all.
    pub(super) fn read(self, sql: &Connection, count: u64) -> Result<Vec<PaperItem>, Error> {
        if count <= FEW {
            return items(self.few);
        }
        let (table, kind) = (format!("paper_{}s", self.kind), self.kind);
        let number = format!("(SELECT id FROM {kind}s WHERE slug = ?1)");
        let many = dialect::from_the_newest(sql, &table, &format!("{kind} = {number}"));
        items(ask_newest(sql, &many, self.address, self.part)?)
    }
}

/// Asks for the newest of papers `p`; `which` says of which.
fn ask_newest<'s>(
    sql: &'s Connection,
    which: &str,
    address: &str,
    part: Part,
) -> OfDatabase<Asked<'s>> {
    // What is shown is read of these alone.
    let query = format!(
        "{} JOIN (SELECT p.id FROM papers p {which} ORDER BY {NEWEST} LIMIT ?2 OFFSET ?3) these
         ON these.id = p.id ORDER BY {NEWEST}",
        item(sql)
    );
    sql.ask(&query, params![address, part.limit(), part.offset()])
}

/// Papers, newest first.
///
/// # Errors
/// If the board cannot be read.
pub fn papers(board: &Board, part: Part) -> Result<Page<PaperItem>, Error> {
    let sql = board.sql();
    let count = sql.ask("SELECT coalesce(max(id), 0) FROM papers", &[])?;
    let newest = format!("{} ORDER BY {NEWEST} LIMIT ?1 OFFSET ?2", item(sql));
    let newest = sql.ask(&newest, params![part.limit(), part.offset()])?;
    let count = count.one(|r| r.get::<i64>(0))? as u64;
    Ok(Page { count, offset: part.offset, items: items(newest)? })
}

/// A paper by its address.
///
/// # Errors
/// If there is none.
pub fn paper(board: &Board, address: &str) -> Result<Paper, Error> {
    let sql = board.sql();
    const NUMBER: &str = "(SELECT id FROM papers WHERE slug = ?1)";
    let of = Which { number: NUMBER, value: address.into() };
    let ask = |query: &str| sql.ask(query, params![address]);
    let found = ask(
        "SELECT p.id, p.slug, p.title, p.abstract, p.authors, p.date, p.date_source, p.arxiv_id, p.url_abs,
                p.url_pdf, p.proceeding, a.name, a.attribution, a.licence
         FROM papers p LEFT JOIN archives a ON a.id = p.archive WHERE p.slug = ?1",
    )?;
    let near = Near::ask(sql, of)?;
    let tasks = ask(&format!(
        "SELECT t.slug, t.name FROM paper_tasks x JOIN tasks t ON t.id = x.task
         WHERE x.paper = {NUMBER} ORDER BY t.name"
    ))?;
    let methods = ask(&format!(
        "SELECT m.slug, m.name FROM paper_methods x JOIN methods m ON m.id = x.method
         WHERE x.paper = {NUMBER} ORDER BY m.name"
    ))?;
    let datasets = ask(&format!(
        "SELECT slug, name FROM datasets WHERE paper = {NUMBER} ORDER BY name LIMIT 50"
    ))?;
    let links = ask(&format!(
        "SELECT url, official, in_paper, in_repository, framework FROM code_links
         WHERE paper = {NUMBER} ORDER BY official DESC, id LIMIT 200"
    ))?;
    let cited = ask_results(sql, of)?;
    let found = found.first(|r| {
        let authors: String = r.get(4)?;
        let paper = Paper {
            slug: r.get(1)?,
            title: r.get(2)?,
            abstract_text: r.get(3)?,
            authors: serde_json::from_str(&authors).unwrap_or_default(),
            date: r.get(5)?,
            date_source: r.get(6)?,
            arxiv_id: r.get(7)?,
            url: r.get(8)?,
            pdf: r.get(9)?,
            proceeding: r.get(10)?,
            tasks: Vec::new(),
            methods: Vec::new(),
            code: Vec::new(),
            results: Vec::new(),
            datasets: Vec::new(),
            related: Vec::new(),
            source: attribution(r, 11)?,
        };
        Ok((r.get::<i64>(0)?, paper))
    })?;
    let (id, mut paper) = found.ok_or_else(|| Error::missing("paper", address))?;
    paper.related = near.read(sql, id, &paper.title)?;
    paper.tasks = names(tasks)?;
    paper.methods = names(methods)?;
    paper.datasets = names(datasets)?;
    paper.code = code(links)?;
    paper.results = results(cited)?;
    Ok(paper)
}

fn code(asked: Asked<'_>) -> Result<Vec<Code>, Error> {
    Ok(asked.rows(|r| {
        let url: String = r.get(0)?;
        Ok(Code {
            repository: repository(&url),
            url,
            official: r.get(1)?,
            in_paper: r.get(2)?,
            in_repository: r.get(3)?,
            framework: r.get(4)?,
        })
    })?)
}

/// `owner/repository` of an address of a code host.
fn repository(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let mut parts = rest.split('/').skip(1).filter(|p| !p.is_empty());
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.trim_end_matches(".git").split(['?', '#']).next()?;
    Some(format!("{owner}/{name}"))
}

fn ask_results<'s>(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Asked<'s>> {
    let (here, there) = (elsewhere("r", "l"), elsewhere("q", "l"));
    let counts = format!("q.state NOT IN ('retracted', 'mismatch') AND NOT {there}");
    let ranked = dialect::scores_of_metric(sql, &counts);
    sql.ask(&format!(
        "SELECT r.id, l.slug, t.slug, t.name, d.slug, d.name, r.model, m.name, s.raw, s.measured, r.state, l.results,
                CASE WHEN m.position = 0 AND coalesce(s.measured, s.value) IS NOT NULL
                          AND r.state NOT IN ('retracted', 'mismatch') AND NOT {here} THEN
                  1 + (SELECT count(*) FROM {ranked}
                         AND CASE m.direction WHEN 'lower'
                             THEN coalesce(o.measured, o.value) < coalesce(s.measured, s.value)
                             ELSE coalesce(o.measured, o.value) > coalesce(s.measured, s.value) END)
                END, s.confirmed
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard JOIN tasks t ON t.id = l.task
         JOIN datasets d ON d.id = l.dataset JOIN scores s ON s.result = r.id JOIN metrics m ON m.id = s.metric
         WHERE r.paper = {} AND r.state <> 'retracted'
         ORDER BY t.name, d.name, r.id, m.position LIMIT 1000",
        of.number
    ), &[of.value])
}

fn results(asked: Asked<'_>) -> Result<Vec<PaperResult>, Error> {
    Ok(asked.rows(|r| {
        Ok(PaperResult {
            result: r.get(0)?,
            leaderboard: r.get(1)?,
            task: Named { slug: r.get(2)?, name: r.get(3)? },
            dataset: Named { slug: r.get(4)?, name: r.get(5)? },
            model: r.get(6)?,
            metric: r.get(7)?,
            raw: as_written(&r.get::<String>(8)?),
            measured: r.get(9)?,
            state: state_of(r.get(10)?, r.get(9)?, r.get(13)?),
            of: r.get::<i64>(11)? as u64,
            rank: r.get(12)?,
        })
    })?)
}
