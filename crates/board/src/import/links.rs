//! `links-between-papers-and-code.json`: repositories of papers.

use budwood_database::params;
use serde_json::Value;

use super::context::{Context, Kind, paper_at};
use super::fields::Fields;
use crate::{Error, entities, summary};

pub(super) const KIND: Kind = Kind {
    name: "links-between-papers-and-code",
    fits: |v| v.get("repo_url").is_some(),
    element,
    again: false,
    begin: |_, _| Ok(()),
    finish: |context| Ok(summary::refresh_counts(context.sql)?),
};

fn element(context: &mut Context<'_>, element: Value) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("link", element, context.report) else { return Ok(()) };
    context.report.borrow_mut().found("code links", 1);
    let url = fields.text("repo_url");
    if url.is_empty() {
        context.report.borrow_mut().left_out("link without a repository");
        return Ok(());
    }
    let Some(paper) = paper(context, &mut fields)? else {
        context.report.borrow_mut().left_out("link of a paper that is not here");
        return Ok(());
    };
    let official = fields.flag("is_official").unwrap_or(false);
    let in_paper = fields.flag("mentioned_in_paper").unwrap_or(false);
    let in_repository = fields.flag("mentioned_in_github").unwrap_or(false);
    let framework = fields.text("framework");
    let framework = if framework == "none" { String::new() } else { framework };
    let added = context.sql.execute(
        "INSERT INTO code_links (paper, url, official, in_paper, in_repository, framework, archive)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![paper, url, official, in_paper, in_repository, framework, context.archive],
    )?;
    context.report.borrow_mut().added("code links", added as usize);
    Ok(())
}

fn paper(context: &Context<'_>, fields: &mut Fields<'_>) -> Result<Option<i64>, Error> {
    let (url, title, arxiv, abs) = (
        fields.text("paper_url"),
        fields.text("paper_title"),
        fields.text("paper_arxiv_id"),
        fields.text("paper_url_abs"),
    );
    if let Some(found) = paper_at(context.sql, &url)? {
        return Ok(Some(found));
    }
    let abs = if arxiv.is_empty() { abs } else { format!("https://arxiv.org/abs/{arxiv}") };
    entities::find_paper(context.sql, &title, &abs)
}
