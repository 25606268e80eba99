//! Two results side by side.

use budwood_board::query::{self, Comparison, ResultPage, Row};
use budwood_board::{Board, Error};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::link;
use crate::parts::mark;
use crate::parts::number::{bytes, count, of, parameters, score, short, value};
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/compare", show)];

const EXAMPLES: usize = 200;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let rows: Vec<i64> =
        ask.pairs().filter(|p| p.0 == "row").filter_map(|p| p.1.parse().ok()).collect();
    let &[first, second] = rows.as_slice() else {
        return Err(Fault::bad("Choose exactly two rows of a leaderboard to compare them."));
    };
    let (a, b) = (query::result(board, first)?, query::result(board, second)?);
    let examples = match query::compare(board, first, second, EXAMPLES) {
        Ok(comparison) => Ok(comparison),
        Err(Error::Refused(reason)) => Err(reason),
        Err(other) => return Err(other.into()),
    };
    let title = format!("{} and {}", short(&a.row.model), short(&b.row.model));
    let sources: Vec<_> = a.leaderboard.source.iter().cloned().collect();
    let page = Page { title: &title, part: "/tasks", sources: &sources, ..Page::default() };
    Ok(page.reply(
        ask,
        html! {
            (trail(&[(link::leaderboard(&a.leaderboard.slug), &leaderboard(&a))]))
            h1 { (short(&a.row.model)) " and " (short(&b.row.model)) }
            (side_by_side(&a, &b))
            @match examples {
                Ok(comparison) => (disagreement(&a, &b, &comparison)),
                Err(_) => p.empty { "Example by example they can only be compared where the board has predictions of both for the same data." },
            }
        },
    ))
}

fn leaderboard(page: &ResultPage) -> String {
    format!("{} on {}", page.leaderboard.task.name, page.leaderboard.dataset.name)
}

fn side_by_side(a: &ResultPage, b: &ResultPage) -> Markup {
    let text =
        |get: &dyn Fn(&Row) -> Option<String>| [&a.row, &b.row].map(|r| get(r).unwrap_or_default());
    let facts: Vec<(&str, [String; 2])> = [
        ("Base model", text(&|r| r.base.clone())),
        ("Method", text(&|r| r.method.clone())),
        ("Trained parameters", text(&|r| r.trained.map(parameters))),
        ("Adapter", text(&|r| r.adapter_bytes.map(bytes))),
        ("Setting", text(&|r| Some(r.setting.clone()))),
        ("Date", text(&|r| r.date.clone())),
        (
            "Paper",
            text(&|r| {
                r.paper.as_ref().map(|p| p.name.clone()).or_else(|| Some(r.paper_title.clone()))
            }),
        ),
    ]
    .into_iter()
    .filter(|f| f.1.iter().any(|t| !t.is_empty()))
    .collect();
    let same = a.leaderboard.slug == b.leaderboard.slug;
    html! {
        div.scroll role="region" aria-label="Side by side" tabindex="0" { table {
            thead { tr {
                td {}
                @for page in [a, b] { th scope="col" {
                    a href=(format!("/result/{}", page.row.result)) { (short(&page.row.model)) }
                    @if !same { small { (leaderboard(page)) } }
                } }
            } }
            tbody {
                tr { th scope="row" { "State" } @for page in [a, b] { td { (mark::state(page.row.state)) } } }
                @for (i, metric) in a.metrics.iter().enumerate() { tr {
                    th scope="row" { (metric.name) }
                    td { (score(a.row.scores.get(i).and_then(Option::as_ref))) }
                    td {
                        @let j = b.metrics.iter().position(|m| m.name.eq_ignore_ascii_case(&metric.name));
                        (score(j.and_then(|j| b.row.scores.get(j)).and_then(Option::as_ref)))
                    }
                } }
                @for (name, texts) in &facts { tr {
                    th scope="row" { (name) } @for text in texts { td { (text) } }
                } }
            }
        } }
    }
}

/// Whether the difference can be chance.
fn verdict(found: &Comparison) -> String {
    if found.both_right + found.only_first + found.only_second == 0 {
        return "Neither gives an answer to the letter, as with numbers: counts of right answers say \
                nothing here."
            .into();
    }
    let meaning = match found.mcnemar_p < 0.05 {
        true => "is unlikely to be",
        false => "can be",
    };
    let p = probability(found.mcnemar_p);
    format!("McNemar's exact test: p = {p}. A difference of this size {meaning} chance.")
}

/// A probability, which is never shown as nothing.
fn probability(p: f64) -> String {
    if p < 1e-3 { format!("{p:.1e}") } else { value(p) }
}

fn disagreement(a: &ResultPage, b: &ResultPage, found: &Comparison) -> Markup {
    let (first, second) = (short(&a.row.model), short(&b.row.model));
    html! {
        section aria-labelledby="examples" {
            h2 #examples { "Example by example" }
            table { tbody {
                tr { th scope="row" { "Both right" } td.number { (count(found.both_right)) } }
                tr { th scope="row" { "Only " (first) } td.number { (count(found.only_first)) } }
                tr { th scope="row" { "Only " (second) } td.number { (count(found.only_second)) } }
                tr { th scope="row" { "Both wrong" } td.number { (count(found.both_wrong)) } }
            } }
            p { (verdict(found)) }
            @if !found.examples.is_empty() {
                h3 { (of(found.differing, "example")) " with different answers" }
                @if found.differing as usize > found.examples.len() { p { "The first " (found.examples.len()) "." } }
                div.scroll.tall role="region" aria-label="Disagreement" tabindex="0" { table {
                    thead { tr { th.number scope="col" { "Row" } th scope="col" { "Expected" } th scope="col" { (first) } th scope="col" { (second) } } }
                    tbody { @for e in &found.examples { tr {
                        th.number scope="row" { (e.row) } td { (e.expected) }
                        td.right[e.first == e.expected] { (e.first) } td.right[e.second == e.expected] { (e.second) }
                    } } }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_no_more_than_it_knows() {
        let found = |only_first: u64, both_wrong: u64, mcnemar_p: f64| Comparison {
            both_right: 0,
            only_first,
            only_second: 0,
            both_wrong,
            mcnemar_p,
            differing: 0,
            examples: Vec::new(),
        };
        assert!(verdict(&found(20, 0, 2e-6)).contains("p = 2.0e-6. A difference of this size is"));
        assert!(verdict(&found(2, 9, 0.5)).contains("p = 0.5. A difference of this size can be"));
        // Numbers are never right to the letter.
        assert!(!verdict(&found(0, 40, 1.0)).contains("McNemar"));
    }
}
