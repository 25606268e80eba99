//! Every kernel on every instruction set of this processor, against the reference and finite
//! differences.

mod attention;
mod elementwise;
mod gemm;
mod halves;
mod int8;
mod norm;

/// Numbers in [-1, 1) that depend on `seed` only.
pub(crate) fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Asserts that two vectors agree to `tolerance`, relative to the largest expected element.
#[track_caller]
pub(crate) fn assert_close(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths differ");
    let largest = expected.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(g) - e).abs() / largest;
        assert!(
            error <= tolerance,
            "{what}: element {i} is {g}, expected {e} (relative {error:.2e})"
        );
    }
}

/// The gradient of `loss` at `x` by central differences.
pub(crate) fn numeric_gradient(x: &[f64], mut loss: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    (0..x.len())
        .map(|i| {
            let mut moved = x.to_vec();
            moved[i] = x[i] + h;
            let up = loss(&moved);
            moved[i] = x[i] - h;
            (up - loss(&moved)) / (2.0 * h)
        })
        .collect()
}

pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
