//! Answers for rows that a model has not seen, and what they say about it.

use budwood_base::statistics::mcnemar;
use budwood_model::Targets;

use super::account::Estimate;
use super::calibrate::{self, Calibration};
use super::problem::Wanted;
use crate::{Answers, Error, Prepared, scores};

/// Rows to judge by, with what is wanted of them.
pub(super) struct Judge<'a> {
    pub(super) data: &'a Prepared,
    wanted: Wanted,
    metric: &'a str,
}

impl<'a> Judge<'a> {
    pub(super) fn new(data: &'a Prepared, outputs: usize, metric: &'a str) -> Result<Self, Error> {
        let Some(targets) = &data.targets else {
            return Err(Error::Usage("the validation examples have no labels".into()));
        };
        Ok(Self { data, wanted: Wanted::of(targets, outputs)?, metric })
    }

    fn right(&self) -> Option<&[u32]> {
        match &self.wanted {
            Wanted::Classes(right, _) => Some(right),
            _ => None,
        }
    }

    /// Score and loss. Logits are taken at the temperature that suits them best, so that a model
    /// which is only too sure of itself is not thought worse.
    pub(super) fn estimate(&self, answers: &Answers) -> Estimate {
        let found = scores(answers, self.data).into_iter().find(|s| s.name == self.metric);
        let mut logits = wide(answers);
        if let Some(right) = self.right() {
            let t = calibrate::temperature(&logits, right);
            logits.iter_mut().flatten().for_each(|x| *x /= t);
        }
        let of = |(row, y): (usize, &mut Vec<f64>)| self.wanted.loss(row, y);
        let n = logits.len().max(1) as f64;
        let loss = logits.iter_mut().enumerate().map(of).sum::<f64>() / n;
        Estimate { score: found.map_or(0.0, |s| s.value), loss }
    }

    /// The probability that answers which are no better than one answer for all would differ from
    /// it as much; none for tasks without classes.
    pub(super) fn chance(&self, answers: &Answers, same: &[f64]) -> Option<f64> {
        let right = self.right()?;
        let one = Answers { outputs: vec![same.iter().map(|&x| x as f32).collect()] }.class(0);
        let count = |given: bool, constant: bool| {
            let hits = right.iter().enumerate();
            let hits =
                hits.filter(|&(i, &r)| (answers.class(i) == r, one == r) == (given, constant));
            hits.count() as u64
        };
        let (better, worse) = (count(true, false), count(false, true));
        Some(if better > worse { mcnemar(better, worse) } else { 1.0 })
    }

    /// The temperature for these logits, with their calibration before and after; none for tasks
    /// without classes.
    pub(super) fn calibration(&self, answers: &Answers) -> Option<(f64, Calibration, Calibration)> {
        let right = self.right()?;
        let logits = wide(answers);
        let t = calibrate::temperature(&logits, right);
        let of = |t| Calibration::of_logits(&logits, right, t);
        Some((t, of(1.0), of(t)))
    }

    /// The estimate of giving all rows the same outputs.
    pub(super) fn of_one_answer(&self, same: &[f64]) -> Estimate {
        let row: Vec<f32> = same.iter().map(|&x| x as f32).collect();
        let mut estimate = self.estimate(&Answers { outputs: vec![row; self.data.len()] });
        // The shares are what they are; no temperature makes them better.
        let of = |row| self.wanted.loss(row, &mut same.to_vec());
        estimate.loss = (0..self.data.len()).map(of).sum::<f64>() / self.data.len().max(1) as f64;
        if matches!(self.data.targets, Some(Targets::Values(_))) {
            // A correlation with a constant is none.
            estimate.score = 0.0;
        }
        estimate
    }
}

fn wide(answers: &Answers) -> Vec<Vec<f64>> {
    let row = |row: &Vec<f32>| row.iter().map(|&x| f64::from(x)).collect();
    answers.outputs.iter().map(row).collect()
}
