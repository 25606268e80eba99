//! Leaderboards and results.

use budwood_board::Board;
use budwood_board::direction::Direction;
use budwood_board::query::{self, Filter, Leaderboard, LeaderboardItem, Metric, Row};
use serde_json::{Map, Value, json};

use super::list::{page, part, whole, with};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::pages::sota;
use crate::reply::Reply;

pub(super) fn entry(item: &LeaderboardItem) -> Value {
    with(item, json!({ "id": item.slug, "task": item.task.slug, "dataset": item.dataset.slug }))
}

pub(super) fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(page(ask, &query::evaluations(board, part(ask))?, entry))
}

pub(super) fn one(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = query::leaderboard(board, ask.param("id"), &Filter::default())?;
    Ok(Reply::json(&with(
        &found.item,
        json!({
            "id": found.item.slug, "task": found.item.task.slug, "dataset": found.item.dataset.slug,
            "description": found.description,
        }),
    )))
}

pub(super) fn metrics(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = query::leaderboard(board, ask.param("id"), &Filter::default())?;
    let entry =
        |m: &Metric| with(m, json!({ "id": m.name, "is_loss": m.direction == Direction::Lower }));
    Ok(whole(ask, &found.metrics, entry))
}

pub(super) fn results(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let (found, _) = sota::read(board, ask, ask.param("id"))?;
    Ok(whole(ask, &found.rows, |row| result_entry(&found, row)))
}

fn result_entry(found: &Leaderboard, row: &Row) -> Value {
    let scores = found.metrics.iter().zip(&row.scores);
    let metrics: Map<_, _> =
        scores.filter_map(|(m, s)| Some((m.name.clone(), json!(s.as_ref()?.raw)))).collect();
    with(
        row,
        json!({
            "id": row.result,
            "best_rank": row.rank,
            "best_metric": found.metrics.get(found.chosen).map(|m| &m.name),
            "metrics": metrics,
            "methodology": row.model,
            "uses_additional_data": row.additional_data.unwrap_or(false),
            "paper": row.paper.as_ref().map(|p| &p.slug),
            "evaluated_on": row.date,
        }),
    )
}

pub(super) fn result(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let result = query::result(board, ask.number("id")?)?;
    Ok(Reply::json(&with(&result, json!({ "id": result.row.result }))))
}
