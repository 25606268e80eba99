//! Probabilities that can be trusted: a temperature that logits are divided by (Guo et al. 2017),
//! and how far probabilities are from what happens.

use budwood_base::statistics::{Surest, surest};
use serde::Serialize;

/// Groups of equal width that the calibration error is taken over, as in Guo et al. 2017.
const BINS: usize = 15;
/// Bounds of the temperature's logarithm.
const RANGE: (f64, f64) = (-5.0, 5.0);

fn largest(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Of a row's logits over a temperature, each one's share in the softmax, times a number that is
/// one for the `largest` of them.
fn shares(row: &[f64], largest: f64, temperature: f64) -> impl Iterator<Item = f64> {
    row.iter().map(move |x| ((x - largest) / temperature).exp())
}

/// The mean of `ln(sum of exp) - right` of logits over a temperature.
fn cross_entropy(logits: &[Vec<f64>], right: &[u32], temperature: f64) -> f64 {
    let of = |(row, &class): (&Vec<f64>, &u32)| {
        let max = largest(row);
        let sum: f64 = shares(row, max, temperature).sum();
        sum.ln() - (row[class as usize] - max) / temperature
    };
    logits.iter().zip(right).map(of).sum::<f64>() / right.len().max(1) as f64
}

/// The temperature at which the logits' cross-entropy is least. It is convex in the inverse and has
/// one valley in the logarithm, so that a search by golden sections ends in it.
pub(crate) fn temperature(logits: &[Vec<f64>], right: &[u32]) -> f64 {
    let loss = |log: f64| cross_entropy(logits, right, log.exp());
    golden_section(RANGE, loss).exp()
}

/// The least temperature at which answers are in the mean no surer than `(n + 1) / (n + 2)`: so
/// sure may be who saw n of n right (Laplace's rule of succession). Where all of a few rows are
/// right, cross-entropy alone has a temperature of nearly 0, and every answer would be certain.
pub(crate) fn least_temperature(logits: &[Vec<f64>]) -> f64 {
    let n = logits.len() as f64;
    let is_too_sure = |log: f64| {
        let sure = |row: &Vec<f64>| 1.0 / shares(row, largest(row), log.exp()).sum::<f64>();
        logits.iter().map(sure).sum::<f64>() > n * (n + 1.0) / (n + 2.0)
    };
    let (mut low, mut high) = RANGE;
    if !is_too_sure(low) {
        return low.exp();
    }
    while high - low > 1e-6 {
        let middle = (low + high) / 2.0;
        if is_too_sure(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.exp()
}

/// The place in a range where a function with one valley is least.
fn golden_section((mut low, mut high): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    let share = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - share * (high - low), low + share * (high - low));
    let (mut f_a, mut f_b) = (f(a), f(b));
    while high - low > 1e-6 {
        if f_a <= f_b {
            (high, b, f_b) = (b, a, f_a);
            a = high - share * (high - low);
            f_a = f(a);
        } else {
            (low, a, f_a) = (a, b, f_b);
            b = low + share * (high - low);
            f_b = f(b);
        }
    }
    (low + high) / 2.0
}

/// How good probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error over 15 groups of equal width, weighted by rows: how far the
    /// share of right answers is from the probability of the answer.
    pub ece: f64,
    /// Brier score: the squared distance of all probabilities from 1 for the right class and 0 for
    /// the others.
    pub brier: f64,
}

impl Calibration {
    /// Of the probabilities of each row's classes, with the right ones. 0 without rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = (&'a [f32], u32)>) -> Self {
        let mut bins = [(0.0, 0.0); BINS];
        let (mut n, mut brier) = (0.0, 0.0);
        for (probabilities, right) in rows {
            let (mut answer, mut most) = (0, 0.0);
            for (class, &p) in (0u32..).zip(probabilities) {
                let p = f64::from(p);
                brier += (p - f64::from(u8::from(class == right))).powi(2);
                if p > most {
                    (answer, most) = (class, p);
                }
            }
            // The upper bound belongs to a group, as in Guo's code.
            let bin = ((most * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin].0 += most;
            bins[bin].1 += f64::from(u8::from(answer == right));
            n += 1.0;
        }
        let n = f64::max(n, 1.0);
        let ece = bins.iter().map(|(sure, hits)| (sure - hits).abs()).sum::<f64>() / n;
        Self { ece, brier: brier / n }
    }

    /// Of logits over a temperature.
    pub(crate) fn of_logits(logits: &[Vec<f64>], right: &[u32], temperature: f64) -> Self {
        let probabilities: Vec<Vec<f32>> = logits
            .iter()
            .map(|row| {
                let e: Vec<f64> = shares(row, largest(row), temperature).collect();
                let sum: f64 = e.iter().sum();
                e.iter().map(|x| (x / sum) as f32).collect()
            })
            .collect();
        Self::of(probabilities.iter().map(Vec::as_slice).zip(right.iter().copied()))
    }
}

/// How often the surest answers are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Covered {
    /// Share of all rows that are answered.
    pub coverage: f64,
    /// The least probability among them.
    pub least: f64,
    /// Share of right answers among them.
    pub accuracy: f64,
}

