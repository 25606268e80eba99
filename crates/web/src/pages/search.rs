//! Search over everything.

use budwood_board::Board;
use budwood_board::query::{self, Found, FoundKind};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::Page;
use crate::parts::link::{To, address};
use crate::parts::markdown::plain;
use crate::parts::number::{model, of};
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::search("/search", show)];

const KINDS: &[(FoundKind, &str, &str)] = &[
    (FoundKind::Task, "task", "Tasks"),
    (FoundKind::Dataset, "dataset", "Data sets"),
    (FoundKind::Method, "method", "Methods"),
    (FoundKind::Model, "model", "Models"),
    (FoundKind::Paper, "paper", "Papers"),
];
/// Entries of each kind while all kinds are shown, and of one kind alone.
const FEW: u64 = 8;
const MANY: u64 = 60;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let text = ask.get("q").unwrap_or_default();
    let kind = ask.get("kind").and_then(|k| KINDS.iter().find(|x| x.1 == k)).map(|x| x.0);
    let found = query::search(board, text, kind, if kind.is_some() { MANY } else { FEW })?;
    let title =
        if text.is_empty() { "Search".to_owned() } else { format!("Search for “{text}”") };
    let page = Page { title: &title, ..Page::default() };
    Ok(page.reply(
        ask,
        html! {
            h1 { (title) }
            @if text.is_empty() {
                p.lead { "Tasks, data sets, methods, models and papers, by words of their names and texts." }
            } @else {
                nav.tabs aria-label="Kinds" { ul {
                    li { a href=(ask.with(&[("kind", "")])) aria-current=[kind.is_none().then_some("page")] { "All" } }
                    @for &(k, name, title) in KINDS { li {
                        a href=(ask.with(&[("kind", name)])) aria-current=[(kind == Some(k)).then_some("page")] { (title) }
                    } }
                } }
                p role="status" { @if found.is_empty() { "Nothing was found." } @else { (of(found.len() as u64, "entry").replace("entrys", "entries")) "." } }
                @for &(k, name, title) in KINDS {
                    @let of_kind: Vec<&Found> = found.iter().filter(|f| f.kind == k).collect();
                    @if !of_kind.is_empty() { section {
                        h2 { (title) }
                        ul.entries { @for entry in &of_kind { (self::entry(entry)) } }
                        @if kind.is_none() && of_kind.len() as u64 == FEW {
                            p { a href=(ask.with(&[("kind", name)])) { "More " (title.to_lowercase()) } }
                        }
                    } }
                }
            }
        },
    ))
}

fn entry(found: &Found) -> Markup {
    let path = match found.kind {
        FoundKind::Task => address(To::Task, &found.slug),
        FoundKind::Dataset => address(To::Dataset, &found.slug),
        FoundKind::Method => address(To::Method, &found.slug),
        FoundKind::Model => format!("/result/{}", found.slug),
        FoundKind::Paper => address(To::Paper, &found.slug),
    };
    html! {
        li { a.title href=(path) { (model(&found.name)) } p.facts { span { (plain(&found.line, 160)) } } }
    }
}
