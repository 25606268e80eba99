//! The interface for programs, after the archive's client: lists come as `count`, `next`, `previous` and `results`;
//! entries have the client's fields, and what this board knows beside them.

mod catalogue;
mod evaluations;
mod openapi;
mod papers;
pub(crate) mod write;

use budwood_board::Board;
use budwood_board::query::{Page, Part};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::routes::{Cost, Show};

/// Something that programs can read.
pub(crate) struct Endpoint {
    /// Its path below `/api/v1`.
    pub(crate) path: &'static str,
    pub(crate) show: Show,
    /// What it gives, for the description of the interface.
    summary: &'static str,
    /// Values of the query that it knows.
    query: &'static [&'static str],
    pub(crate) cost: Cost,
}

const PAGED: &[&str] = &["page", "items_per_page"];

const fn list(path: &'static str, show: Show, summary: &'static str) -> Endpoint {
    Endpoint { path, show, summary, query: PAGED, cost: Cost::Page }
}

const fn one(path: &'static str, show: Show, summary: &'static str) -> Endpoint {
    Endpoint { path, show, summary, query: &[], cost: Cost::Page }
}

/// Everything that programs can read.
pub(crate) const READ: &[Endpoint] = &[
    one("", index, "What there is here"),
    one("/openapi.json", openapi::show, "This description"),
    list("/areas", catalogue::areas, "Areas"),
    list("/areas/{id}/tasks", catalogue::area_tasks, "Tasks of an area"),
    list("/tasks", catalogue::tasks, "Tasks"),
    one("/tasks/{id}", catalogue::task, "A task"),
    one("/tasks/{id}/children", catalogue::children, "Parts of a task"),
    one("/tasks/{id}/parents", catalogue::parents, "Tasks that a task is a part of"),
    list("/tasks/{id}/papers", catalogue::task_papers, "Papers of a task"),
    one("/tasks/{id}/evaluations", catalogue::task_evaluations, "Leaderboards of a task"),
    list("/datasets", catalogue::datasets, "Data sets"),
    one("/datasets/{id}", catalogue::dataset, "A data set"),
    one("/datasets/{id}/evaluations", catalogue::dataset_evaluations, "Leaderboards on a data set"),
    list("/methods", catalogue::methods, "Methods"),
    one("/methods/{id}", catalogue::method, "A method"),
    list("/papers", papers::list, "Papers, newest first"),
    one("/papers/{id}", papers::one, "A paper"),
    one("/papers/{id}/tasks", papers::tasks, "Tasks of a paper"),
    one("/papers/{id}/methods", papers::methods, "Methods of a paper"),
    one("/papers/{id}/datasets", papers::datasets, "Data sets that a paper introduced"),
    one("/papers/{id}/repositories", papers::repositories, "Code of a paper"),
    one("/papers/{id}/results", papers::results, "Results of a paper"),
    list("/evaluations", evaluations::list, "Leaderboards"),
    one("/evaluations/{id}", evaluations::one, "A leaderboard"),
    one(
        "/evaluations/{id}/metrics",
        evaluations::metrics,
        "Metrics of a leaderboard; the first is primary",
    ),
    Endpoint {
        query: &["page", "items_per_page", "rank", "metric", "state", "base", "method"],
        ..list(
            "/evaluations/{id}/results",
            evaluations::results,
            "Results of a leaderboard, the best first",
        )
    },
    one("/results/{id}", evaluations::result, "A result with its checks, classes and calibration"),
    list("/log", catalogue::log, "Changes, newest first"),
    Endpoint {
        query: &["q", "kind"],
        cost: Cost::Search,
        ..one(
            "/search",
            papers::search,
            "Tasks, data sets, methods, models and papers by their words",
        )
    },
];

pub(crate) const ROOT: &str = "/api/v1";

fn index(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let lists = READ.iter().filter(|e| !e.path.contains('{') && !e.path.is_empty());
    let link = |e: &Endpoint| {
        let end = if e.path.contains('.') { "" } else { "/" };
        (
            e.path.trim_start_matches('/').to_owned(),
            json!(ask.absolute(&format!("{ROOT}{}{end}", e.path))),
        )
    };
    Ok(Reply::json(&lists.map(link).collect::<serde_json::Map<_, _>>()))
}

/// The part of a list that a program asks for.
fn part(ask: &Ask) -> Part {
    let size = ask.get("items_per_page").and_then(|n| n.parse().ok()).unwrap_or(50);
    ask.part(u64::clamp(size, 1, 500))
}

/// A part of a list, with the addresses of those beside it.
fn page<T>(ask: &Ask, page: &Page<T>, entry: impl Fn(&T) -> Value) -> Reply {
    let size = part(ask).limit;
    let to = |n: u64| ask.absolute(&ask.with(&[("page", &n.to_string())]));
    let here = ask.page();
    Reply::json(&json!({
        "count": page.count,
        "next": (page.offset.saturating_add(size) < page.count).then(|| to(here + 1)),
        "previous": (here > 1).then(|| to(here - 1)),
        "results": page.items.iter().map(entry).collect::<Vec<_>>(),
    }))
}

/// A whole list.
fn whole<T>(ask: &Ask, items: &[T], entry: impl Fn(&T) -> Value) -> Reply {
    let asked = part(ask);
    let results: Vec<Value> =
        items.iter().skip(asked.offset as usize).take(asked.limit as usize).map(entry).collect();
    page(
        ask,
        &Page { count: items.len() as u64, offset: asked.offset, items: results },
        Value::clone,
    )
}

/// An entry with all fields of the board's own, and those of the client beside them.
fn with(own: &impl Serialize, more: Value) -> Value {
    let mut value = serde_json::to_value(own).unwrap_or_default();
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}
