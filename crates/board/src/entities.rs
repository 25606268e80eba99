//! Tasks, data sets and papers by name: found, or made when they are first spoken of.

use budwood_database::{Connection, params};

use crate::text::{key, slug};
use crate::{Error, date, fulltext};

/// The number of a task, which is made if it is not there.
pub(crate) fn task(
    sql: &Connection,
    name: &str,
    archive: Option<i64>,
) -> Result<(i64, bool), Error> {
    let key = key(name);
    let found =
        sql.first("SELECT id FROM tasks WHERE name_key = ?1", params![&key], |r| r.get(0))?;
    if let Some(id) = found {
        return Ok((id, false));
    }
    let slug = free(sql, "SELECT 1 FROM tasks WHERE slug = ?1", &slug(name))?;
    Ok((
        sql.add(
            "INSERT INTO tasks (slug, name, name_key, archive) VALUES (?1, ?2, ?3, ?4)",
            params![slug, name.trim(), key, archive],
        )?,
        true,
    ))
}

/// Says that one task is part of another. A task is not its own part.
pub(crate) fn task_is_part(sql: &Connection, child: i64, parent: i64) -> Result<(), Error> {
    if child != parent {
        sql.execute(
            "INSERT INTO task_children (parent, child) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![parent, child],
        )?;
    }
    Ok(())
}

/// Says that a task belongs to an area.
pub(crate) fn task_in_area(sql: &Connection, task: i64, area: &str) -> Result<(), Error> {
    sql.execute(
        "INSERT INTO task_areas (task, area) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![task, area],
    )?;
    Ok(())
}

/// The number of a data set, which is made if it is not there. One inside another is named with it.
pub(crate) fn dataset(
    sql: &Connection,
    name: &str,
    parent: Option<(i64, &str)>,
    archive: Option<i64>,
) -> Result<(i64, bool), Error> {
    let name = match parent {
        Some((_, outer)) => format!("{outer} / {}", name.trim()),
        None => name.trim().to_owned(),
    };
    let key = key(&name);
    let found =
        sql.first("SELECT id FROM datasets WHERE name_key = ?1", params![&key], |r| r.get(0))?;
    if let Some(id) = found {
        return Ok((id, false));
    }
    let slug = free(sql, "SELECT 1 FROM datasets WHERE slug = ?1", &slug(&name))?;
    Ok((sql.add("INSERT INTO datasets (slug, name, name_key, parent, archive) VALUES (?1, ?2, ?3, ?4, ?5)", params![slug, name, key, parent.map(|p| p.0), archive])?, true))
}

/// Whether there is a data set of that name.
pub(crate) fn has_dataset(sql: &Connection, name: &str) -> Result<bool, Error> {
    Ok(sql.exists("SELECT 1 FROM datasets WHERE name_key = ?1", params![key(name)])?)
}

/// The number of a method, which is made if it is not there.
pub(crate) fn method(
    sql: &Connection,
    name: &str,
    archive: Option<i64>,
) -> Result<(i64, bool), Error> {
    let key = key(name);
    let found =
        sql.first("SELECT id FROM methods WHERE name_key = ?1", params![&key], |r| r.get(0))?;
    if let Some(id) = found {
        return Ok((id, false));
    }
    let slug = free(sql, "SELECT 1 FROM methods WHERE slug = ?1", &slug(name))?;
    Ok((
        sql.add(
            "INSERT INTO methods (slug, name, name_key, archive) VALUES (?1, ?2, ?3, ?4)",
            params![slug, name.trim(), key, archive],
        )?,
        true,
    ))
}

/// Whether there is a method of that name.
pub(crate) fn has_method(sql: &Connection, name: &str) -> Result<bool, Error> {
    Ok(sql.exists("SELECT 1 FROM methods WHERE name_key = ?1", params![key(name)])?)
}

/// What a result or an entry says of a paper.
#[derive(Default)]
pub(crate) struct PaperMention<'a> {
    pub(crate) title: &'a str,
    pub(crate) url: &'a str,
    pub(crate) date: Option<&'a str>,
    pub(crate) archive: Option<i64>,
}

