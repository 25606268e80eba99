//! The archive's own files again: what came from them without loss, and the board's own rows in the
//! same form.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use budwood_database::{Row, params};
use serde_json::{Map, Value, json};

use crate::error::OfDatabase;
use crate::{Board, Error};

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Elements of its list.
    pub elements: u64,
    /// Terms of what is in it.
    pub licence: String,
}

/// Name of the file of the board's own rows.
const OWN: &str = "board";

/// Writes each archive as `<name>.json` into `folder`, and the rows that come from no archive as
/// `board.json`. Where another file has that name, that of the archive's kind stands after it.
/// Fields that say nothing are written as the format has them empty: what was missing comes back as
/// empty.
///
/// # Errors
/// If the folder cannot be written or the board cannot be read.
pub fn archive(board: &Board, folder: &Path) -> Result<Vec<Written>, Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source })?;
    // What is written meanwhile does not come in between.
    let snapshot = board.snapshot()?;
    let rows = snapshot.query("SELECT DISTINCT a.id, a.name, a.licence, i.kind FROM archives a JOIN imports i ON i.archive = a.id
         ORDER BY a.name, i.kind", &[], |r| {
        Ok((
            r.get::<i64>(0)?,
            r.get::<String>(1)?,
            r.get::<String>(2)?,
            r.get::<String>(3)?,
        ))
    })?;
    let mut written = Vec::new();
    let mut taken = vec![OWN.to_owned()];
    for (id, name, licence, kind) in rows {
        let write: fn(&Board, i64, &mut List) -> Result<(), Error> = match kind.as_str() {
            "evaluation-tables" => tables,
            "papers-with-abstracts" => papers,
            "links-between-papers-and-code" => links,
            "methods" => methods,
            _ => datasets,
        };
        taken.push(file_name(&name, &kind, &taken));
        let path = folder.join(format!("{}.json", taken[taken.len() - 1]));
        let (path, elements) = whole(&path, |list| write(board, id, list))?;
        written.push(Written { path, elements, licence });
    }
    let (path, elements) = whole(&folder.join(format!("{OWN}.json")), |list| own(board, list))?;
    written.push(Written { path, elements, licence: "the board's own".into() });
    Ok(written)
}

/// Letters of an archive's name that are taken into that of a file.
const LONGEST: usize = 50;

