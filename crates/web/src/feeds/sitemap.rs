//! Addresses for search engines.

use budwood_board::Board;
use budwood_board::query::{self, Listed};
use maud::html;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::parts::link::segment;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::page("/robots.txt", robots),
    Route::page("/sitemap.xml", index),
    Route::page("/sitemap/{name}", show),
];

/// Addresses in one file; the protocol allows 50,000.
const SIZE: u64 = 5_000;
const KINDS: &[(Listed, &str, &str)] = &[
    (Listed::Leaderboard, "sota", "/sota/"),
    (Listed::Task, "tasks", "/task/"),
    (Listed::Dataset, "datasets", "/dataset/"),
    (Listed::Method, "methods", "/method/"),
    (Listed::Paper, "papers", "/paper/"),
];
const SCHEMA: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

/// The list of lists.
fn index(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let mut files = Vec::new();
    for &(kind, name, _) in KINDS {
        let chunks = query::chunks(board, kind, SIZE)?;
        files.extend((0..chunks).map(|i| ask.absolute(&format!("/sitemap/{name}-{i}.xml"))));
    }
    Ok(Reply::xml(
        "application/xml",
        html! { sitemapindex xmlns=(SCHEMA) { @for file in &files { sitemap { loc { (file) } } } } },
    ))
}

/// One list.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let name = ask.param("name");
    let missing = || Fault::missing("such list");
    let (kind, chunk) =
        name.strip_suffix(".xml").and_then(|n| n.rsplit_once('-')).ok_or_else(missing)?;
    let &(kind, _, path) = KINDS.iter().find(|k| k.1 == kind).ok_or_else(missing)?;
    let chunk = chunk.parse::<u32>().map_err(|_| missing())?;
    let found = query::addresses(board, kind, chunk.into(), SIZE)?;
    Ok(Reply::xml(
        "application/xml",
        html! { urlset xmlns=(SCHEMA) { @for slug in &found {
            url { loc { (ask.absolute(&format!("{path}{}", segment(slug)))) } }
        } } },
    ))
}

/// What robots may read: everything but endless combinations.
fn robots(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let text = format!(
        "User-agent: *\nDisallow: /search\nDisallow: /compare\nDisallow: /theme\nDisallow: /submit\nDisallow: /*?\n\
         Sitemap: {}\n",
        ask.absolute("/sitemap.xml")
    );
    Ok(Reply::new("text/plain; charset=utf-8", text))
}
