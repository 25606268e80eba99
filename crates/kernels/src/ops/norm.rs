//! Layer norm over the rows of a matrix: y = x̂ γ + β with x̂ = (x - mean) / √(var + ε).
//!
//! Saved for backward: x̂ and 1 / √(var + ε). Ba, Kiros, Hinton 2016; the biased variance, as
//! PyTorch.

use super::lanes::{LANES, Lanes};
use crate::arch::{fma, kernel};

/// The mean of a row, and the inverse deviation.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum([x], |[x]| x) / n;
    let variance = sum([x], |[x]| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// The sum over `f` of the elements of rows of one length, in sixteen lanes.
#[inline(always)]
fn sum<const N: usize>(rows: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let [sum] = sums(rows, |x| [f(x)]);
    sum
}

/// Sums side by side: the latency of an addition is four cycles.
#[inline(always)]
fn sums<const N: usize, const M: usize>(
    rows: [&[f32]; N],
    f: impl Fn([f32; N]) -> [f32; M],
) -> [f32; M] {
    let rows = rows.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [Lanes::splat(0.0); M];
    for block in 0..rows[0].0.len() {
        let x = rows.map(|(blocks, _)| &blocks[block]);
        for (m, lanes) in lanes.iter_mut().enumerate() {
            *lanes = Lanes(std::array::from_fn(|i| lanes.0[i] + f(x.map(|x| x[i]))[m]));
        }
    }
    for i in 0..rows[0].1.len() {
        let x = f(rows.map(|(_, rest)| rest[i]));
        lanes.iter_mut().zip(x).for_each(|(lanes, x)| lanes.0[i] += x);
    }
    lanes.map(Lanes::sum)
}

kernel! {
    /// Normalises the rows of `x` `[T, D]` in place and writes what backward needs: `normal` (x̂)
    /// `[T, D]` and `rstd` `[T]`.
    ///
    /// # Panics
    /// If the shapes do not fit; so for all functions of this file.
    pub fn forward<'a>(
        x: &'a mut [f32], gamma: &'a [f32], beta: &'a [f32], eps: f32,
        normal: &'a mut [f32], rstd: &'a mut [f32],
    ) {
        let d = gamma.len();
        assert_eq!(beta.len(), d);
        assert!(x.len() == normal.len() && x.len() == rstd.len() * d);
        for ((x, normal), rstd) in x.chunks_exact_mut(d).zip(normal.chunks_exact_mut(d)).zip(rstd) {
            let (gamma, beta) = (&gamma[..d], &beta[..d]);
            let (mean, r) = moments(x, eps);
            *rstd = r;
            for i in 0..d {
                let n = (x[i] - mean) * r;
                normal[i] = n;
                x[i] = fma::<FMA>(n, gamma[i], beta[i]);
            }
        }
    }
}

kernel! {
    /// As [`forward`], with nothing saved.
    pub fn forward_in_place<'a>(x: &'a mut [f32], gamma: &'a [f32], beta: &'a [f32], eps: f32) {
        let d = gamma.len();
        assert_eq!(beta.len(), d);
        assert_eq!(x.len() % d, 0);
        for x in x.chunks_exact_mut(d) {
            let (gamma, beta) = (&gamma[..d], &beta[..d]);
            let (mean, r) = moments(x, eps);
            for i in 0..d {
                let n = (x[i] - mean) * r;
                x[i] = fma::<FMA>(n, gamma[i], beta[i]);
            }
        }
    }
}

kernel! {
    /// The gradient of the input, written over `dy`:
    /// `dx = rstd (dy γ - mean(dy γ) - x̂ mean(dy γ x̂))`.
    pub fn backward_input<'a>(
        gamma: &'a [f32], normal: &'a [f32], rstd: &'a [f32], dy: &'a mut [f32],
    ) {
        let d = gamma.len();
        assert!(dy.len() == normal.len() && dy.len() == rstd.len() * d);
        for ((dy, normal), r) in dy.chunks_exact_mut(d).zip(normal.chunks_exact(d)).zip(rstd) {
            let (gamma, normal) = (&gamma[..d], &normal[..d]);
            let [mean, along] = sums([dy, gamma, normal], |[dy, gamma, normal]| {
                let product = dy * gamma;
                [product, product * normal]
            });
            let (mean, along) = (mean / d as f32, along / d as f32);
            for i in 0..d {
                let g = fma::<FMA>(dy[i], gamma[i], -mean);
                dy[i] = r * fma::<FMA>(-along, normal[i], g);
            }
        }
    }
}

kernel! {
    /// The gradients of γ and β: `d_gamma += sum_t dy x̂`, `d_beta += sum_t dy`.
    pub fn backward_parameters<'a>(
        normal: &'a [f32], dy: &'a [f32], d_gamma: &'a mut [f32], d_beta: &'a mut [f32],
    ) {
        let d = d_gamma.len();
        assert_eq!(d_beta.len(), d);
        assert!(dy.len() == normal.len() && dy.len() % d == 0);
        for (dy, normal) in dy.chunks_exact(d).zip(normal.chunks_exact(d)) {
            let (d_gamma, d_beta) = (&mut d_gamma[..d], &mut d_beta[..d]);
            for i in 0..d {
                d_gamma[i] = fma::<FMA>(dy[i], normal[i], d_gamma[i]);
                d_beta[i] += dy[i];
            }
        }
    }
}
