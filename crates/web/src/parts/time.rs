//! Moments.

use budwood_board::date;
use maud::{Markup, html};

/// A day of a moment in seconds since 1970.
pub(crate) fn day(seconds: i64) -> Markup {
    let day = date::of_seconds(seconds);
    html! { time datetime=(day) { (day) } }
}

/// `2026-11-25T04:30:00Z`.
pub(crate) fn stamp(seconds: i64) -> String {
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date::of_seconds(seconds))
}

/// A moment to the minute.
pub(crate) fn minute(seconds: i64) -> Markup {
    let text = stamp(seconds);
    html! { time datetime=(text) { (text[..16].replace('T', " ")) } }
}
