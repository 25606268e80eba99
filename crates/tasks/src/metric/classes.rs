//! Right and given classes, counted.

use super::ratio::ratio;

/// What scores of classes are made from.
pub struct Classes<'a> {
    /// Rows by right class, then by the class given: `[classes][classes]`.
    pub counts: &'a [Vec<u64>],
    /// The class that F1 is about.
    pub positive: usize,
}

impl Classes<'_> {
    /// All rows.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Rows of a class.
    pub fn there(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Rows that were given a class.
    pub fn given(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Rows of a class that were given it.
    pub fn right(&self, class: usize) -> u64 {
        self.counts[class][class]
    }

    /// Share of the rows given a class that are of it; not a number where none was.
    pub fn precision(&self, class: usize) -> f64 {
        ratio(self.right(class) as f64, self.given(class) as f64)
    }

    /// Share of the rows of a class that were given it; not a number where there is none.
    pub fn recall(&self, class: usize) -> f64 {
        ratio(self.right(class) as f64, self.there(class) as f64)
    }

    /// F1 of a class; not a number where it is neither there nor given.
    pub fn f1(&self, class: usize) -> f64 {
        let sum = self.given(class) + self.there(class);
        ratio(2.0 * self.right(class) as f64, sum as f64)
    }
}

/// Counts by `[expected][predicted]`.
///
/// # Panics
/// If the lengths differ or a class is not below `classes`.
pub fn confusion(predicted: &[u32], expected: &[u32], classes: usize) -> Vec<Vec<u64>> {
    assert_eq!(predicted.len(), expected.len());
    let mut counts = vec![vec![0; classes]; classes];
    for (&p, &e) in predicted.iter().zip(expected) {
        counts[e as usize][p as usize] += 1;
    }
    counts
}
