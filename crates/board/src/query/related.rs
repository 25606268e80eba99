//! Papers that are close to a paper: by the tasks, the methods and the rare words of titles that
//! they share, and, where the board's papers were read by an encoder, by what their abstracts say.

use std::collections::{HashMap, HashSet};

use budwood_database::{Asked, Connection, params};
use serde::Serialize;

use super::item::Which;
use crate::error::OfDatabase;
use crate::fulltext::{COMMON, with_words};
use crate::vectors::{ask_vectors, cosine, vectors};
use crate::words::words;
use crate::{Error, dialect};

/// A paper that is close to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Related {
    /// Its address.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its date.
    pub date: Option<String>,
    /// What they share, the rarest first: names of tasks and methods, words in quotes.
    pub why: Vec<String>,
    /// The cosine of the angle between what an encoder makes of their texts.
    pub similarity: Option<f64>,
}

/// Papers that are shown.
const SHOWN: usize = 8;
/// Papers that share something are looked at, of each thing the newest, at most so many.
const OF_EACH: i64 = 200;
/// Papers whose texts are compared: those that share most.
const COMPARED: usize = 300;

/// Something that papers share.
struct Shared {
    name: String,
    weight: f64,
    papers: Vec<i64>,
}

/// What is asked to find the papers closest to a paper.
pub(super) struct Near<'s> {
    all: Asked<'s>,
    tasks: Asked<'s>,
    methods: Asked<'s>,
    own: Asked<'s>,
}

impl<'s> Near<'s> {
    pub(super) fn ask(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Self> {
        let vector = format!("SELECT paper, vector FROM paper_vectors WHERE paper = {}", of.number);
        Ok(Self {
            all: sql.ask("SELECT coalesce(max(id), 0) FROM papers", &[])?,
            tasks: ask_things(sql, of, "task")?,
            methods: ask_things(sql, of, "method")?,
            own: sql.ask(&vector, &[of.value])?,
        })
    }

    /// The papers closest to the paper of that number and title, the closest first.
    pub(super) fn read(
        self,
        sql: &Connection,
        paper: i64,
        title: &str,
    ) -> Result<Vec<Related>, Error> {
        let Self { all, tasks, methods, own } = self;
        let all = all.one(|r| r.get(0))?;
        let (tasks, methods) = (newest(sql, tasks, "task")?, newest(sql, methods, "method")?);
        let (words, with_words) = title_words(sql, title)?;
        let mut shared = Vec::new();
        for (name, papers, of) in tasks.into_iter().chain(methods) {
            let weight = weight(papers, all);
            shared.push(Shared { name, weight, papers: of.rows(|r| r.get(0))? });
        }
        shared.extend(rare(words, with_words, all));
        shared.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let whole: f64 = shared.iter().map(|s| s.weight).sum();
        let mut scores: HashMap<i64, f64> = HashMap::new();
        for thing in &shared {
            for &other in &thing.papers {
                *scores.entry(other).or_default() += thing.weight / whole;
            }
        }
        scores.remove(&paper);
        let mut ranked: Vec<(f64, Option<f64>, i64)> =
            scores.into_iter().map(|(id, score)| (score, None, id)).collect();
        // Of equals the newest.
        let order = |a: &(f64, Option<f64>, i64), b: &(f64, Option<f64>, i64)| {
            b.0.total_cmp(&a.0).then(b.2.cmp(&a.2))
        };
        ranked.sort_by(order);
        if let Some(own) = vectors(own)?.remove(&paper) {
            ranked.truncate(COMPARED);
            let others = ask_vectors(sql, &ranked.iter().map(|r| r.2).collect::<Vec<_>>())?;
            let others = vectors(others)?;
            for (score, similarity, id) in &mut ranked {
                *similarity = others.get(id).and_then(|other| cosine(&own, other));
                *score += similarity.unwrap_or(0.0);
            }
            ranked.sort_by(order);
        }
        ranked.truncate(SHOWN);
        let these = dialect::is_among(sql, "id", "?1");
        let query = format!("SELECT id, slug, title, date FROM papers WHERE {these}");
        let ids: Vec<i64> = ranked.iter().map(|r| r.2).collect();
        let mut found = sql.query(&query, params![dialect::list(&ids)], |r| {
            let id: i64 = r.get(0)?;
            let names = shared.iter().filter(|s| s.papers.contains(&id)).map(|s| s.name.clone());
            let why = names.take(4).collect();
            let similarity = ranked.iter().find(|r| r.2 == id).and_then(|r| r.1);
            Ok((
                id,
                Related { slug: r.get(1)?, title: r.get(2)?, date: r.get(3)?, why, similarity },
            ))
        })?;
        found.sort_by_key(|(id, _)| ids.iter().position(|i| i == id));
        Ok(found.into_iter().map(|(_, related)| related).collect())
    }
}

/// What is in few papers says more than what is in many.
fn weight(papers: i64, all: i64) -> f64 {
    (1.0 + all as f64 / papers.max(1) as f64).ln()
}

/// Asks for a paper's tasks or methods.
fn ask_things<'s>(sql: &'s Connection, of: Which<'_>, kind: &str) -> OfDatabase<Asked<'s>> {
    let query = format!(
        "SELECT t.id, t.name, t.papers FROM paper_{kind}s x JOIN {kind}s t ON t.id = x.{kind}
         WHERE x.paper = {} ORDER BY t.papers, t.id LIMIT 20",
        of.number
    );
    sql.ask(&query, &[of.value])
}

/// The tasks or methods that were asked for: their names, how many papers they have, and the
/// question for the newest of these.
fn newest<'s>(
    sql: &'s Connection,
    things: Asked<'_>,
    kind: &str,
) -> OfDatabase<Vec<(String, i64, Asked<'s>)>> {
    let newest =
        format!("SELECT paper FROM paper_{kind}s WHERE {kind} = ?1 ORDER BY paper DESC LIMIT ?2");
    let things = things.rows(|r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    let ask = |(id, name, papers): (i64, String, i64)| {
        Ok((name, papers, sql.ask(&newest, params![id, OF_EACH])?))
    };
    things.into_iter().map(ask).collect()
}

/// The words of a title, and papers that have them.
fn title_words(sql: &Connection, title: &str) -> Result<(Vec<String>, Vec<Vec<i64>>), Error> {
    let mut seen = HashSet::new();
    let long = words(title).into_iter().filter(|w| w.chars().count() > 2);
    let words: Vec<_> = long.filter(|w| seen.insert(w.clone())).take(16).collect();
    let papers = with_words(sql, &words, COMMON + 1)?;
    Ok((words, papers))
}

/// Of words with their papers those that few papers have.
fn rare(words: Vec<String>, papers: Vec<Vec<i64>>, all: i64) -> Vec<Shared> {
    let mut found = Vec::new();
    for (word, papers) in words.into_iter().zip(papers) {
        let n = papers.len() as i64;
        // Words of half a small board are common too.
        if n > 1 && n <= COMMON && (n <= 3 || 2 * n <= all) {
            let weight = weight(n, all);
            found.push(Shared { name: format!("“{word}”"), weight, papers });
        }
    }
    found
}
