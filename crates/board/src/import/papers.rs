//! `papers-with-abstracts.json`: papers with their tasks and methods.

use budwood_database::{Addition, Bind, Value as Cell, params};
use serde_json::Value;

use super::context::{Context, Kind, Papers, among, text};
use super::fields::Fields;
use crate::db::next_id;
use crate::summary::CountsOf;
use crate::text::{key, slug, slug_of_url};
use crate::{Error, date, fulltext, summary};

pub(super) const KIND: Kind = Kind {
    name: "papers-with-abstracts",
    fits: |v| v.get("title").is_some() && v.get("abstract").is_some(),
    element,
    again: false,
    begin,
    end: |_| Ok(()),
    finish: |context| {
        fulltext::settle_papers(context.sql)?;
        Ok(summary::refresh_counts(context.sql, &[CountsOf::Tasks, CountsOf::Methods])?)
    },
};

static PAPER: Addition = Addition {
    table: "papers",
    is_referred_to: true,
    one: "INSERT INTO papers (id, slug, title, title_key, abstract, authors, date, date_source, arxiv_id,
            url_abs, url_pdf, proceeding, details, archive)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    many: None,
};
static TASK: Addition = Addition {
    table: "paper_tasks",
    is_referred_to: false,
    one: "INSERT INTO paper_tasks (task, paper) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    many: None,
};
static METHOD: Addition = Addition {
    table: "paper_methods",
    is_referred_to: false,
    one: "INSERT INTO paper_methods (method, paper) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    many: None,
};

/// The address of a paper of the archive.
fn slug_of(url: &str, title: &str) -> String {
    slug_of_url(url, "paper").unwrap_or_else(|| slug(title))
}

fn begin(context: &mut Context<'_>, batch: &[Value]) -> Result<(), Error> {
    let sql = context.sql;
    let texts = |of: fn(&str, &str, &str) -> Option<String>| -> Vec<String> {
        let one = |v: &Value| of(text(v, "paper_url"), text(v, "title"), text(v, "arxiv_id"));
        batch.iter().filter_map(one).collect()
    };
    let known = |column, condition, texts: Vec<String>| {
        Ok::<_, Error>(among(sql, (column, condition), &texts)?.into_iter().map(|found| found.0))
    };
    let slugs = texts(|url, title, _| Some(slug_of(url, title)));
    let numbers = texts(|_, _, id| Some(without_version(id)).filter(|id| !id.is_empty()));
    let titles = texts(|_, title, _| Some(key(title)));
    let by_number = known("arxiv_id", "stub = 1 AND", numbers)?;
    context.state.papers = Papers {
        slugs: known("slug", "", slugs)?.collect(),
        stubs: by_number.chain(known("title_key", "stub = 1 AND", titles)?).collect(),
        next: next_id(sql, "papers")?,
    };
    let authors = |v| Value::get(v, "authors").and_then(Value::as_array).into_iter().flatten();
    let texts = batch.iter().flat_map(|v| {
        let named = authors(v).filter_map(Value::as_str);
        named.chain([text(v, "title"), text(v, "abstract")])
    });
    Ok(fulltext::expect_papers(sql, &mut context.state.lexemes, texts)?)
}

/// A paper, read.
struct ReadPaper {
    slug: String,
    title: String,
    abstract_text: String,
    authors: String,
    date: Option<String>,
    arxiv: Option<String>,
    url: Option<String>,
    pdf: Option<String>,
    proceeding: Option<String>,
    details: String,
}

fn element(context: &mut Context<'_>, element: Value) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("paper", element, context.report) else { return Ok(()) };
    let title = fields.text("title");
    if title.trim().is_empty() {
        context.report.borrow_mut().left_out("paper without a title");
        return Ok(());
    }
    let (tasks, methods) = (fields.texts("tasks"), fields.list("methods"));
    let given = fields.text_or_none("date");
    let paper = ReadPaper {
        slug: slug_of(&fields.text("paper_url"), &title),
        abstract_text: fields.text("abstract"),
        authors: Value::from(fields.texts("authors")).to_string(),
        date: given.filter(|d| date::valid(d).is_some()),
        arxiv: fields.text_or_none("arxiv_id").map(|id| without_version(&id)),
        url: fields.text_or_none("url_abs").filter(|u| !u.is_empty()),
        pdf: fields.text_or_none("url_pdf").filter(|u| !u.is_empty()),
        proceeding: fields.text_or_none("proceeding").filter(|p| !p.is_empty()),
        details: fields.left(),
        title,
    };
    context.report.borrow_mut().found("papers", 1);
    if paper.date.is_none() {
        context.report.borrow_mut().odd("paper", "has no date");
    }
    let id = paper.put(context)?;
    for name in tasks {
        let task = context.state.task(context.sql, &name, context.archive)?;
        context.sql.add_later(&TASK, params![task, id])?;
    }
    for method in methods {
        let Some(name) = method.get("name").and_then(Value::as_str) else { continue };
        let method = context.state.method(context.sql, name, context.archive)?;
        context.sql.add_later(&METHOD, params![method, id])?;
    }
    Ok(())
}

