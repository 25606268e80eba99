//! Gated activations: `y = f(a) * b` for rows `[a, b]` of two halves.

use budwood_kernels::ops::activation::{self, Activation};

use crate::{Context, View, ViewMut};

impl Context {
    /// `y = f(a) * b`; `x` is `[T, 2 f]`, `y` `[T, f]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn gated_activation(&mut self, f: Activation, x: View<'_>, mut y: ViewMut<'_>) {
        let half = y.n_columns();
        assert_eq!((x.n_rows(), x.n_columns()), (y.n_rows(), 2 * half));
        for i in 0..x.n_rows() {
            let (a, b) = x.row(i).split_at(half);
            activation::gated(self.isa(), f, a, b, y.row(i));
        }
    }

    /// The gradient of the input of [`Context::gated_activation`], into `dx`, `[T, 2 f]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn gated_activation_backward(
        &mut self,
        f: Activation,
        x: View<'_>,
        dy: View<'_>,
        mut dx: ViewMut<'_>,
    ) {
        let half = dy.n_columns();
        let rows = dy.n_rows();
        assert_eq!((x.n_rows(), x.n_columns()), (rows, 2 * half));
        assert_eq!((dx.n_rows(), dx.n_columns()), (rows, 2 * half));
        for i in 0..rows {
            let (a, b) = x.row(i).split_at(half);
            let (d_a, d_b) = dx.row(i).split_at_mut(half);
            activation::gated_backward(self.isa(), f, a, b, dy.row(i), d_a, d_b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    /// Against plain `f64` loops, and the gradient against finite differences of those.
    #[test]
    fn halves_gate_each_other_on_every_instruction_set() {
        let (rows, half) = (3, 37);
        let value = |i: usize| ((i * 7919 % 1000) as f64 / 250.0) - 2.0;
        let x: Vec<f64> = (0..rows * 2 * half).map(value).collect();
        let dy: Vec<f64> = (0..rows * half).map(|i| value(i + 13)).collect();
        let y = |x: &[f64]| -> Vec<f64> {
            let row = |row: &[f64]| -> Vec<f64> {
                row[..half].iter().zip(&row[half..]).map(|(a, b)| silu(*a) * b).collect()
            };
            x.chunks(2 * half).flat_map(row).collect()
        };
        let along = |x: &[f64]| -> f64 { y(x).iter().zip(&dy).map(|(y, d)| y * d).sum() };
        let f32s = |x: &[f64]| -> Vec<f32> { x.iter().map(|&x| x as f32).collect() };
        for device in Device::all() {
            let mut cx = Context::new(device);
            let (given, d) = (cx.upload(&f32s(&x), 2 * half), cx.upload(&f32s(&dy), half));
            let mut out = cx.take(rows, half);
            cx.gated_activation(Activation::Silu, given.view(), out.view_mut());
            for (got, expected) in cx.download(out.view()).iter().zip(y(&x)) {
                assert!((f64::from(*got) - expected).abs() < 1e-5, "{got} {expected}");
            }
            let mut dx = cx.take(rows, 2 * half);
            cx.gated_activation_backward(Activation::Silu, given.view(), d.view(), dx.view_mut());
            for (i, got) in cx.download(dx.view()).iter().enumerate() {
                let moved = |h: f64| {
                    let mut x = x.clone();
                    x[i] += h;
                    along(&x)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(*got) - expected).abs() < 1e-4, "{i}: {got} {expected}");
            }
        }
    }
}