/// The name of an archive's file, without its ending: no other's, and none that leads elsewhere.
fn file_name(name: &str, kind: &str, taken: &[String]) -> String {
    let plain = |c: char| if c.is_control() || "/\\:".contains(c) { '-' } else { c };
    let name: String = name.trim_matches([' ', '.']).chars().take(LONGEST).map(plain).collect();
    let with_kind = [&*name, kind].into_iter().filter(|part| !part.is_empty());
    let with_kind = with_kind.collect::<Vec<_>>().join("-");
    let numbered = (2..).map(|n| format!("{with_kind}-{n}"));
    let mut names = [name, with_kind.clone()].into_iter().chain(numbered);
    let is_free = |name: &String| {
        !name.is_empty() && !taken.iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    names.find(is_free).unwrap_or(with_kind)
}

/// A list that is being written.
struct List {
    out: BufWriter<File>,
    path: PathBuf,
    elements: u64,
}

impl List {
    fn put(&mut self, value: &Value) -> Result<(), Error> {
        let open = if self.elements == 0 { "[\n" } else { ",\n" };
        self.elements += 1;
        write!(self.out, "{open}{value}")
            .map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}

/// Writes a list beside its place and puts it there when it is whole.
fn whole(
    path: &Path,
    fill: impl FnOnce(&mut List) -> Result<(), Error>,
) -> Result<(PathBuf, u64), Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let beside = path.with_extension("json.part");
    let out = BufWriter::new(File::create(&beside).map_err(io)?);
    let mut list = List { out, path: path.into(), elements: 0 };
    let result = fill(&mut list).and_then(|()| {
        let end = if list.elements == 0 { "[]\n" } else { "\n]\n" };
        list.out.write_all(end.as_bytes()).map_err(io)?;
        list.out.flush().map_err(io)?;
        list.out.get_ref().sync_all().map_err(io)?;
        std::fs::rename(&beside, path).map_err(io)
    });
    if let Err(e) = result {
        let _ = std::fs::remove_file(&beside);
        return Err(e);
    }
    Ok((path.into(), list.elements))
}

fn tables(board: &Board, archive: i64, list: &mut List) -> Result<(), Error> {
    for id in children(board, archive, 0, "task")? {
        list.put(&task(board, archive, id)?)?;
    }
    Ok(())
}

fn children(board: &Board, archive: i64, parent: i64, kind: &str) -> Result<Vec<i64>, Error> {
    Ok(board.sql().query("SELECT id FROM nodes WHERE archive = ?1 AND parent = ?2 AND kind = ?3 ORDER BY position, id", params![archive, parent, kind], |r| r.get(0))?)
}

/// Name, description, leaderboard and other fields of a node.
type Node = (String, String, Option<i64>, Map<String, Value>);

fn node(board: &Board, id: i64) -> Result<Node, Error> {
    let query = "SELECT name, description, leaderboard, details FROM nodes WHERE id = ?1";
    Ok(board.sql().one(query, params![id], |r| {
        let details: String = r.get(3)?;
        Ok((r.get(0)?, r.get(1)?, r.get(2)?, serde_json::from_str(&details).unwrap_or_default()))
    })?)
}

fn task(board: &Board, archive: i64, id: i64) -> Result<Value, Error> {
    let (name, description, _, details) = node(board, id)?;
    let datasets = children(board, archive, id, "dataset")?;
    let subtasks = children(board, archive, id, "task")?;
    let datasets: Vec<_> = datasets
        .into_iter()
        .map(|d| dataset(board, archive, d, "dataset"))
        .collect::<Result<_, _>>()?;
    let subtasks: Vec<_> =
        subtasks.into_iter().map(|t| task(board, archive, t)).collect::<Result<_, _>>()?;
    let mut out = json!({
        "task": name, "description": description, "categories": [], "synonyms": [], "source_link": null,
        "datasets": datasets, "subtasks": subtasks,
    });
    merge(&mut out, details);
    Ok(out)
}

fn dataset(board: &Board, archive: i64, id: i64, name_field: &str) -> Result<Value, Error> {
    let (name, description, leaderboard, details) = node(board, id)?;
    let parts = children(board, archive, id, "dataset")?;
    let parts: Vec<_> = parts
        .into_iter()
        .map(|d| dataset(board, archive, d, "subdataset"))
        .collect::<Result<_, _>>()?;
    let mut out = json!({
        name_field: name, "description": description, "dataset_links": [], "dataset_citations": [],
        "subdatasets": parts, "sota": { "metrics": [], "rows": [] },
    });
    merge(&mut out, details);
    if let Some(leaderboard) = leaderboard {
        out["sota"] = sota(board, leaderboard, Some(archive))?;
    }
    Ok(out)
}

fn merge(out: &mut Value, details: Map<String, Value>) {
    if let Value::Object(out) = out {
        out.extend(details);
    }
}

/// A table: declared metrics, and the rows of an archive or the board's own.
fn sota(board: &Board, leaderboard: i64, archive: Option<i64>) -> Result<Value, Error> {
    let metrics = board.sql().query(
        "SELECT name FROM metrics WHERE leaderboard = ?1 AND declared = 1 ORDER BY position, id",
        params![leaderboard],
        |r| r.get::<String>(0),
    )?;
    let rows = board.sql().query("SELECT id, model, paper_title, paper_url, date, date_source, code_links, model_links, additional_data, details
         FROM results WHERE leaderboard = ?1 AND archive IS NOT DISTINCT FROM ?2 AND state <> 'retracted' ORDER BY position, id", params![leaderboard, archive], |r| Ok((r.get::<i64>(0)?, row(r)?)))?;
    let mut out = Vec::new();
    for found in rows {
        let (id, mut row) = found;
        row["metrics"] = scores(board, id)?;
        out.push(row);
    }
    Ok(json!({ "metrics": metrics, "rows": out }))
}

fn row(r: &Row<'_>) -> OfDatabase<Value> {
    let json_at = |i: usize| -> OfDatabase<Value> {
        Ok(serde_json::from_str(&r.get::<String>(i)?).unwrap_or_default())
    };
    // A month that was read from an arXiv number is not the archive's date.
    let given = r.get::<Option<String>>(5)?.is_some_and(|s| s != "arxiv-id");
    let date: Option<String> = if given { r.get(4)? } else { None };
    let mut out = json!({
        "model_name": r.get::<String>(1)?, "paper_title": r.get::<String>(2)?,
        "paper_url": r.get::<String>(3)?, "paper_date": date, "code_links": json_at(6)?, "model_links": json_at(7)?,
        "metrics": {}, "uses_additional_data": r.get::<Option<bool>>(8)?.unwrap_or(false),
    });
    if let Value::Object(details) = json_at(9)? {
        merge(&mut out, details);
    }
    Ok(out)
}

fn scores(board: &Board, result: i64) -> Result<Value, Error> {
    let rows = board.sql().query(
        "SELECT name, raw FROM scores WHERE result = ?1 ORDER BY position",
        params![result],
        |r| Ok((r.get::<String>(0)?, r.get::<String>(1)?)),
    )?;
    let mut out = Map::new();
    for (name, raw) in rows {
        out.insert(name, serde_json::from_str(&raw).unwrap_or_default());
    }
    Ok(Value::Object(out))
}

/// A leaderboard with rows of the board's own: names and descriptions of task and data set.
struct OwnTable {
    task: i64,
    leaderboard: i64,
    names: [String; 4],
}

/// The board's own rows: a task for each, with its data sets.
fn own(board: &Board, list: &mut List) -> Result<(), Error> {
    let query = "SELECT t.id, t.name, t.description, l.id, d.name, d.description
         FROM leaderboards l JOIN tasks t ON t.id = l.task JOIN datasets d ON d.id = l.dataset
         WHERE EXISTS (SELECT 1 FROM results r WHERE r.leaderboard = l.id AND r.archive IS NULL
                       AND r.state <> 'retracted')
         ORDER BY t.id, l.id";
    let tables: Vec<OwnTable> = board.sql().query(query, &[], |r| {
        Ok(OwnTable {
            task: r.get(0)?,
            leaderboard: r.get(3)?,
            names: [r.get(1)?, r.get(2)?, r.get(4)?, r.get(5)?],
        })
    })?;
    let mut current: Option<(i64, Value)> = None;
    for OwnTable { task: id, leaderboard, names: [name, about, dataset, about_dataset] } in tables {
        if current.as_ref().is_none_or(|c| c.0 != id) {
            if let Some((_, done)) = current.take() {
                list.put(&done)?;
            }
            let task = json!({
                "task": name, "description": about, "categories": [], "synonyms": [],
                "source_link": null, "datasets": [], "subtasks": [],
            });
            current = Some((id, task));
        }
        let table = json!({
            "dataset": dataset, "description": about_dataset, "dataset_links": [],
            "dataset_citations": [], "subdatasets": [], "sota": sota(board, leaderboard, None)?,
        });
        if let Some((_, task)) = &mut current
            && let Some(datasets) = task["datasets"].as_array_mut()
        {
            datasets.push(table);
        }
    }
    current.map_or(Ok(()), |(_, done)| list.put(&done))
}

const SITE: &str = "https://paperswithcode.com";

/// Rows that are held in memory at one time.
const ROWS: usize = 1000;

/// Goes through the rows of an archive by their numbers, some at a time. `sql` gives those after
/// the number `?2`, `read` a row's number and its element, and `more` adds what other tables know.
fn each(
    board: &Board,
    (archive, sql): (i64, &str),
    list: &mut List,
    mut read: impl FnMut(&Row<'_>) -> OfDatabase<(i64, Value)>,
    mut more: impl FnMut(i64, &mut Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let sql = format!("{sql} LIMIT {ROWS}");
    let mut after = 0;
    loop {
        let rows = board.sql().query(&sql, params![archive, after], &mut read)?;
        let n = rows.len();
        for (id, mut element) in rows {
            more(id, &mut element)?;
            list.put(&element)?;
            after = id;
        }
        if n < ROWS {
            return Ok(());
        }
    }
}

fn papers(board: &Board, archive: i64, list: &mut List) -> Result<(), Error> {
    let sql = board.sql();
    let all = "SELECT id, slug, arxiv_id, title, abstract, url_abs, url_pdf, proceeding, authors, date, details
         FROM papers WHERE archive = ?1 AND id > ?2 AND stub = 0 ORDER BY id";
    let read = |r: &Row<'_>| {
        let text = |i: usize| r.get::<Option<String>>(i);
        let authors: Value = serde_json::from_str(&r.get::<String>(8)?).unwrap_or_default();
        let mut out = json!({
            "paper_url": format!("{SITE}/paper/{}", r.get::<String>(1)?), "arxiv_id": text(2)?, "title": text(3)?,
            "abstract": text(4)?, "url_abs": text(5)?, "url_pdf": text(6)?, "proceeding": text(7)?,
            "authors": authors, "tasks": [], "date": text(9)?, "methods": [],
        });
        merge(&mut out, serde_json::from_str(&r.get::<String>(10)?).unwrap_or_default());
        Ok((r.get(0)?, out))
    };
    each(board, (archive, all), list, read, |id, out| {
        let tasks = "SELECT t.name FROM paper_tasks x JOIN tasks t ON t.id = x.task WHERE x.paper = ?1 ORDER BY x.task";
        out["tasks"] = sql.query(tasks, params![id], |r| r.get::<String>(0))?.into();
        let methods = "SELECT m.name, m.full_name, m.description, m.year
             FROM paper_methods x JOIN methods m ON m.id = x.method WHERE x.paper = ?1 ORDER BY x.method";
        let method = |r: &Row<'_>| {
            Ok(json!({
                "name": r.get::<String>(0)?, "full_name": r.get::<String>(1)?,
                "description": r.get::<String>(2)?, "introduced_year": r.get::<Option<i64>>(3)?,
            }))
        };
        out["methods"] = sql.query(methods, params![id], method)?.into();
        Ok(())
    })
}

fn links(board: &Board, archive: i64, list: &mut List) -> Result<(), Error> {
    let all = "SELECT c.id, p.slug, p.title, p.arxiv_id, p.url_abs, p.url_pdf, c.url, c.official, c.in_paper,
                c.in_repository, c.framework
         FROM code_links c JOIN papers p ON p.id = c.paper WHERE c.archive = ?1 AND c.id > ?2 ORDER BY c.id";
    let read = |r: &Row<'_>| {
        let text = |i: usize| r.get::<Option<String>>(i);
        let framework: String = r.get(10)?;
        let framework = if framework.is_empty() { "none".into() } else { framework };
        let out = json!({
            "paper_url": format!("{SITE}/paper/{}", r.get::<String>(1)?), "paper_title": text(2)?,
            "paper_arxiv_id": text(3)?, "paper_url_abs": text(4)?, "paper_url_pdf": text(5)?, "repo_url": text(6)?,
            "is_official": r.get::<bool>(7)?, "mentioned_in_paper": r.get::<bool>(8)?,
            "mentioned_in_github": r.get::<bool>(9)?, "framework": framework,
        });
        Ok((r.get(0)?, out))
    };
    each(board, (archive, all), list, read, |_, _| Ok(()))
}

/// Title and address of a paper, as the archive names one.
fn mention(title: Option<String>, slug: Option<String>) -> Value {
    match (title, slug) {
        (Some(title), Some(slug)) => {
            json!({ "title": title, "url": format!("{SITE}/paper/{slug}") })
        }
        _ => Value::Null,
    }
}

fn methods(board: &Board, archive: i64, list: &mut List) -> Result<(), Error> {
    let all = "SELECT m.id, m.slug, m.name, m.full_name, m.description, p.title, p.slug, m.year, m.source_url,
                m.source_title, m.code_url, m.papers, m.details
         FROM methods m LEFT JOIN papers p ON p.id = m.paper WHERE m.archive = ?1 AND m.id > ?2 ORDER BY m.id";
    let read = |r: &Row<'_>| {
        let text = |i: usize| r.get::<Option<String>>(i);
        let mut out = json!({
            "url": format!("{SITE}/method/{}", r.get::<String>(1)?), "name": text(2)?, "full_name": text(3)?,
            "description": text(4)?, "paper": mention(text(5)?, text(6)?), "introduced_year": r.get::<Option<i64>>(7)?,
            "source_url": text(8)?, "source_title": text(9)?, "code_snippet_url": text(10)?,
            "num_papers": r.get::<i64>(11)?, "collections": [],
        });
        merge(&mut out, serde_json::from_str(&r.get::<String>(12)?).unwrap_or_default());
        Ok((r.get(0)?, out))
    };
    each(board, (archive, all), list, read, |id, out| {
        let collections =
            "SELECT collection, area_id, area FROM method_collections WHERE method = ?1
             ORDER BY area, collection";
        let collection = |r: &Row<'_>| {
            Ok(json!({
                "collection": r.get::<String>(0)?, "area_id": r.get::<String>(1)?, "area": r.get::<String>(2)?,
            }))
        };
        out["collections"] = board.sql().query(collections, params![id], collection)?.into();
        Ok(())
    })
}

