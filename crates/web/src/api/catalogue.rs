//! Areas, tasks, data sets, methods, the log.

use budwood_board::Board;
use budwood_board::query::{self, DatasetItem, LogFilter, MethodItem, Page, Part, TaskItem};
use serde_json::{Value, json};

use super::evaluations::entry as evaluation;
use super::list::{named, page, part, whole, with};
use super::papers::entry as paper;
use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;

const NONE: Part = Part { offset: 0, limit: 0 };

fn task_entry(task: &TaskItem) -> Value {
    with(task, json!({ "id": task.slug, "description": null }))
}

pub(super) fn areas(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let areas = query::areas(board, 0)?;
    Ok(whole(
        ask,
        &areas,
        |a| json!({ "id": a.slug, "name": a.name, "tasks": a.tasks, "leaderboards": a.leaderboards }),
    ))
}

pub(super) fn area_tasks(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(page(ask, &query::area(board, ask.param("id"), part(ask))?.tasks, task_entry))
}

pub(super) fn tasks(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(page(ask, &query::tasks(board, part(ask))?, task_entry))
}

pub(super) fn task(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let task = query::task(board, ask.param("id"), NONE)?;
    Ok(Reply::json(&json!({
        "id": task.slug, "name": task.name, "description": task.description, "areas": task.areas,
        "papers": task.papers.count, "evaluations": task.leaderboards.len(), "source": task.source,
    })))
}

pub(super) fn children(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::task(board, ask.param("id"), NONE)?.subtasks, task_entry))
}

pub(super) fn parents(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::task(board, ask.param("id"), NONE)?.parents, named))
}

pub(super) fn task_papers(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(page(ask, &query::task(board, ask.param("id"), part(ask))?.papers, paper))
}

pub(super) fn task_evaluations(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::task(board, ask.param("id"), NONE)?.leaderboards, evaluation))
}

pub(super) fn datasets(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let entry = |set: &DatasetItem| {
        with(set, json!({ "id": set.slug, "url": address(ask, "dataset", &set.slug) }))
    };
    Ok(page(ask, &query::datasets(board, part(ask))?, entry))
}

pub(super) fn dataset(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let set = query::dataset(board, ask.param("id"))?;
    Ok(Reply::json(&with(
        &set,
        json!({ "id": set.slug, "url": address(ask, "dataset", &set.slug) }),
    )))
}

pub(super) fn dataset_evaluations(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::dataset(board, ask.param("id"))?.leaderboards, evaluation))
}

pub(super) fn methods(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let entry =
        |m: &MethodItem| with(m, json!({ "id": m.slug, "description": m.summary, "paper": null }));
    Ok(page(ask, &query::methods(board, part(ask))?, entry))
}

pub(super) fn method(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let method = query::method(board, ask.param("id"), NONE)?;
    let paper = method.paper.as_ref().map(|p| p.slug.clone());
    Ok(Reply::json(&with(
        &method,
        json!({ "id": method.slug, "paper": paper, "papers": method.papers.count }),
    )))
}

pub(super) fn log(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let log: Page<_> = query::log(board, &LogFilter::default(), part(ask))?;
    Ok(page(ask, &log, |e| with(e, json!({}))))
}

fn address(ask: &Ask, kind: &str, slug: &str) -> String {
    ask.absolute(&format!("/{kind}/{}", crate::parts::link::segment(slug)))
}
