//! `datasets.json`: data sets with their terms, loaders and tasks.

use budwood_database::params;
use serde_json::Value;

use super::context::{Context, Kind, look_up_papers, mention};
use super::fields::Fields;
use crate::text::slug_of_url;
use crate::{Error, entities, summary};

pub(super) const KIND: Kind = Kind {
    name: "datasets",
    fits: |v| {
        v.get("name").is_some() && (v.get("variants").is_some() || v.get("data_loaders").is_some())
    },
    element,
    again: false,
    begin: look_up_papers,
    end: |_| Ok(()),
    finish: |context| Ok(summary::refresh_counts(context.sql, &[])?),
};

fn element(context: &mut Context<'_>, element: Value) -> Result<(), Error> {
    let Some(mut fields) = Fields::of("data set", element, context.report) else { return Ok(()) };
    context.report.borrow_mut().found("datasets", 1);
    let name = fields.text("name");
    if name.trim().is_empty() {
        context.report.borrow_mut().left_out("data set without a name");
        return Ok(());
    }
    let (url, paper) = (fields.text("url"), fields.rest.remove("paper").unwrap_or_default());
    let used = fields.number("num_papers").unwrap_or(0) > 0;
    let known = entities::has_dataset(context.sql, &name)?;
    if context.options.gate && !known && !used && paper.is_null() {
        context.report.borrow_mut().left_out("data set that no table and no paper uses");
        return Ok(());
    }
    let (id, new) = entities::dataset(context.sql, &name, None, Some(context.archive))?;
    if new {
        context.report.borrow_mut().added("datasets", 1);
    }
    // Another file may have named it first; it is described, and exported, here.
    context.sql.execute(
        "UPDATE datasets SET archive = ?2 WHERE id = ?1 AND archive IS NOT NULL",
        params![id, context.archive],
    )?;
    if let Some(slug) = slug_of_url(&url, "dataset") {
        context.sql.execute(
            "UPDATE datasets SET slug = ?2 WHERE id = ?1 AND archive = ?3
               AND NOT EXISTS (SELECT 1 FROM datasets WHERE slug = ?2)",
            params![id, slug, context.archive],
        )?;
    }
    let paper = context.state.mentions.find(context.sql, mention(&paper))?;
    let tasks = fields.list("tasks");
    let texts: [String; 5] =
        ["full_name", "description", "homepage", "license_name", "license_url"]
            .map(|n| fields.text(n));
    let introduced = fields.text_or_none("introduced_date");
    context.sql.execute("UPDATE datasets SET full_name = ?2, description = CASE description WHEN '' THEN ?3 ELSE description END,
               homepage = ?4, licence_name = ?5, licence_url = ?6, introduced = ?7, paper = coalesce(paper, ?8),
               details = ?9, listed = 1
             WHERE id = ?1", params![
            id,
            texts[0],
            texts[1],
            texts[2],
            texts[3],
            texts[4],
            introduced,
            paper,
            fields.left()
        ])?;
    for task in tasks {
        let Some(name) = task.get("task").and_then(Value::as_str) else { continue };
        let task = context.state.task(context.sql, name, context.archive)?;
        context.sql.execute(
            "INSERT INTO dataset_tasks (dataset, task) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![id, task],
        )?;
    }
    Ok(())
}
