//! A result's rank and state as a small picture.

use budwood_board::query;
use budwood_board::{Board, State};
use maud::html;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/badge/{id}", show)];

/// Width of a letter of Verdana at 11 px, about.
const LETTER: f64 = 6.7;
const LONGEST: usize = 48;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let id = ask.param("id").strip_suffix(".svg").and_then(|id| id.parse().ok());
    let id: i64 = id.ok_or_else(|| Fault::missing("such badge"))?;
    let result = query::result(board, id)?;
    let left =
        cut(&format!("{} on {}", result.leaderboard.task.name, result.leaderboard.dataset.name));
    // A badge speaks of the value that ranks: where that was not measured, it is a claim.
    let state = result.row.state_of(0);
    let rank = if state == State::Reevaluated { result.row.rank } else { result.rank_of_claims };
    let right = match rank {
        Some(rank) if state != State::Retracted => format!("#{rank} {}", state.name()),
        _ => state.name().to_owned(),
    };
    let colour = match state {
        State::Reevaluated => "#1f6b45",
        State::Claimed | State::Attached | State::OtherSetting => "#57615b",
        State::Mismatch => "#8f4a0d",
        State::Retracted => "#6b6b6b",
    };
    let width = |text: &str| text.chars().count() as f64 * LETTER + 12.0;
    let (a, b) = (width(&left), width(&right));
    let middle = |from: f64, wide: f64| format!("{:.1}", from + wide / 2.0);
    Ok(Reply::svg(html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(format!("{:.0}", a + b)) height="20" role="img" {
            title { (left) ": " (right) }
            rect width=(a) height="20" rx="3" fill="#333a36" {}
            rect x=(a) width=(b) height="20" rx="3" fill=(colour) {}
            rect x=(a) width="4" height="20" fill=(colour) {}
            g fill="#ffffff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
                text x=(middle(0.0, a)) y="14" { (left) }
                text x=(middle(a, b)) y="14" { (right) }
            }
        }
    })
    .framed())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}
