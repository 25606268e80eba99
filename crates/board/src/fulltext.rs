//! Search by words: FTS5 on SQLite, text search on PostgreSQL. The statements that differ between
//! the two stand here side by side.
//!
//! Both stem English words and take letters without their accents. A query is words that must all
//! be there, the last of them perhaps only begun.

use budwood_database::{Addition, Asked, Connection, Row, params};

use crate::Error;
use crate::error::OfDatabase;
use crate::lexemes::Lexemes;

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

impl Within {
    /// The column of a server's tables that holds the words.
    fn column(self) -> &'static str {
        match self {
            Self::Name => "named",
            Self::All => "words",
        }
    }
}

/// Entries that are looked at, at most: the newest.
const MOST: i64 = 500;
/// A word in more titles and abstracts than this says little, and is not followed.
pub(crate) const COMMON: i64 = 1000;

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

/// A query of a server for the words of `?1` and the begun one of `?2`. As a query within another
/// it is made once, not for each row.
fn words_of(within: Within) -> &'static str {
    match within {
        Within::Name => "(SELECT wanted(CAST(?1 AS TEXT), CAST(?2 AS TEXT)))",
        Within::All => "(SELECT wanted_anywhere(CAST(?1 AS TEXT), CAST(?2 AS TEXT)))",
    }
}

/// The rows of a table that came last with all words, `most` of them, as a server finds them by its
/// index.
fn indexed_rows(table: &str, condition: &str, within: Within, most: i64) -> String {
    let (words, column) = (words_of(within), within.column());
    format!(
        "SELECT * FROM (SELECT * FROM {table} WHERE {condition} AND {column} @@ {words} OFFSET 0) x
         ORDER BY id DESC LIMIT {most}"
    )
}

/// As [`indexed_rows`], of a table of many rows. Of what is rare the index gives all at once; what
/// is common is soon met on the way down from the newest.
fn newest_rows(table: &str, condition: &str, within: Within, most: i64) -> String {
    let (words, column) = (words_of(within), within.column());
    let (walked, by_index) = (most * WALKED, indexed_rows(table, condition, within, most));
    format!(
        "WITH near AS MATERIALIZED (
           SELECT * FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT {walked}) n
           WHERE {condition} AND {column} @@ {words} AND CAST(?2 AS TEXT) = '' AND NOT EXISTS (
             SELECT 1 FROM unnest(tsvector_to_array(named(CAST(?1 AS TEXT)))) w (word)
             WHERE NOT EXISTS (SELECT 1 FROM common_words c WHERE c.place = '{table}.{column}'
                               AND c.word = w.word AND c.share * {WALKED} > 1))
           ORDER BY id DESC LIMIT {most})
         SELECT * FROM near WHERE (SELECT count(*) FROM near) = {most}
         UNION ALL
         (SELECT * FROM ({by_index}) r WHERE (SELECT count(*) FROM near) < {most})"
    )
}

/// How many rows are walked for each that is wanted.
const WALKED: i64 = 8;

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
        "INSERT INTO paper_text (id, length, named, words)
         VALUES (?1, length(?2), named(?2), indexed(?2, ?4, ?3))
         ON CONFLICT (id) DO UPDATE SET
           length = excluded.length, named = excluded.named, words = excluded.words"
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
    many: Some(
        "INSERT INTO paper_text (id, length, named, words)
         SELECT * FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[]), CAST(?3 AS TSVECTOR[]),
           CAST(?4 AS TSVECTOR[]))",
    ),
};

/// Learns what a server's index makes of texts of papers that will be added.
pub(crate) fn expect_papers<'t>(
    sql: &Connection,
    lexemes: &mut Lexemes,
    texts: impl IntoIterator<Item = &'t str>,
) -> OfDatabase<()> {
    if sql.is_server() { lexemes.learn(sql, texts) } else { Ok(()) }
}

