//! `methods.json`: methods with their collections.

use budwood_database::params;
use serde_json::Value;

use super::context::{Context, Kind, look_up_papers, mention};
use super::fields::Fields;
use crate::text::slug_of_url;
use crate::{Error, entities, summary};

pub(super) const KIND: Kind = Kind {
    name: "methods",
    fits: |v| v.get("name").is_some() && v.get("collections").is_some(),
    element,
    again: false,
    begin: look_up_papers,
    end: |_| Ok(()),
    finish: |context| Ok(summary::refresh_counts(context.sql, &[])?),
};

fn element(context: &mut Context<'_>, element: Value) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("method", element, context.report) else { return Ok(()) };
    context.report.borrow_mut().found("methods", 1);
    let name = fields.text("name");
    if name.trim().is_empty() {
        context.report.borrow_mut().left_out("method without a name");
        return Ok(());
    }
    let (url, source_url) = (fields.text("url"), fields.text_or_none("source_url"));
    let paper = fields.rest.remove("paper").unwrap_or_default();
    let known = entities::has_method(context.sql, &name)?;
    let has_source = source_url.as_ref().is_some_and(|u| !u.is_empty());
    if context.options.gate && !known && !has_source && paper.is_null() {
        context.report.borrow_mut().left_out("method that no paper uses and that has no source");
        return Ok(());
    }
    let (id, new) = entities::method(context.sql, &name, Some(context.archive))?;
    if new {
        context.report.borrow_mut().added("methods", 1);
    }
    // Another file may have named it first; it is described, and exported, here.
    context.sql.execute(
        "UPDATE methods SET archive = ?2 WHERE id = ?1 AND archive IS NOT NULL",
        params![id, context.archive],
    )?;
    if let Some(slug) = slug_of_url(&url, "method") {
        context.sql.execute(
            "UPDATE methods SET slug = ?2 WHERE id = ?1 AND archive = ?3
               AND NOT EXISTS (SELECT 1 FROM methods WHERE slug = ?2)",
            params![id, slug, context.archive],
        )?;
    }
    let paper = context.state.mentions.find(context.sql, mention(&paper))?;
    let (full_name, description) = (fields.text("full_name"), fields.text("description"));
    let year = fields.number("introduced_year");
    let (source_title, code) =
        (fields.text_or_none("source_title"), fields.text_or_none("code_snippet_url"));
    let collections = fields.list("collections");
    fields.rest.remove("num_papers");
    // What the board's own entries say is not overwritten.
    context.sql.execute("UPDATE methods SET full_name = CASE full_name WHEN '' THEN ?2 ELSE full_name END,
               description = CASE description WHEN '' THEN ?3 ELSE description END, year = coalesce(year, ?4),
               paper = coalesce(paper, ?5), source_url = coalesce(source_url, ?6),
               source_title = coalesce(source_title, ?7), code_url = coalesce(code_url, ?8), details = ?9
             WHERE id = ?1", params![
            id,
            full_name,
            description,
            year,
            paper,
            source_url,
            source_title,
            code,
            fields.left()
        ])?;
    for collection in collections {
        let text = |name: &str| collection.get(name).and_then(Value::as_str).unwrap_or_default();
        context.sql.execute("INSERT INTO method_collections (method, area, collection, area_id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", params![id, text("area"), text("collection"), text("area_id")])?;
    }
    Ok(())
}
