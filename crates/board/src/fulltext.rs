//! Search by words: FTS5 on SQLite, text search on PostgreSQL. The statements that differ between
//! the two stand here side by side.
//!
//! Both stem English words and take letters without their accents. A query is words that must all
//! be there, the last of them perhaps only begun.

use budwood_database::{Addition, Connection, Row, params};

use crate::Error;
use crate::error::OfDatabase;

/// Words that must all be there.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) words: Vec<String>,
    /// Whether the last of them is the beginning of a word.
    pub(crate) is_begun: bool,
}

/// A paper, task, data set, method or model: address, name, and a line on it.
pub(crate) struct Entry(pub(crate) String, pub(crate) String, pub(crate) String);

/// Where words are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// Name or title.
    Name,
    All,
}

/// Entries that are looked at, at most: the newest.
const MOST: i64 = 500;

impl Wanted {
    /// As FTS5 writes it.
    fn fts(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|w| format!("\"{w}\"")).collect();
        words.join(" ") + if self.is_begun { "*" } else { "" }
    }

    /// The whole words, and the one that is begun.
    fn parts(&self) -> (String, String) {
        match self.words.split_last().filter(|_| self.is_begun) {
            Some((last, words)) => (words.join(" "), last.clone()),
            None => (self.words.join(" "), String::new()),
        }
    }
}

/// A query of a server for the words of `?1` and the begun one of `?2`.
const QUERY: &str = "wanted(CAST(?1 AS TEXT), CAST(?2 AS TEXT))";

/// Whether the words are those of a row, as a server says it.
fn fits(within: Within) -> String {
    match within {
        Within::All => format!("words @@ {QUERY}"),
        Within::Name => format!("words @@ {QUERY} AND ts_filter(words, '{{a}}') @@ {QUERY}"),
    }
}

impl Entry {
    pub(crate) fn read(r: &Row<'_>) -> OfDatabase<Self> {
        Ok(Self(r.get(0)?, r.get(1)?, r.get(2)?))
    }
}

/// Makes a paper known by its words.
pub(crate) fn put_paper(
    sql: &Connection,
    id: i64,
    [title, text, authors]: [&str; 3],
) -> Result<(), Error> {
    let put = if sql.is_server() {
        "INSERT INTO paper_text (id, words) VALUES (?1, indexed(?2, ?4, ?3))
         ON CONFLICT (id) DO UPDATE SET words = excluded.words"
    } else {
        "INSERT INTO paper_text (rowid, title, abstract, authors) VALUES (?1, ?2, ?3, ?4)"
    };
    sql.execute(put, params![id, title, text, authors])?;
    Ok(())
}

static PAPER: Addition = Addition {
    table: "paper_text",
    is_referred_to: false,
    one: "INSERT INTO paper_text (rowid, title, abstract, authors) VALUES (?1, ?2, ?3, ?4)",
    many: [
        "INSERT INTO paper_text (id, words) SELECT v.id, indexed(v.title, v.authors, v.body) FROM (VALUES",
        ") v (id, title, body, authors)",
    ],
};

/// Makes a new paper known by its words, before anyone looks for it.
pub(crate) fn add_paper(sql: &Connection, id: i64, texts: [&str; 3]) -> Result<(), Error> {
    let [title, text, authors] = texts;
    Ok(sql.add_later(&PAPER, params![id, title, text, authors])?)
}

/// Forgets the words of a paper before they change.
pub(crate) fn forget_paper(sql: &Connection, id: i64) -> Result<(), Error> {
    // On a server they are written over.
    if !sql.is_server() {
        let forget = "INSERT INTO paper_text (paper_text, rowid, title, abstract, authors)
             SELECT 'delete', id, title, abstract, authors FROM papers WHERE id = ?1";
        sql.execute(forget, params![id])?;
    }
    Ok(())
}

