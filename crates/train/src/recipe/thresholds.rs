//! The probability from which on a label is said to hold, for each of several labels.
//!
//! 0.5 is right where probabilities are to be right; F1 asks for less where labels are rare. The
//! thresholds are those of the largest F1 on held-out rows: of each label by itself for macro-F1;
//! for micro-F1 and all other scores of all labels together. For the latter, with `F` the F1 of
//! all, each label takes the threshold of the largest `2 hits - F given`, and `F` grows until it
//! stays (Dinkelbach 1967).
//!
//! Whether they are worth having is seen on rows that did not choose: each half of them is answered
//! with the thresholds of the other half.

use crate::evaluate::probability;

/// Where nothing else is known.
pub(crate) const USUAL: f32 = 0.5;
/// Rows with a label, and without, that a threshold of its own needs.
const LEAST: usize = 4;
/// Rounds at most; a few are enough, as each is a step of Newton's method.
const ROUNDS: usize = 50;

/// What thresholds are best for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// F1 of each label by itself.
    Each,
    /// F1 of all together.
    Together,
}

/// The thresholds of all labels, and the labels that rows get from thresholds which others chose.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) thresholds: Vec<f32>,
    pub(super) given: Vec<Vec<u32>>,
}

/// Probabilities of a label, and whether it holds.
type Rows = Vec<(f32, bool)>;

/// Fits thresholds to the logits of rows, and whether each label holds for them. None if no label
/// gets another one than the usual.
pub(super) fn fit(
    logits: &[Vec<f32>],
    holds: impl Fn(usize, usize) -> bool,
    aim: Aim,
) -> Option<Fitted> {
    let labels = logits.first().map_or(0, Vec::len);
    let of_label = |label: usize| -> Rows {
        let row = |(i, y): (usize, &Vec<f32>)| (probability(y[label]), holds(i, label));
        logits.iter().enumerate().map(row).collect()
    };
    let all: Vec<Rows> = (0..labels).map(of_label).collect();
    let half = |odd: usize| -> Vec<Rows> {
        let part = |rows: &Rows| rows.iter().skip(odd).step_by(2).copied().collect();
        all.iter().map(part).collect()
    };
    let of_other_half = [thresholds(&half(1), aim), thresholds(&half(0), aim)];
    let given = |i: usize| -> Vec<u32> {
        let above = |label: &usize| all[*label][i].0 > of_other_half[i % 2][*label];
        (0..labels).filter(above).map(|label| label as u32).collect()
    };
    let given = (0..logits.len()).map(given).collect();
    let thresholds = thresholds(&all, aim);
    let differs = thresholds.iter().any(|t| *t != USUAL);
    differs.then_some(Fitted { thresholds, given })
}

/// The thresholds of labels with the largest F1.
fn thresholds(labels: &[Rows], aim: Aim) -> Vec<f32> {
    let is_enough = |rows: &Rows| {
        let held = rows.iter().filter(|(_, holds)| *holds).count();
        held.min(rows.len() - held) >= LEAST
    };
    let own = |worth: &dyn Fn(&Counts) -> f64| -> Vec<f32> {
        let best = |rows: &Rows| if is_enough(rows) { best(rows, worth) } else { USUAL };
        labels.iter().map(best).collect()
    };
    if aim == Aim::Each {
        return own(&Counts::f1);
    }
    let together = |thresholds: &[f32]| {
        let counts = labels.iter().zip(thresholds).map(|(rows, t)| Counts::of(rows, *t));
        counts.fold(Counts::default(), Counts::plus).f1()
    };
    let mut found = vec![USUAL; labels.len()];
    let mut f1 = together(&found);
    for _ in 0..ROUNDS {
        let next = own(&|c: &Counts| 2.0 * c.hits as f64 - f1 * c.given as f64);
        let reached = together(&next);
        if reached <= f1 {
            break;
        }
        (found, f1) = (next, reached);
    }
    found
}

/// What a threshold gives.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hits: usize,
    given: usize,
    held: usize,
}

impl Counts {
    fn of(rows: &Rows, threshold: f32) -> Self {
        let of = |(p, holds): &(f32, bool)| Self {
            hits: usize::from(*p > threshold && *holds),
            given: usize::from(*p > threshold),
            held: usize::from(*holds),
        };
        rows.iter().map(of).fold(Self::default(), Self::plus)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            given: self.given + other.given,
            held: self.held + other.held,
        }
    }

    fn f1(&self) -> f64 {
        2.0 * self.hits as f64 / (self.given + self.held).max(1) as f64
    }
}

