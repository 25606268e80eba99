//! Data sets: all, and one.

use budwood_board::Board;
use budwood_board::query::{self, Dataset};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::leaderboards::{By, leaderboards};
use crate::parts::link::{self, To, address, chips, named, web};
use crate::parts::markdown::{markdown, plain};
use crate::parts::number::{count, of};
use crate::parts::pager::pager;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/datasets", list).named("Data sets"), Route::page("/dataset/{slug}", show)];

const SETS: u64 = 60;

/// All data sets.
fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let sets = query::datasets(board, ask.part(SETS))?;
    let page =
        Page { title: "Data sets", about: "All data sets.", part: "/datasets", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            h1 { "Data sets" }
            p.lead { (of(sets.count, "data set")) "; those with most results first." }
            ul.cards { @for set in &sets.items { li {
                h2.small { a href=(address(To::Dataset, &set.slug)) { (set.name) } }
                p.facts {
                    span { (of(set.leaderboards, "leaderboard")) } span { (of(set.results, "result")) }
                    @for kind in &set.modalities { span { (kind) } }
                }
                @if !set.summary.is_empty() { p.summary { (plain(&set.summary, 150)) } }
            } } }
            (pager(ask, sets.count, SETS))
        },
    ))
}

/// One data set.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let set = query::dataset(board, ask.param("slug"))?;
    let mut sources: Vec<_> = set
        .source
        .iter()
        .chain(set.leaderboards.iter().filter_map(|l| l.source.as_ref()))
        .cloned()
        .collect();
    sources.sort();
    sources.dedup();
    let about = plain(&set.description, 200);
    let page = Page { title: &set.name, about: &about, part: "/datasets", sources: &sources };
    let mut steps = vec![("/datasets".to_owned(), "Data sets")];
    steps.extend(set.parent.iter().map(|p| (address(To::Dataset, &p.slug), p.name.as_str())));
    Ok(page.reply(
        ask,
        html! {
            (trail(&steps))
            h1 { (set.name) }
            @if !set.full_name.is_empty() && set.full_name != set.name { p.lead { (set.full_name) } }
            div.prose { (markdown(&set.description)) }
            (facts(&set))
            section aria-labelledby="benchmarks" {
                h2 #benchmarks { "Benchmarks" }
                @if set.leaderboards.is_empty() { p.empty { "No results yet." } } @else {
                    (leaderboards(&set.leaderboards, By::Task, "Benchmarks on this data set"))
                }
            }
            @if !set.parts.is_empty() { section aria-labelledby="parts" {
                h2 #parts { "Parts" } (chips(To::Dataset, &set.parts))
            } }
            @if !set.loaders.is_empty() { section aria-labelledby="loaders" {
                h2 #loaders { "Code that loads it" }
                ul.plain { @for loader in &set.loaders { li {
                    (link::out(&loader.url, &loader.repo)) @for framework in &loader.frameworks { " " small { (framework) } }
                } } }
            } }
            @if !set.local.is_empty() { (local(&set)) }
        },
    ))
}

fn facts(set: &Dataset) -> Markup {
    html! {
        dl.facts {
            @if web(&set.homepage).is_some() { dt { "Home" } dd { (link::out(&set.homepage, "")) } }
            @if let Some(paper) = &set.paper { dt { "Paper" } dd { (named(To::Paper, paper)) } }
            @if let Some(date) = &set.introduced { dt { "Introduced" } dd { (date) } }
            @if !set.licence.title.is_empty() { dt { "Licence" } dd { (link::out(&set.licence.url, &set.licence.title)) } }
            @if !set.tasks.is_empty() { dt { "Tasks" } dd { (chips(To::Task, &set.tasks)) } }
            @if !set.modalities.is_empty() { dt { "Kinds" } dd { (set.modalities.join(", ")) } }
            @if !set.languages.is_empty() { dt { "Languages" } dd { (set.languages.join(", ")) } }
            @if !set.variants.is_empty() { dt { "Variants" } dd { (set.variants.join(", ")) } }
            @if !set.links.is_empty() { dt { "Links" } dd { ul.plain { @for l in &set.links { li { (link::out(&l.url, &l.title)) } } } } }
        }
    }
}

/// Labelled data that this board evaluates on.
fn local(set: &Dataset) -> Markup {
    html! {
        section aria-labelledby="local" {
            h2 #local { "Re-evaluated on" }
            div.scroll role="region" aria-label="Local data" tabindex="0" { table {
                thead { tr { th scope="col" { "Split" } th.number scope="col" { "Examples" } th scope="col" { "SHA-256" } } }
                tbody { @for data in &set.local { tr {
                    th scope="row" { (data.split) } td.number { (count(data.rows)) } td { code { (data.sha256) } }
                } } }
            } }
        }
    }
}