fn datasets(board: &Board, archive: i64, list: &mut List) -> Result<(), Error> {
    let all = "SELECT d.id, d.slug, d.name, d.full_name, d.description, d.homepage, p.title, p.slug, d.introduced,
                d.licence_name, d.licence_url, d.details
         FROM datasets d LEFT JOIN papers p ON p.id = d.paper WHERE d.archive = ?1 AND d.id > ?2 ORDER BY d.id";
    let read = |r: &Row<'_>| {
        let text = |i: usize| r.get::<Option<String>>(i);
        let mut out = json!({
            "url": format!("{SITE}/dataset/{}", r.get::<String>(1)?), "name": text(2)?, "full_name": text(3)?,
            "description": text(4)?, "homepage": text(5)?, "paper": mention(text(6)?, text(7)?),
            "introduced_date": text(8)?, "license_name": text(9)?, "license_url": text(10)?, "tasks": [],
            "modalities": [], "languages": [], "variants": [], "data_loaders": [],
        });
        merge(&mut out, serde_json::from_str(&r.get::<String>(11)?).unwrap_or_default());
        Ok((r.get(0)?, out))
    };
    each(board, (archive, all), list, read, |id, out| {
        let tasks = "SELECT t.name, t.slug FROM dataset_tasks x JOIN tasks t ON t.id = x.task
             WHERE x.dataset = ?1 ORDER BY x.task";
        let task = |r: &Row<'_>| {
            let url = format!("{SITE}/task/{}", r.get::<String>(1)?);
            Ok(json!({ "task": r.get::<String>(0)?, "url": url }))
        };
        out["tasks"] = board.sql().query(tasks, params![id], task)?.into();
        Ok(())
    })
}
