//! Methods: all, and one.

use budwood_board::Board;
use budwood_board::query::{self, Method, MethodResult};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::link::{self, To, address, named};
use crate::parts::mark;
use crate::parts::markdown::{markdown, plain};
use crate::parts::number::{of, parameters, short, value};
use crate::parts::pager::pager;
use crate::parts::papers::papers;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/methods", list).named("Methods"), Route::page("/method/{slug}", show)];

const METHODS: u64 = 60;
const PAPERS: u64 = 20;

/// All methods.
fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = query::methods(board, ask.part(METHODS))?;
    let page = Page { title: "Methods", about: "All methods.", part: "/methods", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            h1 { "Methods" }
            p.lead { (of(found.count, "method")) "; first those that Budwood trains." }
            ul.cards { @for method in &found.items { li {
                h2.small { a href=(address(To::Method, &method.slug)) { (method.name) } }
                p.facts {
                    @if method.implemented { span.tag.official { "in Budwood" } }
                    @if let Some(year) = method.year { span { (year) } }
                    @if method.papers > 0 { span { (of(method.papers, "paper")) } }
                }
                @if !method.full_name.is_empty() && method.full_name != method.name { p { (method.full_name) } }
                @if !method.summary.is_empty() { p.summary { (plain(&method.summary, 150)) } }
            } } }
            (pager(ask, found.count, METHODS))
        },
    ))
}

/// One method.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let method = query::method(board, ask.param("slug"), ask.part(PAPERS))?;
    let sources: Vec<_> = method.source.iter().cloned().collect();
    let about = plain(&method.description, 200);
    let page = Page { title: &method.name, about: &about, part: "/methods", sources: &sources };
    Ok(page.reply(
        ask,
        html! {
            (trail(&[("/methods".into(), "Methods")]))
            h1 { (method.name) }
            @if !method.full_name.is_empty() && method.full_name != method.name { p.lead { (method.full_name) } }
            div.prose { (markdown(&method.description)) }
            (facts(&method))
            @if !method.results.is_empty() { (results(&method.results)) }
            @if method.by_year.len() > 1 { (by_year(&method.by_year)) }
            @if method.papers.count > 0 { section aria-labelledby="papers" {
                h2 #papers { (of(method.papers.count, "paper")) }
                (papers(&method.papers.items))
                (pager(ask, method.papers.count, PAPERS))
            } }
        },
    ))
}

fn facts(method: &Method) -> Markup {
    html! {
        dl.facts {
            @if let Some(paper) = &method.paper { dt { "Paper" } dd { (named(To::Paper, paper)) } }
            @if let Some(link) = &method.source_link { dt { "Source" } dd { (link::out(&link.url, &link.title)) } }
            @if let Some(code) = &method.code { dt { "Code" } dd { (link::out(code, "")) } }
            @if let Some(year) = method.year { dt { "Introduced" } dd { (year) } }
            @if !method.collections.is_empty() { dt { "Collections" } dd {
                @for (i, c) in method.collections.iter().enumerate() { @if i > 0 { ", " } (c.name) " (" (c.area) ")" }
            } }
            @if let Some(name) = &method.implemented { dt { "Train it" } dd { code { "budwood train --method " (name) } } }
        }
    }
}

fn results(results: &[MethodResult]) -> Markup {
    html! {
        section aria-labelledby="results" {
            h2 #results { "Results with this method" }
            div.scroll role="region" aria-label="Results with this method" tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Leaderboard" } th scope="col" { "Model" } th scope="col" { "Base" }
                    th.number scope="col" { "Trained" } th.number scope="col" { "Value" } th scope="col" { "State" }
                } }
                tbody { @for r in results { tr {
                    td { a href=(link::leaderboard(&r.leaderboard)) { (r.task.name) " on " (r.dataset.name) } }
                    th scope="row" { a href=(format!("/result/{}", r.result)) title=(r.model) { (short(&r.model)) } }
                    td { (r.base.as_deref().unwrap_or_default()) }
                    td.number { @if let Some(n) = r.trained { (parameters(n)) } }
                    td.number {
                        @match (r.measured, &r.raw) { (Some(m), _) => (value(m)), (None, Some(raw)) => (raw), _ => {} }
                        @if let Some(metric) = &r.metric { small { (metric) } }
                    }
                    td { (mark::state(r.state)) }
                } } }
            } }
        }
    }
}

/// Papers a year as bars.
fn by_year(years: &[(String, u64)]) -> Markup {
    let most = years.iter().map(|y| y.1).max().unwrap_or(1).max(1);
    html! {
        section aria-labelledby="years" {
            h2 #years { "Papers a year" }
            table.bars { tbody { @for (year, n) in years { tr {
                th scope="row" { (year) }
                td { meter min="0" max=(most) value=(n) { (n) } }
                td.number { (n) }
            } } } }
        }
    }
}
