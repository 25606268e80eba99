//! Layer norm over the rows of a matrix: y = x̂ γ + β with x̂ = (x - mean) / √(var + ε).
//!
//! Saved for backward: x̂ and 1 / √(var + ε). Ba, Kiros, Hinton 2016; the biased variance, as
//! PyTorch.

use super::elementwise::sum_lanes;
use crate::arch::{fma, kernel};

const LANES: usize = 16;

/// The sum over `f(i)` for `i` in `0..n`, in sixteen lanes.
#[inline(always)]
fn sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = n - n % LANES;
    let mut i = 0;
    while i < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(i + lane);
        }
        i += LANES;
    }
    for (lane, i) in (whole..n).enumerate() {
        lanes[lane] += f(i);
    }
    sum_lanes(lanes)
}

/// The sums over `f(i)` and `g(i)`, side by side: the latency of an addition is four cycles.
#[inline(always)]
fn two_sums(n: usize, f: impl Fn(usize) -> f32, g: impl Fn(usize) -> f32) -> (f32, f32) {
    let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
    let whole = n - n % LANES;
    let mut i = 0;
    while i < whole {
        for lane in 0..LANES {
            a[lane] += f(i + lane);
            b[lane] += g(i + lane);
        }
        i += LANES;
    }
    for (lane, i) in (whole..n).enumerate() {
        a[lane] += f(i);
        b[lane] += g(i);
    }
    (sum_lanes(a), sum_lanes(b))
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
            let mean = sum(d, |i| x[i]) / d as f32;
            let variance = sum(d, |i| (x[i] - mean) * (x[i] - mean)) / d as f32;
            let r = 1.0 / (variance + eps).sqrt();
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
            let mean = sum(d, |i| x[i]) / d as f32;
            let variance = sum(d, |i| (x[i] - mean) * (x[i] - mean)) / d as f32;
            let r = 1.0 / (variance + eps).sqrt();
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
            let product = |i: usize| dy[i] * gamma[i];
            let (mean, along) = two_sums(d, product, |i| product(i) * normal[i]);
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
