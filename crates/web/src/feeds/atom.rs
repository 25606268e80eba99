//! The log as an Atom feed (RFC 4287).

use budwood_board::Board;
use budwood_board::query::{self, LogFilter, Part};
use maud::{PreEscaped, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::parts::time::stamp;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/feed.atom", show)];

const ENTRIES: u64 = 50;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let part = Part { offset: 0, limit: ENTRIES };
    let log = query::log(board, &LogFilter::default(), part)?;
    let updated = stamp(log.items.first().map_or(0, |e| e.at));
    let link = |path: &str| {
        let address = xml(&ask.absolute(path));
        PreEscaped(format!("<link href=\"{address}\"/>"))
    };
    Ok(Reply::xml(
        "application/atom+xml",
        html! {
            feed xmlns="http://www.w3.org/2005/Atom" {
                title { "Budwood board: changes" }
                id { (ask.absolute("/feed.atom")) }
                (link("/log"))
                updated { (updated) }
                @for e in &log.items {
                    entry {
                        title { (e.action) ": " (e.subject) " " (e.subject_name) }
                        id { (ask.absolute(&format!("/log#{}", e.id))) }
                        @let path = match (e.subject.as_str(), e.subject_id) {
                            ("result", Some(id)) => format!("/result/{id}"),
                            _ => "/log".into(),
                        };
                        (link(&path))
                        updated { (stamp(e.at)) }
                        author { name { (e.who) } }
                        content type="text" { (e.reason) }
                    }
                }
            }
        },
    ))
}

fn xml(text: &str) -> String {
    html! { (text) }.into_string()
}
