//! Notices a run that falls to one answer for all inputs while it happens.

use std::collections::VecDeque;

/// Steps whose mean loss is looked at.
const WINDOW: usize = 8;
/// Share of the loss of knowing nothing but the classes' shares above which a run that began better has fallen.
const FALLEN: f64 = 0.97;
/// The start must be at least so much better for that to say anything.
const BETTER: f64 = 0.85;
/// The loss that no run should have, wherever it began.
const JUMPED: f64 = 1.5;

/// The losses of a run beside those that it should have.
pub(crate) struct Watch {
    recent: VecDeque<f64>,
    limit: f64,
}

impl Watch {
    /// `nothing` is the loss of always giving the classes' shares, or the mean; `start` that of the probe that the run
    /// begins as, or `nothing` where there is none.
    pub(crate) fn new(nothing: f64, start: f64) -> Self {
        let limit = if start < BETTER * nothing { FALLEN * nothing } else { JUMPED * nothing };
        Self { recent: VecDeque::with_capacity(WINDOW + 1), limit }
    }

    /// Takes note of a step's loss; whether the run is lost.
    pub(crate) fn is_lost(&mut self, loss: f64) -> bool {
        self.recent.push_back(loss);
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        let mean = self.recent.iter().sum::<f64>() / WINDOW as f64;
        self.recent.len() == WINDOW && (mean >= self.limit || !mean.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_after(
        nothing: f64,
        start: f64,
        losses: impl IntoIterator<Item = f64>,
    ) -> Option<usize> {
        let mut watch = Watch::new(nothing, start);
        losses.into_iter().position(|loss| watch.is_lost(loss))
    }

    #[test]
    fn a_fall_is_noticed_and_a_bad_batch_is_not() {
        let ln2 = 2f64.ln();
        // From a good start to one class for all.
        let falls = [0.3, 0.35, 0.3].into_iter().chain([0.69; 20]);
        assert!(lost_after(ln2, 0.3, falls).is_some_and(|step| step < 12));
        let single =
            [0.3; 30].into_iter().enumerate().map(|(i, x)| if i % 9 == 5 { 2.0 } else { x });
        assert_eq!(lost_after(ln2, 0.3, single), None);
        // Labels that nothing can be learned from stay where they are; that is no fall.
        assert_eq!(lost_after(ln2, 0.69, [0.72; 100]), None);
        assert!(lost_after(ln2, 0.69, [1.2; 100]).is_some());
        assert_eq!(lost_after(ln2, 0.3, [f64::NAN; 20]), Some(7));
    }
}
