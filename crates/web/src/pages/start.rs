//! The start page.

use budwood_board::Board;
use budwood_board::query::{self, Area, Counts, RecentResult};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::Page;
use crate::parts::leaderboards::{By, leaderboards};
use crate::parts::link::{self, To, address};
use crate::parts::number::{count, of, short};
use crate::parts::{mark, time};
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/", show)];

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let start = query::start(board)?;
    let about = "Results of machine learning by task and data set, with rows that the board has run itself.";
    let page = Page { about, sources: &start.sources, ..Page::default() };
    Ok(page.reply(
        ask,
        html! {
            div.hero {
                h1 { "Which method is best, and has anyone checked?" }
                p.lead {
                    "Tasks, data sets and results, each with its paper and code. A row here can carry the adapter that "
                    "produced it: a small file of numbers. The board runs it and compares what it gets with the claim."
                }
                (counts(&start.counts))
            }
            section aria-labelledby="notable" {
                h2 #notable { "Notable benchmarks" }
                (leaderboards(&start.notable, By::Both, "Notable benchmarks"))
            }
            div.two {
                section aria-labelledby="recent" {
                    h2 #recent { "Recent results" }
                    @if start.recent.is_empty() {
                        p.empty { "Nothing yet. " a href="/submit" { "Submit the first result" } "." }
                    }
                    ul.entries { @for result in &start.recent { (recent(result)) } }
                }
                section aria-labelledby="states" {
                    h2 #states { "What the marks mean" }
                    (mark::legend())
                    p { "Only re-evaluated rows hold the state of the art; every leaderboard has a switch that lets claims count too. "
                        a href="/about" { "How a row is checked" } }
                }
            }
            section aria-labelledby="areas" {
                h2 #areas { "Areas" }
                (areas(&start.areas))
            }
        },
    ))
}

fn counts(counts: &Counts) -> Markup {
    let all = [
        ("/tasks", counts.leaderboards, "leaderboards"),
        ("/tasks", counts.results, "results"),
        ("/about", counts.verified, "re-evaluated"),
        ("/papers", counts.papers, "papers"),
        ("/datasets", counts.datasets, "data sets"),
        ("/methods", counts.methods, "methods"),
    ];
    html! {
        ul.counts { @for (path, n, what) in all {
            li { a href=(path) { b { (count(n)) } " " (what) } }
        } }
    }
}

fn recent(result: &RecentResult) -> Markup {
    html! {
        li {
            a.title href=(format!("/result/{}", result.result)) { (short(&result.model)) } " " (mark::state(result.state))
            p.facts {
                span { a href=(link::leaderboard(&result.leaderboard)) { (result.task.name) " on " (result.dataset.name) } }
                span { (time::day(result.at)) }
            }
        }
    }
}

/// Areas as cards with their largest tasks.
pub(crate) fn areas(areas: &[Area]) -> Markup {
    html! {
        ul.cards { @for area in areas {
            li {
                h3 { a href=(address(To::Area, &area.slug)) { (area.name) } }
                p.facts { span { (of(area.tasks, "task")) } span { (of(area.leaderboards, "leaderboard")) } }
                ul.plain { @for task in &area.top {
                    li {
                        a href=(address(To::Task, &task.slug)) { (task.name) }
                        @if task.leaderboards > 0 { " " small { (count(task.leaderboards)) } }
                    }
                } }
            }
        } }
    }
}
