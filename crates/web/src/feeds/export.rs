//! A leaderboard or a result to take away.

use budwood_board::query::{self, Filter, Leaderboard, Row};
use budwood_board::{Board, State, export};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;

/// A leaderboard as CSV or in the archive's format, by the ending of its name.
pub(crate) fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let name = ask.param("name");
    let (slug, ending) = name.rsplit_once('.').ok_or_else(|| Fault::missing("such file"))?;
    let reply = match ending {
        "csv" => {
            let mut text = Vec::new();
            export::csv(board, Some(slug), &mut text)?;
            Reply::new("text/csv; charset=utf-8", text)
        }
        "json" => {
            let filter = Filter { claims: true, ..Filter::default() };
            Reply::json(&[archive(&query::leaderboard(board, slug, &filter)?)])
        }
        _ => return Err(Fault::missing("such file")),
    };
    Ok(reply.download(name))
}

/// The `model-index` of a result's model card.
pub(crate) fn model_index(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let id = ask.number("id")?;
    let text = export::model_index(board, id)?;
    Ok(Reply::new("text/yaml; charset=utf-8", text).download(&format!("result-{id}.yaml")))
}

/// One task with one data set, as `evaluation-tables.json` has it.
fn archive(found: &Leaderboard) -> Value {
    let areas: Vec<&str> = found.areas.iter().map(|a| a.name.as_str()).collect();
    let metrics: Vec<&str> =
        found.metrics.iter().filter(|m| m.declared).map(|m| m.name.as_str()).collect();
    let rows = found.rows.iter().filter(|r| r.state != State::Retracted).map(|r| row(found, r));
    json!({
        "task": found.item.task.name,
        "description": "",
        "categories": areas,
        "synonyms": [],
        "source_link": null,
        "subtasks": [],
        "datasets": [{
            "dataset": found.item.dataset.name,
            "description": found.description,
            "dataset_links": [],
            "dataset_citations": [],
            "subdatasets": [],
            "sota": { "metrics": metrics, "rows": rows.collect::<Vec<_>>() },
        }],
    })
}

fn row(found: &Leaderboard, row: &Row) -> Value {
    let metrics = found.metrics.iter().zip(&row.scores);
    let metrics = metrics.filter_map(|(m, s)| Some((m.name.clone(), json!(s.as_ref()?.raw))));
    json!({
        "model_name": row.model,
        "paper_title": row.paper_title,
        "paper_url": row.paper_url,
        "paper_date": row.date.as_ref().filter(|d| d.len() == 10),
        "code_links": row.code,
        "model_links": row.model_links,
        "metrics": metrics.collect::<serde_json::Map<_, _>>(),
        "uses_additional_data": row.additional_data.unwrap_or(false),
    })
}