/// `1902.00751` of `1902.00751v2`.
fn without_version(id: &str) -> String {
    let id = id.trim();
    match id.rsplit_once('v') {
        Some((number, version))
            if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) =>
        {
            number.into()
        }
        _ => id.into(),
    }
}

impl ReadPaper {
    /// Its number; it is made, or takes the place of an entry that only a result's link had made.
    fn put(&self, context: &mut Context<'_>) -> Result<i64, Error> {
        let (sql, known) = (context.sql, &context.state.papers);
        let is_stub = known.stubs.contains(&key(&self.title))
            || self.arxiv.as_ref().is_some_and(|id| known.stubs.contains(id));
        if !is_stub && !known.slugs.contains(&self.slug) {
            return self.add(context);
        }
        let same = sql.first("SELECT id, stub, archive IS NOT DISTINCT FROM ?2, title = ?3 AND abstract = ?4 AND authors = ?5 AND date IS NOT DISTINCT FROM coalesce(?6, date) AND details = ?7
                   AND url_pdf IS NOT DISTINCT FROM ?8 AND proceeding IS NOT DISTINCT FROM ?9
                   AND url_abs IS NOT DISTINCT FROM coalesce(?10, url_abs)
                   AND arxiv_id IS NOT DISTINCT FROM coalesce(?11, arxiv_id)
                 FROM papers WHERE slug = ?1", params![
                    self.slug,
                    context.archive,
                    self.title,
                    self.abstract_text,
                    self.authors,
                    self.date,
                    self.details,
                    self.pdf,
                    self.proceeding,
                    self.url,
                    self.arxiv
                ], |r| Ok((r.get::<i64>(0)?, [r.get::<bool>(1)?, r.get(2)?, r.get(3)?])))?;
        match same {
            // A newer file of the same archive says something else.
            Some((id, [false, true, false])) => return self.fill(context, id),
            Some((id, [false, ..])) => return Ok(id),
            Some((id, [true, ..])) => return self.fill(context, id),
            None => {}
        }
        if let Some(id) = self.stub(context)? {
            return self.fill(context, id);
        }
        self.add(context)
    }

    /// A paper that is not there.
    fn add(&self, context: &mut Context<'_>) -> Result<i64, Error> {
        let id = context.state.papers.next;
        context.state.papers.next += 1;
        context.state.papers.slugs.insert(self.slug.clone());
        context.sql.add_later(&PAPER, &self.values(id, &key(&self.title), context.archive))?;
        let texts = [&self.title, &self.abstract_text, &self.authors].map(String::as_str);
        fulltext::add_paper(context.sql, &mut context.state.lexemes, id, texts)?;
        context.report.borrow_mut().added("papers", 1);
        Ok(id)
    }

    /// What a row holds from its number to its archive, with the title as it is found by.
    fn values<'v>(&'v self, id: i64, key: &'v str, archive: i64) -> [Cell<'v>; 14] {
        let source = self.date.as_ref().map(|_| Bind::bind(&date::DateSource::Given));
        [
            id.into(),
            self.slug.bind(),
            self.title.bind(),
            key.bind(),
            self.abstract_text.bind(),
            self.authors.bind(),
            self.date.bind(),
            source.unwrap_or(Cell::Null),
            self.arxiv.bind(),
            self.url.bind(),
            self.pdf.bind(),
            self.proceeding.bind(),
            self.details.bind(),
            archive.into(),
        ]
    }

    /// The entry of this paper that a result's link made.
    fn stub(&self, context: &Context<'_>) -> Result<Option<i64>, Error> {
        let by_number =
            "SELECT id FROM papers WHERE stub = 1 AND arxiv_id = ?1 ORDER BY id LIMIT 1";
        let by_title =
            "SELECT id FROM papers WHERE stub = 1 AND title_key = ?1 ORDER BY id LIMIT 1";
        let sql = context.sql;
        match sql.first(by_number, params![self.arxiv], |r| r.get(0))? {
            Some(id) => Ok(Some(id)),
            None => Ok(sql.first(by_title, params![key(&self.title)], |r| r.get(0))?),
        }
    }

    fn fill(&self, context: &Context<'_>, id: i64) -> Result<i64, Error> {
        let sql = context.sql;
        // The words of what was there leave the index, and what an encoder made of them goes too.
        fulltext::forget_paper(sql, id)?;
        sql.execute("DELETE FROM paper_vectors WHERE paper = ?1", params![id])?;
        sql.execute("UPDATE papers SET slug = ?2, title = ?3, title_key = ?4, abstract = ?5, authors = ?6,
               date = coalesce(?7, date), date_source = coalesce(?8, date_source), arxiv_id = coalesce(?9, arxiv_id),
               url_abs = coalesce(?10, url_abs), url_pdf = ?11, proceeding = ?12, details = ?13, archive = ?14, stub = 0
             WHERE id = ?1", &self.values(id, &key(&self.title), context.archive))?;
        self.index(context, id)?;
        context.report.borrow_mut().added("papers", 1);
        Ok(id)
    }

    fn index(&self, context: &Context<'_>, id: i64) -> Result<(), Error> {
        fulltext::put_paper(context.sql, id, [&self.title, &self.abstract_text, &self.authors])
    }
}
