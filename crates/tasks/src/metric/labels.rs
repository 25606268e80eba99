//! Given and right sets of labels, counted.

use super::ratio::ratio;

/// What scores of sets of labels are made from.
pub struct LabelCounts {
    /// Of each label: examples where it is right, given, there.
    labels: Vec<[u64; 3]>,
    /// Examples with all labels right.
    exact: usize,
    examples: usize,
}

impl LabelCounts {
    /// Of the labels given and right for each example, each in order.
    ///
    /// # Panics
    /// If the lengths differ or a label is not below `labels`.
    pub(super) fn of(predicted: &[Vec<u32>], expected: &[Vec<u32>], labels: usize) -> Self {
        assert_eq!(predicted.len(), expected.len());
        let mut counts = vec![[0; 3]; labels];
        for (p, e) in predicted.iter().zip(expected) {
            p.iter().for_each(|&l| counts[l as usize][1] += 1);
            e.iter().for_each(|&l| counts[l as usize][2] += 1);
            p.iter().filter(|l| e.contains(l)).for_each(|&l| counts[l as usize][0] += 1);
        }
        let exact = predicted.iter().zip(expected).filter(|(p, e)| p == e).count();
        Self { labels: counts, exact, examples: expected.len() }
    }

    /// F1 over all labels of all examples; not a number where none is there, nor was given.
    pub(super) fn micro_f1(&self) -> f64 {
        let sum = |t: [u64; 3], c: &[u64; 3]| [t[0] + c[0], t[1] + c[1], t[2] + c[2]];
        let [right, given, there] = self.labels.iter().fold([0; 3], sum);
        ratio(2.0 * right as f64, (given + there) as f64)
    }

    /// The mean of all labels' F1. A label that is neither there nor given counts as 0, as
    /// scikit-learn with `zero_division=0`.
    pub(super) fn macro_f1(&self) -> f64 {
        let f1 = |&[right, given, there]: &[u64; 3]| match given + there {
            0 => 0.0,
            sum => 2.0 * right as f64 / sum as f64,
        };
        self.labels.iter().map(f1).sum::<f64>() / self.labels.len().max(1) as f64
    }

    /// The share of examples with all labels right; not a number where there is none.
    pub(super) fn exact_match(&self) -> f64 {
        ratio(self.exact as f64, self.examples as f64)
    }
}
