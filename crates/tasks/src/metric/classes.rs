//! Right and given classes, counted.

use super::ratio::ratio;

/// What scores of classes are made from. Where classes are many, a table of all pairs of them would
/// be large, and scores of a thousand draws need one each.
pub struct Classes {
    there: Vec<u64>,
    given: Vec<u64>,
    right: Vec<u64>,
    /// The class that F1 is about.
    pub positive: usize,
}

impl Classes {
    /// Of predicted and expected classes.
    ///
    /// # Panics
    /// If the lengths differ or a class is not below `classes`.
    pub fn of(predicted: &[u32], expected: &[u32], classes: usize, positive: usize) -> Self {
        assert_eq!(predicted.len(), expected.len());
        let none = || vec![0; classes];
        let mut all = Self { there: none(), given: none(), right: none(), positive };
        for (&p, &e) in predicted.iter().zip(expected) {
            all.there[e as usize] += 1;
            all.given[p as usize] += 1;
            all.right[e as usize] += u64::from(p == e);
        }
        all
    }

    /// Of rows by right class, then by the class given: `[classes][classes]`.
    pub fn of_counts(counts: &[Vec<u64>], positive: usize) -> Self {
        let classes = || 0..counts.len();
        Self {
            there: counts.iter().map(|row| row.iter().sum()).collect(),
            given: classes().map(|c| counts.iter().map(|row| row[c]).sum()).collect(),
            right: classes().map(|c| counts[c][c]).collect(),
            positive,
        }
    }

    /// How many classes there are.
    pub fn count(&self) -> usize {
        self.there.len()
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.there.iter().sum()
    }

    /// Rows of a class.
    pub fn there(&self, class: usize) -> u64 {
        self.there[class]
    }

    /// Rows that were given a class.
    pub fn given(&self, class: usize) -> u64 {
        self.given[class]
    }

    /// Rows of a class that were given it.
    pub fn right(&self, class: usize) -> u64 {
        self.right[class]
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

/// Classes that are counted by pairs: of 10,000 a table takes 800 MB.
const TABLED: usize = 1000;

/// Counts by `[expected][predicted]`; none for more than 1,000 classes.
///
/// # Panics
/// If the lengths differ or a class is not below `classes`.
pub fn confusion(predicted: &[u32], expected: &[u32], classes: usize) -> Option<Vec<Vec<u64>>> {
    assert_eq!(predicted.len(), expected.len());
    if classes > TABLED {
        return None;
    }
    let mut counts = vec![vec![0; classes]; classes];
    for (&p, &e) in predicted.iter().zip(expected) {
        counts[e as usize][p as usize] += 1;
    }
    Some(counts)
}
