//! Parametrised hypercomplex products (Zhang et al. 2021), as Compacter uses them (Karimi Mahabadi
//! et al. 2021, section 3): a matrix that is a sum of n Kronecker products of small matrices with
//! factors of low rank.
//!
//! H = Σᵢ Rᵢ ⊗ (Lᵢ Qᵢ), `[in, out]`, with the rules R `[n, n, n]`, which all layers share, the left
//! factors L `[n, in/n, r]` and the right factors Q `[n, r, out/n]` (`adapters` 1.3, `PHMLayer`).

use crate::params::Slot;

/// Kronecker products in a sum, and the rank of their second factors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) n: usize,
    pub(crate) rank: usize,
}

/// The rules that all matrices share, with the sizes of the factors.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `[n, n, n]`
    pub(crate) slot: Slot,
    pub(crate) sizes: Sizes,
}

/// One matrix made of factors.
#[derive(Clone, Debug)]
pub(crate) struct Phm {
    pub(crate) rule: Rule,
    pub(crate) left: Slot,
    pub(crate) right: Slot,
    /// Rows and columns of each small matrix: `in / n` and `out / n`.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Phm {
    /// The small matrices Lᵢ Qᵢ, `[n, in/n, out/n]`.
    fn small(&self, params: &[f32]) -> Vec<f32> {
        let (r, rows, columns) = (self.rule.sizes.rank, self.rows, self.columns);
        let mut small = vec![0.0; self.rule.sizes.n * rows * columns];
        let left = params[self.left.clone()].chunks_exact(rows * r);
        let right = params[self.right.clone()].chunks_exact(r * columns);
        for ((w, l), q) in small.chunks_exact_mut(rows * columns).zip(left).zip(right) {
            for (w, l) in w.chunks_exact_mut(columns).zip(l.chunks_exact(r)) {
                for (l, q) in l.iter().zip(q.chunks_exact(columns)) {
                    w.iter_mut().zip(q).for_each(|(w, q)| *w += l * q);
                }
            }
        }
        small
    }

    /// The matrix as `torch.nn.Linear` has it: `[out, in]`.
    pub(crate) fn dense(&self, params: &[f32]) -> Vec<f32> {
        let (n, rows, columns) = (self.rule.sizes.n, self.rows, self.columns);
        let (small, rule) = (self.small(params), &params[self.rule.slot.clone()]);
        let inputs = n * rows;
        let mut dense = vec![0.0; inputs * n * columns];
        for i in 0..n {
            for a in 0..n {
                for b in 0..n {
                    let factor = rule[(i * n + a) * n + b];
                    for p in 0..rows {
                        for q in 0..columns {
                            let at = (b * columns + q) * inputs + a * rows + p;
                            dense[at] += factor * small[(i * rows + p) * columns + q];
                        }
                    }
                }
            }
        }
        dense
    }

    /// Adds the gradients of rule and factors for `d`, the gradient of [`Phm::dense`].
    pub(crate) fn backward(&self, params: &[f32], d: &[f32], gradient: &mut [f32]) {
        let (n, r, rows, columns) =
            (self.rule.sizes.n, self.rule.sizes.rank, self.rows, self.columns);
        let (small, rule) = (self.small(params), &params[self.rule.slot.clone()]);
        let inputs = n * rows;
        let mut d_small = vec![0.0; small.len()];
        for i in 0..n {
            for a in 0..n {
                for b in 0..n {
                    let at = (i * n + a) * n + b;
                    let mut along = 0.0;
                    for p in 0..rows {
                        for q in 0..columns {
                            let d = d[(b * columns + q) * inputs + a * rows + p];
                            along += d * small[(i * rows + p) * columns + q];
                            d_small[(i * rows + p) * columns + q] += rule[at] * d;
                        }
                    }
                    gradient[self.rule.slot.start + at] += along;
                }
            }
        }
        for i in 0..n {
            for p in 0..rows {
                for k in 0..r {
                    let left = (i * rows + p) * r + k;
                    for q in 0..columns {
                        let right = (i * r + k) * columns + q;
                        let d = d_small[(i * rows + p) * columns + q];
                        gradient[self.left.start + left] += d * params[self.right.start + right];
                        gradient[self.right.start + right] += d * params[self.left.start + left];
                    }
                }
            }
        }
    }
}
