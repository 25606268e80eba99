//! How far a result is confirmed.

use serde::{Deserialize, Serialize};

/// How far a result is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Someone says so.
    Claimed,
    /// The adapter that produced it is here, whole, and fits its description.
    Attached,
    /// The board ran the adapter and got the value within its tolerance.
    #[serde(rename = "re-evaluated")]
    Reevaluated,
    /// The board ran the adapter and got something else.
    Mismatch,
    /// Taken back; shown, but not ranked.
    Retracted,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Claimed, Self::Attached, Self::Reevaluated, Self::Mismatch, Self::Retracted];

    /// Its name, as in addresses and exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Attached => "attached",
            Self::Reevaluated => "re-evaluated",
            Self::Mismatch => "mismatch",
            Self::Retracted => "retracted",
        }
    }

    /// The state of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}
