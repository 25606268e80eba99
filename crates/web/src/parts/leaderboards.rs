//! A table of leaderboards.

use budwood_board::query::{Best, LeaderboardItem};
use maud::{Markup, html};

use super::link::{self, To, address};
use super::number::{count, short, value};
use super::{mark, sparkline::sparkline};

/// What a row of the table is called by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// On a task's page: the data set.
    Dataset,
    /// On a data set's page: the task.
    Task,
    /// Elsewhere: both.
    Both,
}

/// Leaderboards with trend and best model. The best re-evaluated one stands first, where there is
/// one.
pub(crate) fn leaderboards(items: &[LeaderboardItem], by: By, caption: &str) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table {
                caption.hidden { (caption) }
                thead { tr {
                    th scope="col" { "Trend" }
                    th scope="col" { @match by { By::Dataset => "Data set", By::Task => "Task", By::Both => "Leaderboard" } }
                    th scope="col" { "Best model" }
                    th.number scope="col" { "Best value" }
                    th scope="col" { "Paper" }
                    th scope="col" { "Code" }
                    th.number scope="col" { "Results" }
                } }
                tbody { @for item in items { (row(item, by)) } }
            }
        }
    }
}

fn row(item: &LeaderboardItem, by: By) -> Markup {
    let best = item.best_verified.as_ref().or(item.best.as_ref());
    html! {
        tr {
            td { (sparkline(&item.trend, item.direction)) }
            th scope="row" {
                a href=(link::leaderboard(&item.slug)) {
                    @match by {
                        By::Dataset => (item.dataset.name),
                        By::Task => (item.task.name),
                        By::Both => { (item.task.name) " on " (item.dataset.name) }
                    }
                }
            }
            td { @if let Some(best) = best { (model(best)) } }
            td.number {
                @if let Some(text) = best.and_then(best_value) { (text) }
                @if let Some(metric) = &item.metric { small { (metric) } }
            }
            td.clip {
                @if let Some(paper) = best.and_then(|b| b.paper.as_ref()) {
                    a href=(address(To::Paper, &paper.slug)) title=(paper.name) { (paper.name) }
                }
            }
            td { @if let Some(code) = best.and_then(|b| b.code.as_ref()) { (link::out(&code.url, "Code")) } }
            td.number {
                (count(item.results))
                @if item.verified > 0 { small { (count(item.verified)) " re-evaluated" } }
            }
        }
    }
}

fn model(best: &Best) -> Markup {
    html! { a href=(format!("/result/{}", best.result)) { (short(&best.model)) } " " (mark::state(best.state)) }
}

fn best_value(best: &Best) -> Option<String> {
    best.value.map(value).or_else(|| best.raw.clone())
}