/// The threshold that is worth most, half-way between two rows; of equally good ones the nearest to
/// the usual.
fn best(rows: &Rows, worth: &dyn Fn(&Counts) -> f64) -> f32 {
    let mut sorted = rows.clone();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let usual = Counts::of(rows, USUAL);
    let mut best = (worth(&usual), USUAL);
    let mut counts = Counts { held: usual.held, ..Counts::default() };
    for pair in sorted.windows(2) {
        counts.hits += usize::from(pair[0].1);
        counts.given += 1;
        let threshold = (pair[0].0 + pair[1].0) / 2.0;
        // Rows of the same probability are told apart by no threshold.
        if !(pair[1].0 <= threshold && threshold < pair[0].0) {
            continue;
        }
        let score = worth(&counts);
        let nearer = (threshold - USUAL).abs() < (best.1 - USUAL).abs();
        if score > best.0 || score == best.0 && nearer {
            best = (score, threshold);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use budwood_base::random::Key;

    use super::*;

    /// Labels that hold with the probability that their logit says, the second one for few rows.
    fn rows(n: u64) -> (Vec<Vec<f32>>, Vec<[bool; 2]>) {
        let key = Key::new(5);
        let row = |i: u64| {
            let logits = [2.0 * key.child(0).normal(i), 1.5 * key.child(1).normal(i) - 2.5];
            let holds = |k: usize| {
                let p = 1.0 / (1.0 + (-logits[k]).exp());
                key.named("holds").child(k as u64).uniform(i) < p
            };
            (logits.map(|x| x as f32).to_vec(), [holds(0), holds(1)])
        };
        (0..n).map(row).unzip()
    }

    /// The best of all thresholds in steps of 0.001.
    fn by_search(logits: &[Vec<f32>], holds: &[[bool; 2]], k: usize) -> f64 {
        let rows: Rows = logits.iter().zip(holds).map(|(y, h)| (probability(y[k]), h[k])).collect();
        (0..1000).map(|t| Counts::of(&rows, t as f32 / 1000.0).f1()).fold(0.0, f64::max)
    }

    #[test]
    fn a_rare_label_gets_a_lower_threshold_with_the_best_f1() {
        let (logits, holds) = rows(2000);
        let fitted = fit(&logits, |i, k| holds[i][k], Aim::Each).unwrap();
        let rare = fitted.thresholds[1];
        assert!((0.1..0.4).contains(&rare), "{fitted:?}");
        let own: Rows = logits.iter().zip(&holds).map(|(y, h)| (probability(y[1]), h[1])).collect();
        assert!(Counts::of(&own, rare).f1() >= by_search(&logits, &holds, 1) - 1e-9);
        assert!(Counts::of(&own, rare).f1() > Counts::of(&own, USUAL).f1() + 0.02);
        // Rows that did not choose are what the labels given to them say.
        let given = fitted.given.iter().filter(|given| given.contains(&1)).count();
        let usual = own.iter().filter(|(p, _)| *p > USUAL).count();
        assert!(given > usual, "{given} {usual}");
    }

    #[test]
    fn few_rows_and_noise_keep_the_usual_one() {
        let (logits, holds) = rows(2000);
        let few = &logits[..6];
        assert_eq!(fit(few, |i, k| holds[i][k], Aim::Each), None);
        for aim in [Aim::Each, Aim::Together] {
            assert_eq!(fit(&logits, |_, _| false, aim), None, "nothing holds");
            assert_eq!(fit(&[], |_, _| false, aim), None);
            // All rows alike: no threshold tells them apart.
            let same = vec![vec![0.3, 0.3]; 100];
            assert_eq!(fit(&same, |i, _| i % 3 == 0, aim), None);
        }
    }

    /// No pair of thresholds in steps of 0.02 has a larger F1 of both labels together.
    #[test]
    fn thresholds_together_are_the_best_of_a_grid() {
        let (logits, holds) = rows(600);
        let fitted = fit(&logits, |i, k| holds[i][k], Aim::Together).unwrap();
        let of = |k: usize| -> Rows {
            logits.iter().zip(&holds).map(|(y, h)| (probability(y[k]), h[k])).collect()
        };
        let labels = [of(0), of(1)];
        let f1 = |a: f32, b: f32| Counts::of(&labels[0], a).plus(Counts::of(&labels[1], b)).f1();
        let grid = |i: u8| f32::from(i) * 0.02;
        let best = (0..2500u16).map(|i| f1(grid((i / 50) as u8), grid((i % 50) as u8)));
        let best = best.fold(0.0, f64::max);
        let found = f1(fitted.thresholds[0], fitted.thresholds[1]);
        assert!(found >= best, "{found} {best} {fitted:?}");
        assert!(found > f1(USUAL, USUAL) + 0.01);
    }
}