/// Puts the index of papers' words in order after many came.
pub(crate) fn settle_papers(sql: &Connection) -> Result<(), Error> {
    if !sql.is_server() {
        sql.execute("INSERT INTO paper_text (paper_text) VALUES ('optimize')", &[])?;
    }
    Ok(())
}

/// Everything else that can be found: tasks, data sets, methods and models.
pub(crate) fn refresh_entries(sql: &Connection) -> OfDatabase<()> {
    let of_file = [
        "DELETE FROM entry_text",
        "DELETE FROM model_text",
        "INSERT INTO entry_text (kind, ref, name, text) SELECT 'task', slug, name, description FROM tasks",
        "INSERT INTO entry_text (kind, ref, name, text)
           SELECT 'dataset', slug, name, trim(full_name || ' ' || description) FROM datasets",
        "INSERT INTO entry_text (kind, ref, name, text)
           SELECT 'method', slug, name, trim(full_name || ' ' || description) FROM methods",
        "INSERT INTO model_text (ref, name, text)
           SELECT r.id, r.model, t.name || ' on ' || d.name
           FROM results r JOIN leaderboards l ON l.id = r.leaderboard JOIN tasks t ON t.id = l.task
           JOIN datasets d ON d.id = l.dataset WHERE r.state <> 'retracted'",
    ];
    // Only what changed: a server keeps the old rows of a table for a while.
    let of_server = [
        "DELETE FROM entry_text WHERE (kind, ref, name, text) NOT IN (SELECT kind, ref, name, text FROM entries)",
        "INSERT INTO entry_text (kind, ref, name, text, words)
           SELECT kind, ref, name, text, indexed(name, '', text) FROM entries e
           WHERE NOT EXISTS (SELECT 1 FROM entry_text x WHERE x.kind = e.kind AND x.ref = e.ref)
           ORDER BY CASE kind WHEN 'task' THEN 0 WHEN 'dataset' THEN 1 ELSE 2 END, number",
        "DELETE FROM model_text WHERE NOT EXISTS (SELECT 1 FROM results r
           WHERE r.id = model_text.id AND r.state <> 'retracted' AND r.model = model_text.name)",
        "INSERT INTO model_text (id, name, text, words)
           SELECT r.id, r.model, t.name || ' on ' || d.name, indexed(r.model, '', t.name || ' on ' || d.name)
           FROM results r JOIN leaderboards l ON l.id = r.leaderboard JOIN tasks t ON t.id = l.task
           JOIN datasets d ON d.id = l.dataset
           WHERE r.state <> 'retracted' AND NOT EXISTS (SELECT 1 FROM model_text x WHERE x.id = r.id)",
    ];
    let all = if sql.is_server() { &of_server[..] } else { &of_file };
    for statement in all {
        sql.execute(statement, &[])?;
    }
    Ok(())
}

/// Tasks, data sets or methods, or with an empty `kind` models: the shortest names first.
pub(crate) fn entries(
    sql: &Connection,
    kind: &str,
    wanted: &Wanted,
    within: Within,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let of_models = kind.is_empty();
    let table = if of_models { "model_text" } else { "entry_text" };
    if sql.is_server() {
        let (key, name) = if of_models { ("CAST(id AS TEXT)", "''") } else { ("ref", "kind") };
        let query = format!(
            "SELECT ref, name, substr(text, 1, 200)
             FROM (SELECT {key} AS ref, name, text FROM {table}
                   WHERE {name} = ?3 AND {} ORDER BY id DESC LIMIT {MOST}) x
             ORDER BY length(name), name LIMIT ?4",
            fits(within)
        );
        let (words, begun) = wanted.parts();
        return Ok(sql.query(&query, params![words, begun, kind, limit], Entry::read)?);
    }
    let query = format!(
        "SELECT CAST(ref AS TEXT), name, substr(text, 1, 200)
         FROM (SELECT ref, name, text FROM {table} WHERE {table} MATCH ?1 ORDER BY rowid DESC LIMIT {MOST})
         ORDER BY length(name), name LIMIT ?2"
    );
    let of_kind = if of_models { String::new() } else { format!("kind : \"{kind}\" AND ") };
    let place = if within == Within::Name { "name" } else { "name text" };
    let words = format!("{of_kind}{{{place}}} : ({})", wanted.fts());
    Ok(sql.query(&query, params![words, limit], Entry::read)?)
}

