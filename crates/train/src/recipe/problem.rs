//! What a linear model is learned from, and the model.
//!
//! Vectors are first centred and divided by one number, so that their mean squared length is 1. A
//! strength `C` then means the same on every base model: with weights that are normal with variance
//! `C`, an output's deviation is the root of `C`.

use budwood_model::Targets;

use crate::Error;

/// Multiplications of one gradient beyond which classes are learned by ridge regression.
const LARGEST_LOGISTIC: usize = 500_000_000;

/// Vectors `[rows, width]`, centred and of mean squared length 1.
#[derive(Clone, Debug)]
pub(crate) struct Vectors {
    pub(crate) width: usize,
    /// Row by row.
    values: Vec<f32>,
    /// What was taken off each row.
    mean: Vec<f64>,
    /// What the rest was multiplied by.
    scale: f64,
}

impl Vectors {
    /// Centres and scales rows of `width` numbers. Rows that are all equal become zeros.
    pub(crate) fn new(rows: &[Vec<f32>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        let n = rows.len().max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x) / n);
        }
        let away = |row: &Vec<f32>| -> f64 {
            row.iter().zip(&mean).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum()
        };
        let squared = rows.iter().map(away).sum::<f64>() / n;
        // Below this, what differs is rounding.
        let size = mean.iter().map(|m| m * m).sum::<f64>();
        let scale = if squared > 1e-12 * size { squared.sqrt().recip() } else { 0.0 };
        let centred = |row: &Vec<f32>| {
            row.iter().zip(&mean).map(|(x, m)| ((f64::from(*x) - m) * scale) as f32).collect()
        };
        let values = rows.iter().map(centred).collect::<Vec<Vec<f32>>>().concat();
        Self { width, values, mean, scale }
    }

    pub(crate) fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }
}

/// What a linear model's outputs should be, an entry for each row of the vectors.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// One of so many classes.
    Classes(Vec<u32>, usize),
    /// For each row and label 1 or 0, row by row.
    Labels(Vec<f32>, usize),
    /// A number.
    Values(Vec<f64>),
}

impl Wanted {
    /// What targets want of so many outputs.
    ///
    /// # Errors
    /// If they are those of tokens.
    pub(crate) fn of(targets: &Targets, outputs: usize) -> Result<Self, Error> {
        Ok(match targets {
            Targets::Classes(all) => Self::Classes(all.clone(), outputs),
            Targets::Labels(all) => Self::Labels(all.concat(), outputs),
            Targets::Values(all) => Self::Values(all.iter().map(|&x| f64::from(x)).collect()),
            Targets::Tags(_) | Targets::Spans(_) | Targets::Words(_) => {
                return Err(Error::Usage("targets of tokens have no vectors for a probe".into()));
            }
        })
    }

    /// The outputs that say the classes' or labels' shares among some rows, or the mean.
    pub(crate) fn shares(&self, rows: &[usize]) -> Vec<f64> {
        let n = rows.len().max(1) as f64;
        let mut sums = vec![0.0; self.outputs()];
        for &row in rows {
            match self {
                Self::Classes(classes, _) => sums[classes[row] as usize] += 1.0,
                Self::Labels(labels, n) => {
                    let own = &labels[row * n..(row + 1) * n];
                    sums.iter_mut().zip(own).for_each(|(s, y)| *s += f64::from(*y));
                }
                Self::Values(values) => sums[0] += values[row],
            }
        }
        let output = |sum: f64| match self {
            // A class that does not occur is given next to nothing.
            Self::Classes(..) => (sum.max(1e-3) / n).ln(),
            Self::Labels(..) => ((sum + 1e-3) / (n - sum + 1e-3)).ln(),
            Self::Values(_) => sum / n,
        };
        sums.into_iter().map(output).collect()
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Classes(all, _) => all.len(),
            Self::Labels(all, n) => all.len() / (*n).max(1),
            Self::Values(all) => all.len(),
        }
    }

    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Classes(_, n) | Self::Labels(_, n) => *n,
            Self::Values(_) => 1,
        }
    }

    /// The loss of one row's outputs: cross-entropy, the mean over labels of it, or half the
    /// squared error. Writes the gradient in the place of the outputs.
    pub(crate) fn loss(&self, row: usize, outputs: &mut [f64]) -> f64 {
        match self {
            Self::Classes(classes, _) => {
                let class = classes[row] as usize;
                let max = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let own = outputs[class] - max;
                outputs.iter_mut().for_each(|x| *x = (*x - max).exp());
                let sum: f64 = outputs.iter().sum();
                outputs.iter_mut().for_each(|x| *x /= sum);
                outputs[class] -= 1.0;
                sum.ln() - own
            }
            Self::Labels(labels, n) => {
                let mut total = 0.0;
                for (x, &y) in outputs.iter_mut().zip(&labels[row * n..]) {
                    let y = f64::from(y);
                    // ln(1 + e^x) - y x without overflow.
                    total += x.max(0.0) - *x * y + (-x.abs()).exp().ln_1p();
                    *x = 1.0 / (1.0 + (-*x).exp()) - y;
                }
                total
            }
            Self::Values(values) => {
                let away = outputs[0] - values[row];
                outputs[0] = away;
                away * away / 2.0
            }
        }
    }
}