/// Shares of the rows, the surest first, with the accuracy on them; from rows' probabilities of
/// their answers and whether these are right. Rows of one probability are answered together.
/// Nothing without rows.
pub fn accuracy_over_coverage(rows: Vec<(f32, bool)>) -> Vec<Covered> {
    let n = rows.len() as f64;
    let wished = [1.0, 0.9, 0.75, 0.5, 0.25].map(|share| (n * share).round() as usize);
    let of = |Surest { given, least, right }| Covered {
        coverage: given as f64 / n,
        least: f64::from(least),
        accuracy: right as f64 / given as f64,
    };
    surest(rows, wished).into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use budwood_base::random::Key;

    use super::*;

    /// Logits whose softmax is the probability of the class that is drawn, times a factor.
    fn overconfident(factor: f64) -> (Vec<Vec<f64>>, Vec<u32>) {
        let key = Key::new(3);
        let row = |i: u64| -> (Vec<f64>, u32) {
            let logits: Vec<f64> = (0..3).map(|k| 1.5 * key.child(k).normal(i)).collect();
            let e: Vec<f64> = logits.iter().map(|x| x.exp()).collect();
            let draw = key.named("class").uniform(i) * e.iter().sum::<f64>();
            let class = if draw < e[0] {
                0
            } else if draw < e[0] + e[1] {
                1
            } else {
                2
            };
            (logits.iter().map(|x| x * factor).collect(), class)
        };
        (0..4000).map(row).unzip()
    }

    #[test]
    fn the_temperature_takes_back_what_is_too_sure() {
        let (logits, right) = overconfident(3.0);
        let t = temperature(&logits, &right);
        assert!((t - 3.0).abs() < 0.2, "{t}");
        let before = Calibration::of_logits(&logits, &right, 1.0);
        let after = Calibration::of_logits(&logits, &right, t);
        assert!(before.ece > 0.1 && after.ece < 0.02, "{before:?} {after:?}");
        assert!(after.brier < before.brier);
        let (logits, right) = overconfident(0.25);
        assert!((temperature(&logits, &right) - 0.25).abs() < 0.02, "too unsure");
    }

    /// By hand: two rows in the group (0.8, 0.867] of which one is right, one in (0.533, 0.6].
    #[test]
    fn the_error_is_that_of_guo() {
        let rows: [(&[f32], u32); 3] = [(&[0.82, 0.18], 0), (&[0.14, 0.86], 0), (&[0.6, 0.4], 0)];
        let found = Calibration::of(rows);
        let ece = ((0.82f64 + 0.86 - 1.0).abs() + (0.6f64 - 1.0).abs()) / 3.0;
        let brier = (2.0 * 0.18f64.powi(2) + 2.0 * 0.86f64.powi(2) + 2.0 * 0.4f64.powi(2)) / 3.0;
        assert!((found.ece - ece).abs() < 1e-6, "{found:?} {ece}");
        assert!((found.brier - brier).abs() < 1e-6, "{found:?} {brier}");
        assert_eq!(Calibration::of([]), Calibration { ece: 0.0, brier: 0.0 });
    }

    #[test]
    fn the_surest_answers_come_first() {
        let rows = vec![(0.6, false), (0.9, true), (0.5, false), (0.8, true)];
        let found = accuracy_over_coverage(rows);
        let of = |i: usize| (found[i].coverage, found[i].accuracy);
        assert_eq!((of(0), of(2)), ((1.0, 0.5), (0.5, 1.0)));
        assert!((found[2].least - 0.8).abs() < 1e-6 && found.len() == 4);
        assert_eq!(accuracy_over_coverage(vec![(0.7, true)]).len(), 1);
        assert!(accuracy_over_coverage(Vec::new()).is_empty());
    }

    #[test]
    fn right_answers_alone_make_the_surest_temperature_and_no_number_that_is_none() {
        let t = temperature(&[vec![2.0, -1.0], vec![1.0, 0.0]], &[0, 0]);
        assert!(t.is_finite() && t > 0.0 && t < 0.01, "{t}");
        assert!(temperature(&[], &[]).is_finite());
        assert!(least_temperature(&[]).is_finite());
    }

    #[test]
    fn a_few_right_answers_make_none_certain() {
        // Two classes with logits of x and 0: the probability is 1 / (1 + exp(-x / t)).
        for n in [1, 8, 60] {
            let logits = vec![vec![0.5, 0.0]; n];
            let sure = 1.0 / (1.0 + (-0.5 / least_temperature(&logits)).exp());
            let (n, found) = (n as f64, sure);
            assert!((found - (n + 1.0) / (n + 2.0)).abs() < 1e-5, "{n}: {found}");
        }
        // Where some are wrong, the likelihood is less sure than that.
        let (logits, right) = overconfident(3.0);
        assert!(least_temperature(&logits) < temperature(&logits, &right));
    }
}