/// What a paper may be known by: columns and what they hold, in the order in which they count.
pub(crate) fn paper_keys(title: &str, url: &str) -> Vec<(&'static str, String)> {
    let arxiv = date::arxiv_id(url).or_else(|| date::arxiv_id(title));
    let mut keys: Vec<_> = arxiv.map(|id| ("arxiv_id", id.into())).into_iter().collect();
    if !url.is_empty() {
        keys.push(("url_abs", url.into()));
    }
    // One word, such as "Anonymous" or "N/A", is no title to know a paper by.
    if title.split_whitespace().nth(1).is_some() {
        keys.push(("title_key", key(title)));
    }
    keys
}

/// The number of the paper whose column holds a text.
pub(crate) fn paper_by(sql: &Connection, column: &str, text: &str) -> Result<Option<i64>, Error> {
    let query = format!("SELECT id FROM papers WHERE {column} = ?1 ORDER BY stub, id LIMIT 1");
    Ok(sql.first(&query, params![text], |r| r.get(0))?)
}

/// The number of the paper that is meant, by arXiv number, address or title.
pub(crate) fn find_paper(sql: &Connection, title: &str, url: &str) -> Result<Option<i64>, Error> {
    for (column, text) in paper_keys(title, url) {
        if let Some(found) = paper_by(sql, column, &text)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The paper that is meant; an entry with title and link alone is made if it is not there. None if
/// too little is said.
pub(crate) fn paper(sql: &Connection, mention: &PaperMention<'_>) -> Result<Option<i64>, Error> {
    match find_paper(sql, mention.title.trim(), mention.url.trim())? {
        Some(found) => Ok(Some(found)),
        None => new_paper(sql, mention),
    }
}

/// Makes an entry with title and link alone. None if too little is said.
pub(crate) fn new_paper(
    sql: &Connection,
    mention: &PaperMention<'_>,
) -> Result<Option<i64>, Error> {
    let (title, url) = (mention.title.trim(), mention.url.trim());
    let arxiv = date::arxiv_id(url).or_else(|| date::arxiv_id(title));
    let linked = url.starts_with("http");
    let no_title = title.is_empty() || title.contains("://");
    let title = match (no_title, arxiv) {
        (true, Some(id)) => format!("arXiv:{id}"),
        (true, None) => return Ok(None),
        (false, _) if linked && title.split_whitespace().nth(1).is_some() => title.to_owned(),
        (false, _) => return Ok(None),
    };
    let slug = free(sql, "SELECT 1 FROM papers WHERE slug = ?1", &slug(&title))?;
    let month = arxiv.and_then(date::month_of_arxiv);
    let (date, source) = match (mention.date, &month) {
        (Some(date), _) => (Some(date), Some("given")),
        (None, Some(month)) => (Some(month.as_str()), Some("arxiv-id")),
        (None, None) => (None, None),
    };
    let id = sql.add("INSERT INTO papers (slug, title, title_key, date, date_source, arxiv_id, url_abs, archive, stub)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)", params![slug, title, key(&title), date, source, arxiv, url, mention.archive])?;
    fulltext::put_paper(sql, id, [&title, "", "[]"])?;
    Ok(Some(id))
}

/// The slug, or the first of `slug-2`, `slug-3` ... that `taken` does not find.
pub(crate) fn free(sql: &Connection, taken: &str, slug: &str) -> Result<String, Error> {
    let is_taken = |slug: &str| sql.exists(taken, params![slug]);
    if !is_taken(slug)? {
        return Ok(slug.into());
    }
    // Doubling, then halving: names that thousands share are found in a few steps.
    let is_taken = |n: u64| is_taken(&format!("{slug}-{n}"));
    let (mut low, mut high) = (1, 2);
    while is_taken(high)? {
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_taken(middle)? { low = middle } else { high = middle }
    }
    Ok(format!("{slug}-{high}"))
}