/// A linear model on centred vectors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Linear {
    /// `[outputs, width]`.
    pub(crate) weights: Vec<f64>,
    /// `[outputs]`.
    pub(crate) bias: Vec<f64>,
}

impl Linear {
    /// Outputs of one row.
    pub(crate) fn outputs(&self, row: &[f32]) -> Vec<f64> {
        let of = |(w, b): (&[f64], &f64)| {
            b + w.iter().zip(row).map(|(w, x)| w * f64::from(*x)).sum::<f64>()
        };
        self.weights.chunks(row.len().max(1)).zip(&self.bias).map(of).collect()
    }

    /// The same model on vectors as they are: weights and bias of a head.
    pub(crate) fn on_raw(&self, vectors: &Vectors) -> (Vec<f32>, Vec<f32>) {
        let weights = self.weights.iter().map(|w| (w * vectors.scale) as f32).collect();
        let off = |w: &[f64]| -> f64 {
            w.iter().zip(&vectors.mean).map(|(w, m)| w * vectors.scale * m).sum()
        };
        let rows = self.weights.chunks(vectors.width.max(1));
        let bias = rows.zip(&self.bias).map(|(w, b)| (b - off(w)) as f32).collect();
        (weights, bias)
    }
}

/// What is learned from.
pub(crate) struct Problem<'a> {
    pub(crate) vectors: &'a Vectors,
    pub(crate) wanted: &'a Wanted,
    /// The rows that count.
    pub(crate) rows: &'a [usize],
    /// A weight of each class; empty for equal ones.
    pub(crate) class_weights: &'a [f32],
}

impl Problem<'_> {
    /// Whether the classes are so many that ridge regression takes the place of logistic
    /// regression.
    pub(crate) fn is_too_large(&self) -> bool {
        self.work() > LARGEST_LOGISTIC
    }

    /// Multiplications for all outputs.
    pub(crate) fn work(&self) -> usize {
        self.rows.len() * self.vectors.width * self.wanted.outputs()
    }

    pub(super) fn weight(&self, row: usize) -> f64 {
        match self.wanted {
            Wanted::Classes(classes, _) if !self.class_weights.is_empty() => {
                f64::from(self.class_weights[classes[row] as usize])
            }
            _ => 1.0,
        }
    }
}

/// The product of two vectors, its sums in eight lanes so that the compiler may use vectors.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

pub(super) fn add_scaled(to: &mut [f64], factor: f64, x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(t, x)| *t += factor * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of four rows three have the first label and none has the second.
    #[test]
    fn shares_of_labels_are_their_odds() {
        let wanted = Wanted::Labels(vec![1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 2);
        let shares = wanted.shares(&[0, 1, 2, 3]);
        for (x, share) in shares.iter().zip([0.75, 0.0]) {
            assert!((1.0 / (1.0 + (-x).exp()) - share).abs() < 1e-3, "{shares:?}");
        }
    }
}
