//! The log of all changes.

use budwood_board::Board;
use budwood_board::query::{self, LogEntry, LogFilter};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::Page;
use crate::parts::number::short;
use crate::parts::pager::pager;
use crate::parts::time;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/log", show).named("Log")];

const ENTRIES: u64 = 100;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let filter = LogFilter {
        subject: ask.get("subject").map(Into::into),
        id: ask.get("id").and_then(|id| id.parse().ok()),
    };
    let log = query::log(board, &filter, ask.part(ENTRIES))?;
    let page =
        Page { title: "Log", about: "Every change to the board.", part: "/log", sources: &[] };
    Ok(page.reply(
        ask,
        html! {
            h1 { "Log" }
            p.lead { "Every change: who, what, when and why. Entries are only ever added. "
                a href="/feed.atom" { "As a feed" } }
            (entries(&log.items))
            (pager(ask, log.count, ENTRIES))
        },
    ))
}

/// Entries as a table.
pub(crate) fn entries(items: &[LogEntry]) -> Markup {
    html! {
        @if items.is_empty() { p.empty { "Nothing yet." } } @else {
            div.scroll role="region" aria-label="Changes" tabindex="0" { table {
                thead { tr {
                    th scope="col" { "When (UTC)" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "Why" }
                } }
                tbody { @for entry in items { tr {
                    td { (time::minute(entry.at)) } td { (entry.who) } td { (entry.action) }
                    td { (about(entry)) } td.wide { (entry.reason) }
                } } }
            } }
        }
    }
}

fn about(entry: &LogEntry) -> Markup {
    let path = match (entry.subject.as_str(), entry.subject_id) {
        ("result", Some(id)) => Some(format!("/result/{id}")),
        _ => None,
    };
    html! {
        (entry.subject) " "
        @match path { Some(path) => a href=(path) title=(entry.subject_name) { (short(&entry.subject_name)) }, None => (entry.subject_name) }
    }
}
