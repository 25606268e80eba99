//! `links-between-papers-and-code.json`: repositories of papers.

use budwood_database::{Addition, params};
use serde_json::Value;

use super::context::{Context, Kind, Links, Mentions, at, text};
use super::fields::Fields;
use crate::db::next_id;
use crate::summary::CountsOf;
use crate::{Error, summary};

pub(super) const KIND: Kind = Kind {
    name: "links-between-papers-and-code",
    fits: |v| v.get("repo_url").is_some(),
    element,
    again: false,
    begin,
    end: |_| Ok(()),
    finish: |context| Ok(summary::refresh_counts(context.sql, &[CountsOf::Papers])?),
};

static LINK: Addition = Addition {
    table: "code_links",
    is_referred_to: false,
    one: "INSERT INTO code_links
            (id, paper, url, official, in_paper, in_repository, framework, archive)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    many: None,
};

fn begin(context: &mut Context<'_>, batch: &[Value]) -> Result<(), Error> {
    let sql = context.sql;
    let keys = |link: &Value| {
        let [page, title, arxiv, url] = PAPER.map(|name| text(link, name));
        keys(page, title, arxiv, url)
    };
    let mentions = Mentions::of(sql, batch.iter().map(keys).collect())?;
    context.state.links = Links { next: next_id(sql, "code_links")?, ..Links::default() };
    context.state.links.look_up(sql, mentions.papers())?;
    context.state.mentions = mentions;
    Ok(())
}

/// Fields that say which paper a link is of: its page in the archive, title, arXiv number, address.
const PAPER: [&str; 4] = ["paper_url", "paper_title", "paper_arxiv_id", "paper_url_abs"];

fn keys(page: &str, title: &str, arxiv: &str, url: &str) -> Vec<(&'static str, String)> {
    match arxiv {
        "" => at(page, title, url),
        id => at(page, title, &format!("https://arxiv.org/abs/{id}")),
    }
}

fn element(context: &mut Context<'_>, element: Value) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("link", element, context.report) else { return Ok(()) };
    context.report.borrow_mut().found("code links", 1);
    let url = fields.text("repo_url");
    if url.is_empty() {
        context.report.borrow_mut().left_out("link without a repository");
        return Ok(());
    }
    let [page, title, arxiv, abs] = PAPER.map(|name| fields.text(name));
    let keys = keys(&page, &title, &arxiv, &abs);
    let Some(paper) = context.state.mentions.find(context.sql, keys)? else {
        context.report.borrow_mut().left_out("link of a paper that is not here");
        return Ok(());
    };
    let official = fields.flag("is_official").unwrap_or(false);
    let in_paper = fields.flag("mentioned_in_paper").unwrap_or(false);
    let in_repository = fields.flag("mentioned_in_github").unwrap_or(false);
    let framework = fields.text("framework");
    let framework = if framework == "none" { String::new() } else { framework };
    let links = &mut context.state.links;
    links.look_up(context.sql, [paper].into())?;
    if !links.there.insert((paper, url.clone())) {
        context.report.borrow_mut().added("code links", 0);
        return Ok(());
    }
    let id = links.next;
    links.next += 1;
    context.report.borrow_mut().added("code links", 1);
    let values =
        params![id, paper, url, official, in_paper, in_repository, framework, context.archive];
    Ok(context.sql.add_later(&LINK, values)?)
}
