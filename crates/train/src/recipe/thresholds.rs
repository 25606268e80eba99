//! The probability from which on a label is said to hold, for each of several labels.
//!
//! 0.5 is right where probabilities are to be right; the best F1 asks for less where a label is
//! rare. A label's threshold is the one whose F1 on held-out rows is largest. Whether it is worth
//! having is seen on rows that did not choose it: each half of them is answered with the threshold
//! of the other half.

use crate::evaluate::probability;

/// Where nothing else is known.
pub(crate) const USUAL: f32 = 0.5;
/// Held-out rows with a label, and without, that a threshold of its own needs.
const LEAST: usize = 8;

/// The thresholds of all labels, and the labels that rows get from thresholds which others chose.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) thresholds: Vec<f32>,
    pub(super) given: Vec<Vec<u32>>,
}

/// Probabilities of a label, and whether it holds.
type Rows = Vec<(f32, bool)>;

/// Fits thresholds to the logits of rows, and whether each label holds for them. None if no label
/// has a better one than the usual.
pub(super) fn fit(logits: &[Vec<f32>], holds: impl Fn(usize, usize) -> bool) -> Option<Fitted> {
    let labels = logits.first().map_or(0, Vec::len);
    let mut fitted =
        Fitted { thresholds: vec![USUAL; labels], given: vec![Vec::new(); logits.len()] };
    for label in 0..labels {
        let row = |(i, y): (usize, &Vec<f32>)| (probability(y[label]), holds(i, label));
        let rows: Rows = logits.iter().enumerate().map(row).collect();
        let half = |odd: bool| {
            let rows = rows.iter().enumerate().filter(|(i, _)| (i % 2 == 1) == odd);
            best(&rows.map(|(_, row)| *row).collect())
        };
        let held = rows.iter().filter(|(_, holds)| *holds).count();
        let of_other_half = [half(true), half(false)];
        let usual = f1(&rows, |_| USUAL);
        let better =
            held.min(rows.len() - held) >= LEAST && f1(&rows, |i| of_other_half[i % 2]) > usual;
        if better {
            fitted.thresholds[label] = best(&rows);
        }
        for (i, given) in fitted.given.iter_mut().enumerate() {
            let threshold = if better { of_other_half[i % 2] } else { USUAL };
            if rows[i].0 > threshold {
                given.push(label as u32);
            }
        }
    }
    fitted.thresholds.iter().any(|t| *t != USUAL).then_some(fitted)
}

/// F1 of a label with a threshold for each row.
fn f1(rows: &Rows, threshold: impl Fn(usize) -> f32) -> f64 {
    let (mut hits, mut given, mut held) = (0, 0, 0);
    for (i, (p, holds)) in rows.iter().enumerate() {
        let says = *p > threshold(i);
        hits += usize::from(says && *holds);
        given += usize::from(says);
        held += usize::from(*holds);
    }
    2.0 * hits as f64 / (given + held).max(1) as f64
}

/// The threshold of the largest F1, half-way between two rows; of equally good ones the nearest to
/// the usual.
fn best(rows: &Rows) -> f32 {
    let mut sorted = rows.clone();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let held = rows.iter().filter(|(_, holds)| *holds).count();
    let mut best = (f1(rows, |_| USUAL), USUAL);
    let mut hits = 0;
    for (i, pair) in sorted.windows(2).enumerate() {
        hits += usize::from(pair[0].1);
        let threshold = (pair[0].0 + pair[1].0) / 2.0;
        // Rows of the same probability are told apart by no threshold.
        if !(pair[1].0 <= threshold && threshold < pair[0].0) {
            continue;
        }
        let score = 2.0 * hits as f64 / (i + 1 + held).max(1) as f64;
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
        (0..1000).map(|t| f1(&rows, |_| t as f32 / 1000.0)).fold(0.0, f64::max)
    }

    #[test]
    fn a_rare_label_gets_a_lower_threshold_with_the_best_f1() {
        let (logits, holds) = rows(2000);
        let fitted = fit(&logits, |i, k| holds[i][k]).unwrap();
        let rare = fitted.thresholds[1];
        assert!((0.1..0.4).contains(&rare), "{fitted:?}");
        let own: Rows = logits.iter().zip(&holds).map(|(y, h)| (probability(y[1]), h[1])).collect();
        assert!(f1(&own, |_| rare) >= by_search(&logits, &holds, 1) - 1e-9);
        assert!(f1(&own, |_| rare) > f1(&own, |_| USUAL) + 0.02);
        // Rows that did not choose are what the labels given to them say.
        let given = fitted.given.iter().filter(|given| given.contains(&1)).count();
        let usual = own.iter().filter(|(p, _)| *p > USUAL).count();
        assert!(given > usual, "{given} {usual}");
    }

    #[test]
    fn few_rows_and_noise_keep_the_usual_one() {
        let (logits, holds) = rows(2000);
        let few = &logits[..12];
        assert_eq!(fit(few, |i, k| holds[i][k]), None);
        assert_eq!(fit(&logits, |_, _| false), None, "nothing holds");
        assert_eq!(fit(&[], |_, _| false), None);
        // All rows alike: no threshold tells them apart.
        let same = vec![vec![0.3, 0.3]; 100];
        assert_eq!(fit(&same, |i, _| i % 3 == 0), None);
    }
}
