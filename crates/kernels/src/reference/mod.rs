//! The same operations as plain `f64` loops: slow, obvious, always compiled. Where a kernel and
//! this file differ, this file is right.

/// C = A B for row-major `[m, k]` and `[k, n]`.
pub fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
        }
    }
    c
}

/// Layer norm of each row of `x`.
pub fn norm(x: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let d = gamma.len();
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks(d) {
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        for i in 0..d {
            y.push((row[i] - mean) / (variance + eps).sqrt() * gamma[i] + beta[i]);
        }
    }
    y
}

/// Softmax of each row.
pub fn softmax(x: &[f64], columns: usize) -> Vec<f64> {
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks(columns) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|x| (x - max).exp()).sum();
        y.extend(row.iter().map(|x| (x - max).exp() / total));
    }
    y
}

/// Attention of one sequence: `v` `[keys, heads * dim]`, the result `[queries, heads * dim]`.
/// `score(head, query, key)` is what the softmax reads, none where the query does not see the key.
/// `mask` multiplies the probabilities `[heads, queries, keys]`.
pub fn attention(
    score: impl Fn(usize, usize, usize) -> Option<f64>,
    v: &[f64],
    mask: &[f64],
    (heads, dim, queries): (usize, usize, usize),
) -> Vec<f64> {
    let width = heads * dim;
    let keys = v.len() / width;
    let mut out = vec![0.0; queries * width];
    for h in 0..heads {
        for i in 0..queries {
            let seen = |j: usize| score(h, i, j).unwrap_or(f64::NEG_INFINITY);
            let p = softmax(&(0..keys).map(seen).collect::<Vec<_>>(), keys);
            for c in 0..dim {
                out[i * width + h * dim + c] = (0..keys)
                    .map(|j| p[j] * mask[(h * queries + i) * keys + j] * v[j * width + h * dim + c])
                    .sum();
            }
        }
    }
    out
}

/// The error function: its Taylor series near zero, its continued fraction far out.
pub fn erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = 0.0;
    for n in (1..100).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    let tail = (-x * x).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
    (1.0 - tail).copysign(x)
}

/// An activation by its definition.
pub fn activation(activation: crate::ops::activation::Activation, x: f64) -> f64 {
    use crate::ops::activation::Activation as A;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        A::Identity => x,
        A::Relu => x.max(0.0),
        A::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        A::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        A::QuickGelu => x * sigmoid(1.702 * x),
        A::Silu => x * sigmoid(x),
        A::Tanh => x.tanh(),
        A::Sigmoid => sigmoid(x),
    }
}
