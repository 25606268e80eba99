//! The linear probe: a regularised linear model on fixed vectors, solved to convergence.
//!
//! `C` is scikit-learn's: the loss is `C * sum of losses + |W|^2 / 2`, the bias is free. (For two
//! classes scikit-learn has one row of weights in the place of two: its `C` is twice as large.)

use budwood_engine::for_each;

use super::lbfgs::{self, Limits};
use super::problem::{Linear, Problem, Wanted, add_scaled, dot};
use super::ridge;

/// Rows that are multiplied at a time.
const BLOCK: usize = 64;
/// Multiplications that are worth a stripe of their own.
const STRIPE: usize = 4_000_000;
/// Stripes at most: each has a gradient of its own.
const STRIPES: usize = 8;
/// Largest element of the gradient of the mean loss at a minimum.
const CONVERGED: f64 = 1e-6;
/// The same where models are only compared.
pub(crate) const NEARLY: f64 = 1e-4;

impl Problem<'_> {
    /// The model of least loss for strength `c`. Two calls with the same data give the
    /// same bits on any number of threads.
    pub(crate) fn solve(&self, c: f64, threads: usize) -> Linear {
        self.solve_within(CONVERGED, c, None, threads)
    }

    /// As [`Problem::solve`], to a gradient of this size, from `start` on if there is one.
    pub(crate) fn solve_within(
        &self,
        gradient: f64,
        c: f64,
        start: Option<&Linear>,
        threads: usize,
    ) -> Linear {
        let (outputs, width) = (self.wanted.outputs(), self.vectors.width);
        if matches!(self.wanted, Wanted::Values(_)) || self.is_too_large() {
            return ridge::solve(self, c);
        }
        let mut x = match start {
            Some(start) => [&start.weights[..], &start.bias].concat(),
            None => vec![0.0; outputs * (width + 1)],
        };
        let weight: f64 = self.rows.iter().map(|&row| self.weight(row)).sum();
        let stripes = (self.work() / STRIPE).clamp(1, STRIPES);
        let mut parts = vec![(0.0, vec![0.0; x.len()]); stripes];
        let each = self.rows.len().div_ceil(stripes).max(1);
        lbfgs::minimise(&mut x, Limits { gradient, steps: 1000 }, |x, gradient| {
            let (weights, bias) = x.split_at(outputs * width);
            let work = parts.iter_mut().zip(self.rows.chunks(each));
            for_each(threads, work, |((value, gradient), rows)| {
                gradient.fill(0.0);
                *value = self.add(weights, bias, rows, gradient);
            });
            let mut value = 0.0;
            gradient.fill(0.0);
            for (part, _) in parts.iter().zip(self.rows.chunks(each)) {
                value += part.0 / weight;
                gradient.iter_mut().zip(&part.1).for_each(|(g, p)| *g += p / weight);
            }
            let decay = 1.0 / (c * weight);
            value += decay * weights.iter().map(|w| w * w).sum::<f64>() / 2.0;
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g += decay * w);
            value
        });
        let bias = x.split_off(outputs * width);
        Linear { weights: x, bias }
    }

    /// Adds the gradient of these rows' losses; returns their sum.
    fn add(&self, weights: &[f64], bias: &[f64], rows: &[usize], gradient: &mut [f64]) -> f64 {
        let (outputs, width) = (bias.len(), self.vectors.width);
        let (d_weights, d_bias) = gradient.split_at_mut(outputs * width);
        let mut block = vec![0.0; BLOCK * width];
        let mut y = vec![0.0; BLOCK * outputs];
        let mut total = 0.0;
        for rows in rows.chunks(BLOCK) {
            for (x, &row) in block.chunks_mut(width.max(1)).zip(rows) {
                x.iter_mut().zip(self.vectors.row(row)).for_each(|(x, v)| *x = f64::from(*v));
            }
            let xs = || block.chunks(width.max(1)).take(rows.len());
            for (k, (w, b)) in weights.chunks(width.max(1)).zip(bias).enumerate() {
                xs().enumerate().for_each(|(i, x)| y[i * outputs + k] = b + dot(w, x));
            }
            for (y, &row) in y.chunks_mut(outputs).zip(rows) {
                let weight = self.weight(row);
                total += weight * self.wanted.loss(row, y);
                y.iter_mut().zip(&mut *d_bias).for_each(|(y, d)| {
                    *y *= weight;
                    *d += *y;
                });
            }
            for (k, d) in d_weights.chunks_mut(width.max(1)).enumerate() {
                xs().enumerate().for_each(|(i, x)| add_scaled(d, y[i * outputs + k], x));
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Vectors;
    use super::*;

    const N: usize = 40;

    fn vectors() -> Vectors {
        let row = |i: usize| {
            let x = |j: usize| {
                let shift = if i % 3 == j { 0.5 } else { 0.0 };
                ((1.0 + i as f64 * 7.3 + j as f64 * 1.7).sin() + shift) as f32
            };
            (0..6).map(x).collect()
        };
        Vectors::new(&(0..N).map(row).collect::<Vec<_>>())
    }

    fn solve(wanted: &Wanted, c: f64, class_weights: &[f32]) -> Linear {
        let rows: Vec<usize> = (0..N).collect();
        Problem { vectors: &vectors(), wanted, rows: &rows, class_weights }.solve(c, 1)
    }

    #[track_caller]
    fn near(found: &[f64], expected: &[f64], within: f64) {
        let away = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(found.len() == expected.len() && away < within, "{found:?}\n{expected:?}");
    }

    /// Expected values: `LogisticRegression(C, tol=1e-12)` of scikit-learn 1.9 on the same vectors,
    /// centred and scaled.
    #[test]
    fn logistic_regression_is_that_of_scikit_learn() {
        let wanted = Wanted::Classes((0..N as u32).map(|i| i % 3).collect(), 3);
        let found = solve(&wanted, 1.0, &[]);
        let weights = [
            1.2352988545519747,
            -0.744893118390506,
            -0.3090856756372133,
            -0.4562654482890891,
            -0.7051271582467061,
            0.6379689161037452,
        ];
        near(&found.weights[..6], &weights, 1e-4);
        near(&found.bias, &[0.05875524238726, -0.03147362422494, -0.02728161816232], 1e-4);
        let found = solve(&wanted, 30.0, &[]);
        let weights = [
            6.73635871168093,
            -3.7526323511766133,
            -2.2163113805522103,
            -2.772937513394038,
            -6.03435118351006,
            4.327923092720584,
        ];
        near(&found.weights[..6], &weights, 2e-3);
        near(&found.bias, &[0.09859690580770, -0.14312187696955, 0.04452497116188], 2e-3);
        // `class_weight={0: 1, 1: 2, 2: 0.5}`, C = 10.
        let found = solve(&wanted, 10.0, &[1.0, 2.0, 0.5]);
        let weights = [
            -4.024312699867258,
            4.998806644102458,
            -3.185768218333935,
            2.865933783241221,
            -1.1769222181962615,
            -2.5626539839824125,
        ];
        near(&found.weights[6..12], &weights, 2e-3);
        near(&found.bias, &[0.11654554757170, 0.24923350626476, -0.36577905383646], 2e-3);
    }

    /// Two classes have one row of weights there and two here, so that `C` is doubled there; the
    /// difference of the outputs is its `decision_function`.
    #[test]
    fn two_classes_are_those_of_scikit_learn() {
        let wanted = Wanted::Classes((0..N as u32).map(|i| u32::from(i % 3 == 1)).collect(), 2);
        let found = solve(&wanted, 10.0, &[]);
        for (row, expected) in [(0, -2.285408428370653), (1, 1.4042786995966277)] {
            let y = found.outputs(vectors().row(row));
            near(&[y[1] - y[0]], &[expected], 1e-3);
        }
    }

    /// Expected values: one `LogisticRegression(C=10)` a label.
    #[test]
    fn labels_are_a_regression_each() {
        let holds = |i: usize, k: usize| f32::from(u8::from((i / (k + 1)).is_multiple_of(2)));
        let labels = (0..N).flat_map(|i| [holds(i, 0), holds(i, 1)]).collect();
        let found = solve(&Wanted::Labels(labels, 2), 10.0, &[]);
        let expected = [
            0.13959590358038587,
            -0.2537382767854629,
            0.3531254214939143,
            -0.22301469600315602,
            0.4413854841539023,
            0.1092748502932039,
            -0.0035809101763270884,
            0.38573451804874226,
            -0.3570861746980338,
            -0.04058775012672807,
            -0.01600168338064272,
            0.04471130145601381,
        ];
        near(&found.weights, &expected, 2e-4);
        near(&found.bias, &[3.4404e-6, -8.917e-6], 1e-4);
    }

    /// Expected values: `Ridge(alpha=1/5)`.
    #[test]
    fn ridge_regression_is_that_of_scikit_learn() {
        let value = |i: usize| (i as f64 * 0.9).cos() * 3.0 + i as f64 * 0.1;
        let found = solve(&Wanted::Values((0..N).map(value).collect()), 5.0, &[]);
        let expected = [
            -0.14767075908808197,
            -0.17533087021212365,
            -0.32633153630442086,
            0.6715111660264216,
            -0.9617156417757009,
            -0.4236886426763535,
        ];
        near(&found.weights, &expected, 1e-4);
        near(&found.bias, &[1.9153059523270977], 1e-5);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let vectors = vectors();
        let rows: Vec<usize> = (0..N).filter(|i| i % 5 != 2).collect();
        let classes = Wanted::Classes((0..N as u32).map(|i| i % 3).collect(), 3);
        let labels =
            Wanted::Labels((0..3 * N).map(|i| f32::from(u8::from(i % 4 == 0))).collect(), 3);
        for wanted in [classes, labels] {
            let class_weights = [1.0, 2.0, 0.25];
            let problem = Problem {
                vectors: &vectors,
                wanted: &wanted,
                rows: &rows,
                class_weights: &class_weights,
            };
            let x: Vec<f64> = (0..21).map(|i| (i as f64 * 2.3).sin()).collect();
            let value = |x: &[f64]| problem.add(&x[..18], &x[18..], &rows, &mut [0.0; 21]);
            let mut gradient = [0.0; 21];
            problem.add(&x[..18], &x[18..], &rows, &mut gradient);
            for i in 0..21 {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x[i] += by;
                    value(&x)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((gradient[i] - expected).abs() < 1e-6, "{i}: {} {expected}", gradient[i]);
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit_and_the_head_gives_the_same_outputs() {
        // Enough work for several stripes.
        let raw: Vec<Vec<f32>> = (0..3000u64)
            .map(|i| {
                (0..64)
                    .map(|j| {
                        (i * 31 + j * 17 + i * j % 13).wrapping_mul(2_654_435_761) as u32 as f32
                            * 1e-9
                            + 5.0
                    })
                    .collect()
            })
            .collect();
        let vectors = Vectors::new(&raw);
        let wanted = Wanted::Classes((0..3000).map(|i| (i * i % 50) as u32).collect(), 50);
        let rows: Vec<usize> = (0..3000).collect();
        let problem =
            Problem { vectors: &vectors, wanted: &wanted, rows: &rows, class_weights: &[] };
        assert!(problem.work() > 2 * STRIPE);
        let one = problem.solve(3.0, 1);
        assert_eq!(problem.solve(3.0, 2), one);
        assert_eq!(problem.solve(3.0, 3), one);
        let (weights, bias) = one.on_raw(&vectors);
        let given = one.outputs(vectors.row(7));
        let y = |k: usize| -> f64 {
            let w = &weights[k * 64..(k + 1) * 64];
            w.iter().zip(&raw[7]).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
                + f64::from(bias[k])
        };
        near(&(0..50).map(y).collect::<Vec<_>>(), &given, 1e-4);
    }

    #[test]
    fn vectors_that_are_all_equal_give_the_shares() {
        let vectors = Vectors::new(&vec![vec![0.3f32; 5]; 20]);
        let wanted = Wanted::Classes((0..20).map(|i| u32::from(i < 5)).collect(), 2);
        let rows: Vec<usize> = (0..20).collect();
        let found = Problem { vectors: &vectors, wanted: &wanted, rows: &rows, class_weights: &[] }
            .solve(100.0, 1);
        let y = found.outputs(vectors.row(0));
        near(&[y[0] - y[1]], &[3f64.ln()], 1e-4);
    }

    #[test]
    fn very_many_classes_are_learned_by_ridge_regression() {
        let n = 2000;
        let raw: Vec<Vec<f32>> = (0..n)
            .map(|i| (0..400).map(|j| if i / 2 % 400 == j { 1.0 } else { 0.01 }).collect())
            .collect();
        let vectors = Vectors::new(&raw);
        let wanted = Wanted::Classes((0..n).map(|i| (i / 2 % 400) as u32).collect(), 4000);
        let rows: Vec<usize> = (0..n).collect();
        let problem =
            Problem { vectors: &vectors, wanted: &wanted, rows: &rows, class_weights: &[] };
        assert!(problem.is_too_large());
        let found = problem.solve(100.0, 1);
        let y = found.outputs(vectors.row(11));
        let best = (0..4000).max_by(|&a, &b| y[a].total_cmp(&y[b]));
        assert_eq!(best, Some(5));
    }
}
