//! Notices a run that falls to one answer for all inputs while it happens.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Steps whose mean loss is looked at. A run begins with a rate of next to 0, so that the first
/// ones tell where it began.
const FIRST: usize = 2;
const RECENT: usize = 16;
/// Share of the loss of one answer for all above which a run that began better has fallen.
const FALLEN: f64 = 0.97;
/// A start must be at least so much better for that to say anything.
const BETTER: f64 = 0.5;
/// How many times the loss of one answer for all, or of its own start, no run should have.
const JUMPED: f64 = 3.0;

/// The losses of a run beside those that it should have. Part of a checkpoint, so that a run which
/// goes on is watched as if it had not been interrupted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// The loss of giving the classes' shares, or the mean, to all inputs.
    nothing: f32,
    /// Whether one class for all validation inputs is not a sign of a fall.
    may_agree: bool,
    first: Vec<f32>,
    recent: VecDeque<f32>,
}

impl Watch {
    pub(crate) fn new(nothing: f64, may_agree: bool) -> Self {
        let (first, recent) = (Vec::new(), VecDeque::new());
        Self { nothing: nothing as f32, may_agree, first, recent }
    }

    /// Takes note of a step's loss; whether the run is lost.
    pub(crate) fn is_lost(&mut self, loss: f64) -> bool {
        if self.first.len() < FIRST {
            self.first.push(loss as f32);
            return false;
        }
        self.recent.push_back(loss as f32);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let sum =
            |losses: &mut dyn Iterator<Item = &f32>| -> f64 { losses.map(|&x| f64::from(x)).sum() };
        let start = sum(&mut self.first.iter()) / FIRST as f64;
        let now = sum(&mut self.recent.iter()) / RECENT as f64;
        let nothing = f64::from(self.nothing);
        let limit = match start < BETTER * nothing {
            true => FALLEN * nothing,
            false => JUMPED * nothing.max(start),
        };
        self.recent.len() == RECENT && now >= limit
    }

    /// Whether a run is lost that gives all validation inputs the same class, or not.
    pub(crate) fn is_lost_with(&self, one_class: bool) -> bool {
        one_class && !self.may_agree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_after(nothing: f64, losses: impl IntoIterator<Item = f64>) -> Option<usize> {
        let mut watch = Watch::new(nothing, false);
        losses.into_iter().position(|loss| watch.is_lost(loss))
    }

    #[test]
    fn a_fall_is_noticed_and_a_bad_batch_is_not() {
        let ln2 = 2f64.ln();
        let start = [0.3; 8].into_iter();
        // From a good start to one class for all.
        let falls = start.clone().chain([0.3; 4]).chain([0.69; 20]);
        assert!(lost_after(ln2, falls).is_some_and(|step| step < 29));
        let one = |(i, x): (usize, f64)| if i % 9 == 5 { 2.0 } else { x };
        assert_eq!(lost_after(ln2, [0.3; 60].into_iter().enumerate().map(one)), None);
        // Labels that nothing can be learned from stay where they are; that is not a fall.
        assert_eq!(lost_after(ln2, [0.72; 100]), None);
        assert!(lost_after(ln2, [0.7; 10].into_iter().chain([2.5; 30])).is_some());
        // Nor is a start that is worse than nothing, as dropout may make it.
        assert_eq!(lost_after(ln2, [0.9; 10].into_iter().chain([0.8; 50])), None);
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let mut watch = Watch::new(1.0, true);
        let losses: Vec<f64> = (0..60).map(|i| if i < 20 { 0.1 / 3.0 } else { 1.0 }).collect();
        let whole = losses.iter().position(|&x| watch.is_lost(x));
        let mut watch = Watch::new(1.0, true);
        let parts = losses.iter().position(|&x| {
            let text = serde_json::to_string(&watch).unwrap();
            watch = serde_json::from_str(&text).unwrap();
            watch.is_lost(x)
        });
        assert!(whole.is_some());
        assert_eq!(whole, parts);
        assert!(!watch.is_lost_with(true) && Watch::new(1.0, false).is_lost_with(true));
    }
}