/// Whether so many papers have the words that giving each a score would take long.
pub(crate) fn is_common(sql: &Connection, wanted: &Wanted) -> Result<bool, Error> {
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        let query =
            format!("SELECT 1 FROM paper_text WHERE {} LIMIT 1 OFFSET ?3", fits(Within::All));
        return Ok(sql.exists(&query, params![words, begun, MOST])?);
    }
    let query =
        "SELECT 1 FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2";
    Ok(sql.exists(query, params![wanted.fts(), MOST])?)
}

/// Papers by how often the words stand in a title, in an abstract and among the authors.
pub(crate) fn scored(sql: &Connection, wanted: &Wanted, limit: i64) -> Result<Vec<Entry>, Error> {
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        // Weights of what is marked D, C, B and A: abstract, nothing, authors, title.
        let from = format!(
            "SELECT id, -ts_rank('{{0.1, 0.1, 0.3, 1.0}}', words, {QUERY}) AS score FROM paper_text
             WHERE {} ORDER BY score, id LIMIT ?3",
            fits(Within::All)
        );
        return Ok(sql.query(&shown(&from, 3), params![words, begun, limit], Entry::read)?);
    }
    let from = "SELECT rowid AS id, bm25(paper_text, 10, 1, 3) AS score FROM paper_text
                WHERE paper_text MATCH ?1 ORDER BY score LIMIT ?2";
    Ok(sql.query(&shown(from, 2), params![wanted.fts(), limit], Entry::read)?)
}

/// Of the papers that came last with all words, the shortest titles.
pub(crate) fn newest(
    sql: &Connection,
    wanted: &Wanted,
    within: Within,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let most = if within == Within::Name { MOST } else { 2 * limit };
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        let from = format!(
            "SELECT id, 0 AS score FROM paper_text WHERE {} ORDER BY id DESC LIMIT {most}",
            fits(within)
        );
        return Ok(sql.query(&shown(&from, 3), params![words, begun, limit], Entry::read)?);
    }
    let from = format!(
        "SELECT rowid AS id, 0 AS score FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT {most}"
    );
    let title = if within == Within::Name { "{title} : " } else { "" };
    let words = match title {
        "" => wanted.fts(),
        title => format!("{title}({})", wanted.fts()),
    };
    Ok(sql.query(&shown(&from, 2), params![words, limit], Entry::read)?)
}

/// What is shown of papers that `from` gives, by their scores.
fn shown(from: &str, limit: usize) -> String {
    format!(
        "SELECT p.slug, p.title, coalesce(p.date, '') FROM ({from}) f JOIN papers p ON p.id = f.id
         ORDER BY f.score, length(p.title) LIMIT ?{limit}"
    )
}

/// Papers with a word in title or abstract, the last that came first; `most` of them.
pub(crate) fn with_word(sql: &Connection, word: &str, most: i64) -> Result<Vec<i64>, Error> {
    if sql.is_server() {
        // The order is made here: where there are more, nobody asks for it.
        let query = "SELECT id FROM paper_text WHERE words @@ wanted(?1, '')
             AND ts_filter(words, '{a,d}') @@ wanted(?1, '') LIMIT ?2";
        let mut papers: Vec<i64> = sql.query(query, params![word, most], |r| r.get(0))?;
        papers.sort_unstable_by(|a, b| b.cmp(a));
        return Ok(papers);
    }
    let query =
        "SELECT rowid FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2";
    let words = format!("{{title abstract}} : \"{word}\"");
    Ok(sql.query(query, params![words, most], |r| r.get(0))?)
}
