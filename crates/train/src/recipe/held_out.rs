//! Answers for rows that a model has not seen, and what they say about it.

use budwood_base::statistics::{exchanged, mcnemar, sign_flips};
use budwood_tasks::metric::{is_better, multilabel};

use super::account::{Estimate, Thresholded};
use super::calibrate::{self, Calibration};
use super::problem::Wanted;
use super::thresholds::{self, Aim};
use crate::{Answers, Error, Prepared, scores};

/// Share by which a temperature may make the Brier score worse: what it is fitted by is the
/// likelihood.
const WORSE: f64 = 0.02;
/// Draws of the tests.
const DRAWS: usize = 2000;

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
        let rows: Vec<usize> = (0..answers.outputs.len()).collect();
        let losses = self.losses(&rows, &answers.outputs);
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        Estimate { score: found.map_or(0.0, |s| s.value), loss }
    }

    /// Whether a score is no worse than another. One that is undefined is worse than any other.
    pub(super) fn is_no_worse(&self, score: f64, than: f64) -> bool {
        than.is_nan() || !score.is_nan() && !is_better(self.metric, than, score)
    }

    /// The loss of each of some rows, with logits at the temperature that suits them best.
    pub(super) fn losses(&self, rows: &[usize], outputs: &[Vec<f32>]) -> Vec<f64> {
        let mut logits = wide(outputs);
        if let Some(right) = self.right() {
            let right: Vec<u32> = rows.iter().map(|&row| right[row]).collect();
            let t = calibrate::temperature(&logits, &right);
            logits.iter_mut().flatten().for_each(|x| *x /= t);
        }
        rows.iter().zip(&mut logits).map(|(&row, y)| self.wanted.loss(row, y)).collect()
    }

    /// Of classes: 1 for each row whose answer is wrong, 0 for the others.
    pub(super) fn mistakes(&self, answers: &Answers) -> Vec<f64> {
        let right = self.right().unwrap_or_default().iter();
        right.zip(answers.classes()).map(|(r, c)| f64::from(u8::from(*r != c))).collect()
    }

    /// The probability that outputs which say nothing of what is wanted would look as good: with
    /// the classes exchanged among the rows, or for labels and numbers with the signs of the
    /// losses' differences from those of one answer for all by the toss of a coin.
    pub(super) fn chance(&self, answers: &Answers, same: &[f64]) -> f64 {
        let Some(right) = self.right() else {
            let rows: Vec<usize> = (0..answers.outputs.len()).collect();
            let given = self.losses(&rows, &answers.outputs);
            let of_same = |&row: &usize| self.wanted.loss(row, &mut same.to_vec());
            let away: Vec<f64> =
                rows.iter().zip(given).map(|(row, own)| own - of_same(row)).collect();
            let better = away.iter().sum::<f64>() < 0.0;
            return if better { sign_flips(&away, DRAWS, 0) } else { 1.0 };
        };
        exchanged(&answers.outputs, right, DRAWS, 0)
    }

    /// Of classes: the probability that answers which are right no more often than one for all
    /// would be right more often by as much. McNemar's test.
    pub(super) fn chance_of_accuracy(&self, answers: &Answers, same: &[f64]) -> Option<f64> {
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
        let logits = wide(&answers.outputs);
        let t = calibrate::temperature(&logits, right);
        let of = |t| Calibration::of_logits(&logits, right, t);
        let before = of(1.0);
        // The likelihood may ask for a temperature that makes probabilities worse: where a few rows
        // have classes that no other fold holds.
        let t = if of(t).brier <= (1.0 + WORSE) * before.brier { t } else { 1.0 };
        let t = t.max(calibrate::least_temperature(&logits));
        Some((t, before, of(t)))
    }

    /// Thresholds for several labels, if they are better on held-out rows.
    pub(super) fn thresholds(&self, answers: &Answers) -> Option<Thresholded> {
        let Wanted::Labels(holds, labels) = &self.wanted else { return None };
        let (labels, outputs) = (*labels, &answers.outputs);
        let own = |i: usize| &holds[i * labels..(i + 1) * labels];
        let aim = if self.metric == "macro_f1" { Aim::Each } else { Aim::Together };
        let fitted = thresholds::fit(outputs, |i, label| own(i)[label] > 0.0, aim)?;
        let right = |i: usize| (0u32..).zip(own(i)).filter(|(_, h)| **h > 0.0).map(|(l, _)| l);
        let right: Vec<Vec<u32>> = (0..outputs.len()).map(|i| right(i).collect()).collect();
        let usual: Vec<Vec<u32>> =
            (0..outputs.len()).map(|i| answers.labels(i, self.data)).collect();
        let score = |given: &[Vec<u32>]| {
            let found = multilabel(given, &right, labels).into_iter();
            found.filter(|(name, _)| *name == self.metric).map(|(_, value)| value).next()
        };
        let (before, after) = (score(&usual)?, score(&fitted.given)?);
        (after > before).then_some(Thresholded { values: fitted.thresholds, before, after })
    }

    /// The estimate of giving all rows the same outputs.
    pub(super) fn of_one_answer(&self, same: &[f64]) -> Estimate {
        let row: Vec<f32> = same.iter().map(|&x| x as f32).collect();
        let mut estimate = self.estimate(&Answers { outputs: vec![row; self.data.len()] });
        // The shares are what they are; no temperature makes them better.
        let of = |row| self.wanted.loss(row, &mut same.to_vec());
        estimate.loss = (0..self.data.len()).map(of).sum::<f64>() / self.data.len().max(1) as f64;
        if estimate.score.is_nan() {
            // A correlation with a constant is none.
            estimate.score = 0.0;
        }
        estimate
    }
}

fn wide(outputs: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let row = |row: &Vec<f32>| row.iter().map(|&x| f64::from(x)).collect();
    outputs.iter().map(row).collect()
}