/// Makes a new paper known by its words, before anyone looks for it.
pub(crate) fn add_paper(
    sql: &Connection,
    lexemes: &mut Lexemes,
    id: i64,
    [title, text, authors]: [&str; 3],
) -> OfDatabase<()> {
    if !sql.is_server() {
        return sql.add_later(&PAPER, params![id, title, text, authors]);
    }
    let length = title.chars().count() as i64;
    loop {
        let words = (lexemes.named(title), lexemes.indexed(title, authors, text));
        let (Some(named), Some(words)) = words else {
            lexemes.learn(sql, [title, text, authors])?;
            continue;
        };
        return sql.add_later(&PAPER, params![id, length, named, words]);
    }
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
        "DELETE FROM entry_text x WHERE NOT EXISTS (SELECT 1 FROM entries e
           WHERE e.kind = x.kind AND e.ref = x.ref AND e.name = x.name AND e.text = x.text)",
        "INSERT INTO entry_text (kind, ref, name, text, named, words)
           SELECT kind, ref, name, text, named(name), named(name || ' ' || text) FROM entries e
           WHERE NOT EXISTS (SELECT 1 FROM entry_text x WHERE x.kind = e.kind AND x.ref = e.ref)
           ORDER BY CASE kind WHEN 'task' THEN 0 WHEN 'dataset' THEN 1 ELSE 2 END, number",
        "DELETE FROM model_text WHERE NOT EXISTS (SELECT 1 FROM results r
           WHERE r.id = model_text.id AND r.state <> 'retracted' AND r.model = model_text.name)",
        // The words of where results stand are made once for each place.
        "INSERT INTO model_text (id, name, text, named, words)
           SELECT id, model, place, named, named || words
           FROM (SELECT r.id, r.model, l.place, named(r.model) AS named, l.words
             FROM results r JOIN (
               SELECT id, place, named(place) AS words FROM (
                 SELECT l.id, t.name || ' on ' || d.name AS place FROM leaderboards l
                 JOIN tasks t ON t.id = l.task JOIN datasets d ON d.id = l.dataset OFFSET 0) p
               OFFSET 0) l ON l.id = r.leaderboard
             WHERE r.state <> 'retracted'
               AND NOT EXISTS (SELECT 1 FROM model_text x WHERE x.id = r.id) OFFSET 0) m",
    ];
    let all = if sql.is_server() { &of_server[..] } else { &of_file };
    for statement in all {
        sql.execute(statement, &[])?;
    }
    Ok(())
}

/// Asks for tasks, data sets or methods, or with an empty `kind` models: the shortest names first.
pub(crate) fn ask_entries<'s>(
    sql: &'s Connection,
    kind: &str,
    wanted: &Wanted,
    within: Within,
    limit: i64,
) -> OfDatabase<Asked<'s>> {
    let of_models = kind.is_empty();
    let table = if of_models { "model_text" } else { "entry_text" };
    if sql.is_server() {
        let (key, rows) = match of_models {
            true => ("CAST(id AS TEXT)", newest_rows(table, "TRUE", within, MOST)),
            false => ("ref", indexed_rows(table, "kind = ?4", within, MOST)),
        };
        let query = format!(
            "SELECT {key}, name, substr(text, 1, 200)
             FROM ({rows}) x ORDER BY length(name), name LIMIT ?3"
        );
        let (words, begun) = wanted.parts();
        let values = params![words, begun, limit, kind];
        let values = if of_models { &values[..3] } else { values };
        return sql.ask(&query, values);
    }
    let query = format!(
        "SELECT CAST(ref AS TEXT), name, substr(text, 1, 200)
         FROM (SELECT ref, name, text FROM {table} WHERE {table} MATCH ?1 ORDER BY rowid DESC LIMIT {MOST})
         ORDER BY length(name), name LIMIT ?2"
    );
    let of_kind = if of_models { String::new() } else { format!("kind : \"{kind}\" AND ") };
    let place = if within == Within::Name { "name" } else { "name text" };
    let words = format!("{of_kind}{{{place}}} : ({})", wanted.fts());
    sql.ask(&query, params![words, limit])
}

/// Asks whether so many papers have the words that giving each a score would take long: there is a
/// row if so.
pub(crate) fn ask_whether_common<'s>(
    sql: &'s Connection,
    wanted: &Wanted,
) -> OfDatabase<Asked<'s>> {
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        let query = format!(
            "SELECT 1 FROM common_words
             WHERE place = 'paper_text.words' AND CAST(?2 AS TEXT) = ''
               AND word = btrim(CAST(wanted(CAST(?1 AS TEXT), '') AS TEXT), chr(39))
             UNION ALL (SELECT 1 FROM paper_text WHERE words @@ {} LIMIT 1 OFFSET ?3)",
            words_of(Within::All)
        );
        return sql.ask(&query, params![words, begun, MOST]);
    }
    let query =
        "SELECT 1 FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2";
    sql.ask(query, params![wanted.fts(), MOST])
}

/// Asks for papers by how often the words stand in a title, in an abstract and among the authors.
pub(crate) fn ask_scored<'s>(
    sql: &'s Connection,
    wanted: &Wanted,
    limit: i64,
) -> OfDatabase<Asked<'s>> {
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        let words_of = words_of(Within::All);
        // Weights of what is marked D, C, B and A: abstract, nothing, authors, title.
        let from = format!(
            "SELECT id, -ts_rank('{{0.1, 0.1, 0.3, 1.0}}', words, {words_of}) AS score
             FROM paper_text WHERE words @@ {words_of} ORDER BY score, id LIMIT ?3"
        );
        return sql.ask(&shown(&from, 3), params![words, begun, limit]);
    }
    let from = "SELECT rowid AS id, bm25(paper_text, 10, 1, 3) AS score FROM paper_text
                WHERE paper_text MATCH ?1 ORDER BY score LIMIT ?2";
    sql.ask(&shown(from, 2), params![wanted.fts(), limit])
}

