//! Tasks: by area, and one.

use budwood_board::Board;
use budwood_board::query::{self, TaskItem};
use maud::{Markup, html};

use super::start::areas;
use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::leaderboards::{By, leaderboards};
use crate::parts::link::{To, address, chips};
use crate::parts::markdown::{markdown, plain};
use crate::parts::number::{count, of};
use crate::parts::pager::pager;
use crate::parts::papers::papers;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::page("/tasks", list).named("Tasks"),
    Route::page("/sota", list),
    Route::page("/area/{slug}", area),
    Route::page("/task/{slug}", show),
];

const TASKS: u64 = 100;
const PAPERS: u64 = 20;

/// All areas.
fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = query::areas(board, 20)?;
    let page = Page { title: "Tasks", about: "All tasks by area.", part: "/tasks", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            h1 { "Tasks" }
            p.lead { "By area; those with most results first." }
            (areas(&found))
        },
    ))
}

/// An area with all its tasks.
fn area(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let area = query::area(board, ask.param("slug"), ask.part(TASKS))?;
    let page = Page { title: &area.name, about: "", part: "/tasks", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            (trail(&[("/tasks".into(), "Tasks")]))
            h1 { (area.name) }
            p.lead { (of(area.tasks.count, "task")) "." }
            (tasks(&area.tasks.items))
            (pager(ask, area.tasks.count, TASKS))
        },
    ))
}

/// Tasks with their parts and numbers.
fn tasks(items: &[TaskItem]) -> Markup {
    html! {
        div.scroll role="region" aria-label="Tasks" tabindex="0" { table {
            thead { tr {
                th scope="col" { "Task" } th scope="col" { "Parts" }
                th.number scope="col" { "Leaderboards" } th.number scope="col" { "Results" } th.number scope="col" { "Papers" }
            } }
            tbody { @for task in items { tr {
                th scope="row" { a href=(address(To::Task, &task.slug)) { (task.name) } }
                td.wide { @for (i, part) in task.subtasks.iter().enumerate() {
                    @if i > 0 { ", " } a href=(address(To::Task, &part.slug)) { (part.name) }
                } }
                td.number { (count(task.leaderboards)) } td.number { (count(task.results)) } td.number { (count(task.papers)) }
            } } }
        } }
    }
}

/// One task.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let task = query::task(board, ask.param("slug"), ask.part(PAPERS))?;
    let mut sources: Vec<_> = task
        .source
        .iter()
        .chain(task.leaderboards.iter().filter_map(|l| l.source.as_ref()))
        .cloned()
        .collect();
    sources.sort();
    sources.dedup();
    let about = plain(&task.description, 200);
    let page = Page { title: &task.name, about: &about, part: "/tasks", sources: &sources };
    let mut steps = vec![("/tasks".to_owned(), "Tasks")];
    steps.extend(task.areas.first().map(|a| (address(To::Area, &a.slug), a.name.as_str())));
    steps.extend(task.parents.first().map(|p| (address(To::Task, &p.slug), p.name.as_str())));
    Ok(page.reply(
        ask,
        html! {
            (trail(&steps))
            h1 { (task.name) }
            div.prose { (markdown(&task.description)) }
            section aria-labelledby="benchmarks" {
                h2 #benchmarks { "Benchmarks" }
                @if task.leaderboards.is_empty() {
                    p.empty { "No results yet. " a href="/submit" { "Submit one" } "." }
                } @else {
                    (leaderboards(&task.leaderboards, By::Dataset, "Benchmarks of this task"))
                }
            }
            @if !task.subtasks.is_empty() { section aria-labelledby="parts" {
                h2 #parts { "Parts of this task" }
                (tasks(&task.subtasks))
            } }
            @if !task.datasets.is_empty() { section aria-labelledby="datasets" {
                h2 #datasets { "Data sets" }
                (chips(To::Dataset, &task.datasets))
            } }
            @if task.papers.count > 0 { section aria-labelledby="papers" {
                h2 #papers { (of(task.papers.count, "paper")) }
                (papers(&task.papers.items))
                (pager(ask, task.papers.count, PAPERS))
            } }
        },
    ))
}
