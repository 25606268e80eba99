//! How far a row is confirmed, as a mark with a word.

use budwood_board::State;
use maud::{Markup, html};

/// What a state means, in a sentence.
pub(crate) fn meaning(state: State) -> &'static str {
    match state {
        State::Claimed => "Someone says so; the board has nothing to check it with.",
        State::Attached => "The adapter that produced it is here, whole, and fits its description.",
        State::Reevaluated => {
            "The board ran the adapter itself, on the leaderboard's data, and got the value within its tolerance."
        }
        State::OtherSetting => {
            "The board ran the adapter itself and got the value, but on data that this leaderboard does not name."
        }
        State::Mismatch => "The board ran the adapter itself and got something else.",
        State::Retracted => "Taken back; it stays visible, but is not ranked.",
    }
}

/// The mark of a state: colour, shape and word say the same.
pub(crate) fn state(state: State) -> Markup {
    html! {
        span.mark data-state=(state.name()) title=(meaning(state)) { (state.name()) }
    }
}

/// All states with their meanings.
pub(crate) fn legend() -> Markup {
    html! {
        dl.states {
            @for state in State::ALL {
                dt { (self::state(state)) } dd { (meaning(state)) }
            }
        }
    }
}
