//! What this board is, and what its marks mean.

use budwood_board::Board;
use budwood_board::query;
use maud::html;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::Page;
use crate::parts::mark;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/about", show).named("About")];

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let sources = query::start(board)?.sources;
    let about = "What a re-evaluated row is, how results come here and how to take them away.";
    let page = Page { title: "About", about, part: "/about", sources: &sources };
    Ok(page.reply(
        ask,
        html! {
            h1 { "About this board" }
            div.prose {
                p.lead { "A leaderboard is worth as much as its rows. Here a row can be run again." }
                h2 { "What a row is" }
                p { "A value of a metric, on a data set, for a task, with the model, the paper and the code it comes from. "
                    "Values are kept exactly as they were written; the number in them is what ranks." }
                h2 { "What a verified row means" }
                p { "An adapter is a file of numbers for a known frozen model: data, not a program. When a result comes with its adapter, "
                    "the board loads it on the model that it names by hash, evaluates it on the data that it names by hash, keeps every "
                    "prediction, and compares the value with the claim. Nobody's code is run for that." }
                (mark::legend())
                p { "Only re-evaluated rows are ranked and hold the state of the art. Every leaderboard has a switch that ranks all claims; "
                    "where no row has been re-evaluated yet, the claims are shown ranked at once, and the page says so." }
                h2 { "Ties" }
                p { "Rows with the same value share a rank. Where 95 % intervals are known, rows share a rank if their intervals meet." }
                h2 { "Which way is better" }
                p { "Archives do not say whether larger or smaller values are better. Each metric shows its direction and how it is known: "
                    "the source says so, the metric's name says so, the order of the rows shows it, or someone set it here." }
                h2 { "Dates" }
                p { "Where a row has no date but its paper has an arXiv number, year and month come from that number, and the row says so. "
                    "Rows without any date are in the table, but not on the time line." }
                h2 { "Take it with you" }
                p { "Every leaderboard can be had as CSV, as JSON in the archive's format and as " code { "model-index" } " YAML; all of it through the "
                    a href="/api/v1/" { "API" } ". There is a " a href="/feed.atom" { "feed" } " of changes, a badge for each result, and a table to embed." }
                h2 { "Add to it" }
                p { a href="/submit" { "Submit a result" } " with a token that the board's owner gave you: here, through the API, or with "
                    code { "budwood submit" } "." }
            }
        },
    ))
}
