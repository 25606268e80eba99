//! YAML of the Hugging Face hub: `model-index` of a model card, and its successor `.eval_results`.

use serde_json::{Value, json};

use crate::query::{ResultPage, result};
use crate::text::slug;
use crate::{Board, Error};

/// The value that counts: measured, else claimed, else as it was written.
fn value(score: &crate::query::Score) -> Value {
    score.counted().map_or_else(|| json!(score.raw), |v| json!(v))
}

/// The kind of task in the hub's words, where it has one.
fn kind(task: &str) -> String {
    match task {
        "Sentiment Analysis"
        | "Linguistic Acceptability"
        | "Paraphrase Identification"
        | "Natural Language Inference"
        | "Text Regression"
        | "Multi-Label Text Classification" => "text-classification".into(),
        other => slug(other),
    }
}

/// A result's address: where it was published, else its paper.
fn source(page: &ResultPage) -> Option<&str> {
    page.source_url.as_deref().or(Some(page.row.paper_url.as_str())).filter(|u| !u.is_empty())
}

/// The `model-index` of a result's model card. Every text is a JSON string, which YAML reads too.
///
/// # Errors
/// If there is no such result.
pub fn model_index(board: &Board, id: i64) -> Result<String, Error> {
    let page = result(board, id)?;
    let (item, row) = (&page.leaderboard, &page.row);
    let split = page.record.as_ref().and_then(|r| r["dataset"]["split"].as_str());
    let mut out = format!(
        "model-index:\n- name: {}\n  results:\n  - task:\n      type: {}\n      name: {}\n    dataset:\n      type: {}\n      name: {}\n",
        json!(row.model),
        json!(kind(&item.task.name)),
        json!(item.task.name),
        json!(item.dataset.slug),
        json!(item.dataset.name)
    );
    if let Some(split) = split {
        out += &format!("      split: {}\n", json!(split));
    }
    if let Some(digest) = &page.data_sha256 {
        out += &format!("      revision: {}\n", json!(digest));
    }
    out += "    metrics:\n";
    for (metric, score) in page.metrics.iter().zip(&row.scores) {
        if let Some(score) = score {
            out += &format!(
                "    - type: {}\n      name: {}\n      value: {}\n",
                json!(slug(&metric.name).replace('-', "_")),
                json!(metric.name),
                value(score)
            );
        }
    }
    if let Some(url) = source(&page) {
        out += &format!("    source:\n      url: {}\n", json!(url));
    }
    Ok(out)
}

/// A result as entries of `.eval_results/*.yaml`, one for each metric.
///
/// # Errors
/// If there is no such result.
pub fn eval_results(board: &Board, id: i64) -> Result<String, Error> {
    let page = result(board, id)?;
    let mut out = String::new();
    for (metric, score) in page.metrics.iter().zip(&page.row.scores) {
        let Some(score) = score else { continue };
        let Some(value) = score.counted() else { continue };
        out += &format!(
            "- dataset:\n    id: {}\n    task_id: {}\n  value: {value}\n",
            json!(page.leaderboard.dataset.slug),
            json!(slug(&metric.name))
        );
        if let Some(date) = &page.row.date {
            out += &format!("  date: {}\n", json!(date));
        }
        if let Some(url) = source(&page) {
            out += &format!("  source:\n    url: {}\n", json!(url));
        }
        let notes = [page.row.setting.as_str(), score.state.name()];
        let notes = notes.into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join("; ");
        out += &format!("  notes: {}\n", json!(notes));
    }
    Ok(out)
}