/// Asks for the shortest titles of the papers that came last with all words.
pub(crate) fn ask_newest<'s>(
    sql: &'s Connection,
    wanted: &Wanted,
    within: Within,
    limit: i64,
) -> OfDatabase<Asked<'s>> {
    let most = if within == Within::Name { MOST } else { 2 * limit };
    if sql.is_server() {
        let (words, begun) = wanted.parts();
        let rows = newest_rows("paper_text", "TRUE", within, most);
        let from = format!("SELECT id, length AS score FROM ({rows}) n ORDER BY length LIMIT ?3");
        return sql.ask(&shown(&from, 3), params![words, begun, limit]);
    }
    let from = format!(
        "SELECT rowid AS id, 0 AS score FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT {most}"
    );
    let title = if within == Within::Name { "{title} : " } else { "" };
    let words = match title {
        "" => wanted.fts(),
        title => format!("{title}({})", wanted.fts()),
    };
    sql.ask(&shown(&from, 2), params![words, limit])
}

/// What is shown of papers that `from` gives, by their scores.
fn shown(from: &str, limit: usize) -> String {
    format!(
        "SELECT p.slug, p.title, coalesce(p.date, '') FROM ({from}) f JOIN papers p ON p.id = f.id
         ORDER BY f.score, length(p.title) LIMIT ?{limit}"
    )
}

/// For each word papers that have it in title or abstract, `most` of them. A word that as many or
/// more have may be given none.
pub(crate) fn with_words(
    sql: &Connection,
    words: &[String],
    most: i64,
) -> Result<Vec<Vec<i64>>, Error> {
    if sql.is_server() {
        // A row for each word, as there may be thousands of papers.
        let query = "SELECT w.n - 1, f.papers
             FROM unnest(string_to_array(?1, ' ')) WITH ORDINALITY w (word, n)
             CROSS JOIN LATERAL (SELECT string_agg(CAST(id AS TEXT), ' ') AS papers FROM (
               SELECT id FROM paper_text WHERE words @@ wanted(w.word, '') LIMIT ?2) p
               HAVING count(*) BETWEEN 1 AND ?2 - 1) f
             WHERE NOT EXISTS (SELECT 1 FROM common_words c
               WHERE c.place = 'paper_text.words' AND c.word = btrim(CAST(wanted(w.word, '') AS TEXT), chr(39)))";
        let mut papers = vec![Vec::new(); words.len()];
        sql.query(query, params![words.join(" "), most], |r| {
            let of_word: String = r.get(1)?;
            let number = |n: &str| n.parse().map_err(|e| r.error(e));
            papers[r.get::<i64>(0)? as usize] =
                of_word.split(' ').map(number).collect::<OfDatabase<_>>()?;
            Ok(())
        })?;
        return Ok(papers);
    }
    let query =
        "SELECT rowid FROM paper_text WHERE paper_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2";
    let papers = words.iter().map(|word| {
        let words = format!("{{title abstract}} : \"{word}\"");
        Ok(sql.query(query, params![words, most], |r| r.get(0))?)
    });
    papers.collect()
}

/// Notes which words are in more than [`COMMON`] rows, when a server's planner has looked, and
/// forgets those that are no more. It looks at a sample, so that a word must be in half as many
/// again. What it has not looked at stays as it was noted.
pub(crate) fn note_common_words(sql: &Connection) -> OfDatabase<()> {
    if !sql.is_server() {
        return Ok(());
    }
    let note = "WITH seen AS MATERIALIZED (
           SELECT s.tablename || '.' || s.attname AS place, w.word, w.share,
             w.share * CAST(t.reltuples AS DOUBLE PRECISION) > ?1 AS is_common
           FROM pg_stats s JOIN pg_class t ON t.relname = s.tablename
             AND t.relnamespace = CAST(s.schemaname AS REGNAMESPACE)
           LEFT JOIN LATERAL unnest(CAST(CAST(s.most_common_elems AS TEXT) AS TEXT[]),
             s.most_common_elem_freqs) w (word, share) ON w.word IS NOT NULL
           WHERE s.schemaname = current_schema() AND s.attname IN ('named', 'words')),
         gone AS (
           DELETE FROM common_words c WHERE EXISTS (SELECT 1 FROM seen WHERE seen.place = c.place)
             AND NOT EXISTS (SELECT 1 FROM seen
                             WHERE seen.place = c.place AND seen.word = c.word AND is_common))
         INSERT INTO common_words SELECT place, word, share FROM seen WHERE is_common
         ON CONFLICT (place, word) DO UPDATE SET share = excluded.share";
    sql.execute(note, params![1.5 * COMMON as f64])?;
    Ok(())
}
