//! What an import did, and everything odd that it met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of one import; they are kept on the board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the file holds.
    pub kind: String,
    /// Elements of its list.
    pub elements: u64,
    /// Things that were there, by kind: `tables`, `rows`, `values`, `papers` ...
    pub found: BTreeMap<String, u64>,
    /// Things that were new to the board, by kind; all 0 if the same was imported before.
    pub added: BTreeMap<String, u64>,
    /// Things that were left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// What was not as it should be, but was kept, by kind.
    pub odd: BTreeMap<String, u64>,
    /// Whether this very file had been imported before.
    pub unchanged: bool,
    /// The first element that was read now; later than 0 if an import was taken up again.
    pub from: u64,
}

impl Report {
    pub(super) fn found(&mut self, what: &str, n: u64) {
        *self.found.entry(what.into()).or_default() += n;
    }

    pub(super) fn added(&mut self, what: &str, n: usize) {
        *self.added.entry(what.into()).or_default() += n as u64;
    }

    pub(super) fn left_out(&mut self, why: &str) {
        *self.left_out.entry(why.into()).or_default() += 1;
    }

    pub(super) fn odd(&mut self, of: &str, what: &str) {
        // Keys come from the file; their number must stay small.
        if self.odd.len() < 200 {
            *self.odd.entry(format!("{of}: {what}")).or_default() += 1;
        }
    }
}
