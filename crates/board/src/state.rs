//! How far a result is confirmed, and what may change that.

use budwood_database::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::Error;

/// How far a result is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Someone says so.
    Claimed,
    /// The adapter that produced it is here, whole, and fits its description.
    Attached,
    /// The board ran the adapter on the leaderboard's data and got the value within its tolerance.
    #[serde(rename = "re-evaluated")]
    Reevaluated,
    /// The board ran the adapter and got the value, on data that the leaderboard does not name.
    OtherSetting,
    /// The board ran the adapter and got something else.
    Mismatch,
    /// Taken back; shown, but not ranked.
    Retracted,
}

/// What may happen to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its adapter came.
    Attach,
    /// The board got the value, on the leaderboard's data.
    Confirm,
    /// The board got the value, on other data.
    ConfirmElsewhere,
    /// The board got something else.
    Refute,
    /// Its leaderboard names the data that it was measured on.
    Name,
    /// Its leaderboard names other data, or none, from now on.
    Unname,
    /// Its submitter says something else; its adapter, if there is one, must be run again.
    Edit,
    /// It is taken back.
    Retract,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Claimed,
        Self::Attached,
        Self::Reevaluated,
        Self::OtherSetting,
        Self::Mismatch,
        Self::Retracted,
    ];

    /// Its name, as in addresses and exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Attached => "attached",
            Self::Reevaluated => "re-evaluated",
            Self::OtherSetting => "other-setting",
            Self::Mismatch => "mismatch",
            Self::Retracted => "retracted",
        }
    }

    /// The state of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The table of allowed changes: the state that a change leads to, or none where it is not
    /// allowed.
    pub(crate) fn after(self, change: Change) -> Option<Self> {
        use State::{Attached, Claimed, Mismatch, OtherSetting, Reevaluated, Retracted};
        match (self, change) {
            // Nothing brings a result back that was taken back.
            (Retracted, _) => None,
            (_, Change::Retract) => Some(Retracted),
            (Claimed, Change::Attach) => Some(Attached),
            (Claimed, Change::Edit) => Some(Claimed),
            // Without an adapter there is nothing that could have been measured.
            (Claimed, _) | (_, Change::Attach) => None,
            (_, Change::Confirm) => Some(Reevaluated),
            (_, Change::ConfirmElsewhere) => Some(OtherSetting),
            (_, Change::Refute) => Some(Mismatch),
            (_, Change::Edit) => Some(Attached),
            (OtherSetting, Change::Name) => Some(Reevaluated),
            (Reevaluated, Change::Unname) => Some(OtherSetting),
            (_, Change::Name | Change::Unname) => None,
        }
    }
}

/// Changes the state of a result: the only place that does. It must run inside the transaction of
/// what the change follows from, so that nothing comes between looking and writing.
///
/// # Errors
/// If there is no such result, or its state does not allow the change.
pub(crate) fn change(sql: &Connection, result: i64, change: Change) -> Result<State, Error> {
    let before: State = sql
        .first("SELECT state FROM results WHERE id = ?1", params![result], |r| r.get(0))?
        .ok_or_else(|| Error::missing("result", result))?;
    let after = before.after(change).ok_or_else(|| {
        let what = match change {
            Change::Attach => "an adapter cannot be attached to it",
            Change::Confirm | Change::ConfirmElsewhere | Change::Refute => {
                "a check of it changes nothing any more"
            }
            Change::Name | Change::Unname => "naming data does not change it",
            Change::Edit => "it stays as it is",
            Change::Retract => "it cannot be taken back again",
        };
        Error::Conflict(format!("result {result} is {}: {what}", before.name()))
    })?;
    sql.execute("UPDATE results SET state = ?2 WHERE id = ?1", params![result, after])?;
    Ok(after)
}

/// How far one value of a row is confirmed.
pub(crate) fn state_of(row: State, measured: Option<f64>, confirmed: Option<bool>) -> State {
    match (row, measured) {
        (State::Retracted, _) => State::Retracted,
        // A row misses its claim if one of its values does; another may well be what was claimed.
        (State::Mismatch, Some(_)) if confirmed == Some(true) => State::Reevaluated,
        (State::Reevaluated | State::OtherSetting | State::Mismatch, None) => State::Claimed,
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: [Change; 8] = [
        Change::Attach,
        Change::Confirm,
        Change::ConfirmElsewhere,
        Change::Refute,
        Change::Name,
        Change::Unname,
        Change::Edit,
        Change::Retract,
    ];

    /// The table, written out a second time as people read it: rows are states, columns are
    /// changes.
    #[test]
    fn changes_are_those_of_the_table() {
        let table = "
            claimed       attached  -            -             -        -            -             claimed  retracted
            attached      -         re-evaluated other-setting mismatch -            -             attached retracted
            re-evaluated  -         re-evaluated other-setting mismatch -            other-setting attached retracted
            other-setting -         re-evaluated other-setting mismatch re-evaluated -             attached retracted
            mismatch      -         re-evaluated other-setting mismatch -            -             attached retracted
            retracted     -         -            -             -        -            -             -        -";
        let mut seen = 0;
        for line in table.lines().filter(|l| !l.trim().is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let from = State::find(words[0]).expect("a state");
            for (change, word) in CHANGES.into_iter().zip(&words[1..]) {
                assert_eq!(from.after(change), State::find(word), "{from:?} {change:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, State::ALL.len() * CHANGES.len());
    }
}
