//! A small line of the best value over time.

use std::fmt::Write as _;

use budwood_board::direction::Direction;
use maud::{Markup, html};

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;
const EDGE: f64 = 3.0;

/// Steps of the best value; better is up, whichever way the metric goes. Nothing for fewer than
/// two.
pub(crate) fn sparkline(steps: &[(i64, f64)], direction: Direction) -> Markup {
    let [(first, from), .., (last, to)] = steps else { return html! {} };
    let across = |day: i64| {
        EDGE + (day - first) as f64 / (last - first).max(1) as f64 * (WIDTH - 2.0 * EDGE)
    };
    let share = |v: f64| if to == from { 0.5 } else { (v - from) / (to - from) };
    let up = |v: f64| HEIGHT - EDGE - share(v) * (HEIGHT - 2.0 * EDGE);
    let mut path = format!("M{:.1} {:.1}", across(*first), up(*from));
    for &(day, value) in &steps[1..] {
        let _ = write!(path, "H{:.1}V{:.1}", across(day), up(value));
    }
    let way = if direction == Direction::Higher { "rising" } else { "falling" };
    let label = format!("{} records, {way} from {from} to {to}", steps.len());
    html! {
        svg.spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            path d=(path) {}
            circle cx=(format!("{:.1}", across(*last))) cy=(format!("{:.1}", up(*to))) r="2.5" {}
        }
    }
}
