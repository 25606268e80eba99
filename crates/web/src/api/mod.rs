//! The interface for programs, after the archive's client: lists come as `count`, `next`,
//! `previous` and `results`; entries have the client's fields, and what this board knows beside
//! them.

mod catalogue;
pub(crate) mod endpoint;
mod evaluations;
mod list;
pub(crate) mod openapi;
mod papers;
pub(crate) mod write;

use crate::route::Work;
use endpoint::{Endpoint, list, one};

/// What programs can read, but for the list and the description of it (`openapi`).
const READ: &[Endpoint] = &[
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
        path: "/search",
        work: Work::Search(papers::search),
        summary: "Tasks, data sets, methods, models and papers by their words",
        query: &["q", "kind"],
    },
];
