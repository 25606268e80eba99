//! Papers: all, and one.

use budwood_board::Board;
use budwood_board::date::DateSource;
use budwood_board::query::{self, Code, Paper, PaperResult};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::link::{self, To, address, chips, named};
use crate::parts::mark;
use crate::parts::number::{count, of, short, value};
use crate::parts::pager::pager;
use crate::parts::papers::papers;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/papers", list).named("Papers"), Route::page("/paper/{slug}", show)];

const PAPERS: u64 = 30;

/// All papers.
fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = query::papers(board, ask.part(PAPERS))?;
    let page =
        Page { title: "Papers", about: "All papers, newest first.", part: "/papers", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            h1 { "Papers" }
            p.lead { (of(found.count, "paper")) ", newest first." }
            (papers(&found.items))
            (pager(ask, found.count, PAPERS))
        },
    ))
}

/// One paper.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let paper = query::paper(board, ask.param("slug"))?;
    let sources: Vec<_> = paper.source.iter().cloned().collect();
    let page =
        Page { title: &paper.title, about: &about(&paper), part: "/papers", sources: &sources };
    Ok(page.reply(
        ask,
        html! {
            (trail(&[("/papers".into(), "Papers")]))
            h1 { (paper.title) }
            p.authors { (paper.authors.join(", ")) }
            p.facts {
                @if let Some(date) = &paper.date {
                    span { (date) @if paper.date_source == Some(DateSource::ArxivId) { " (from the arXiv number)" } }
                }
                @if let Some(venue) = paper.proceeding.as_deref().filter(|v| !v.is_empty()) { span { (venue) } }
                @if let Some(url) = &paper.url { span { (link::out(url, "Paper")) } }
                @if let Some(pdf) = &paper.pdf { span { (link::out(pdf, "PDF")) } }
                @if let Some(id) = &paper.arxiv_id { span { "arXiv " (id) } }
            }
            (chips(To::Task, &paper.tasks))
            @if !paper.abstract_text.is_empty() { section aria-labelledby="abstract" {
                h2 #abstract { "Abstract" }
                p.prose { (paper.abstract_text) }
            } }
            @if !paper.code.is_empty() { (code(&paper.code)) }
            @if !paper.results.is_empty() { (results(&paper.results)) }
            @if !paper.datasets.is_empty() { section aria-labelledby="datasets" {
                h2 #datasets { "Data sets it introduced" } (chips(To::Dataset, &paper.datasets))
            } }
            @if !paper.methods.is_empty() { section aria-labelledby="methods" {
                h2 #methods { "Methods" } (chips(To::Method, &paper.methods))
            } }
            @if !paper.related.is_empty() { section aria-labelledby="related" {
                h2 #related { "Related papers" }
                ul.entries { @for other in &paper.related { li {
                    a.title href=(address(To::Paper, &other.slug)) { (other.title) }
                    p.facts { @if let Some(date) = &other.date { span { (date) } } @if !other.why.is_empty() { span { "shares " (other.why.join(", ")) } } @if let Some(s) = other.similarity { span { "text " (format!("{:.0} %", 100.0 * s.max(0.0))) " alike" } } }
                } } }
            } }
        },
    ))
}

fn about(paper: &Paper) -> String {
    paper.abstract_text.chars().take(200).collect()
}

fn code(links: &[Code]) -> Markup {
    html! {
        section aria-labelledby="code" {
            h2 #code { "Code" }
            ul.code { @for link in links { li {
                (link::out(&link.url, link.repository.as_deref().unwrap_or_default()))
                @if link.official { " " span.tag.official { "official" } }
                @if !link.framework.is_empty() && link.framework != "none" { " " span.tag { (link.framework) } }
                @if link.in_paper { " " small { "named in the paper" } }
                @if link.in_repository { " " small { "names the paper" } }
            } } }
        }
    }
}

fn results(results: &[PaperResult]) -> Markup {
    html! {
        section aria-labelledby="results" {
            h2 #results { "Results" }
            div.scroll.tall role="region" aria-label="Results of this paper" tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Task" } th scope="col" { "Data set" } th scope="col" { "Model" }
                    th scope="col" { "Metric" } th.number scope="col" { "Value" } th.number scope="col" { "Rank" } th scope="col" { "State" }
                } }
                tbody { @for r in results { tr {
                    td { (named(To::Task, &r.task)) }
                    td { a href=(link::leaderboard(&r.leaderboard)) { (r.dataset.name) } }
                    th scope="row" { a href=(format!("/result/{}", r.result)) title=(r.model) { (short(&r.model)) } }
                    td { (r.metric) }
                    td.number {
                        @match r.measured { Some(m) => { (value(m)) small { "claim " (r.raw) } } None => (r.raw) }
                    }
                    td.number { @if let Some(rank) = r.rank { "#" (rank) small { "of " (count(r.of)) } } }
                    td { (mark::state(r.state)) }
                } } }
            } }
        }
    }
}
