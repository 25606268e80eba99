//! Rotary positions of patches, in two dimensions.

use std::f32::consts::PI;

use budwood_kernels::ops::rotary;

use crate::{Context, Spans, Turn, ViewMut};

/// Cosines and sines of the angles by which the patches of an image turn the pairs of a head.
///
/// With `w` elements in a head, pair `i` below `w / 4` is turned by `2 pi y base^(-4 i / w)`, and
/// pair `w / 4 + i` likewise by `x`: the middle of the patch, from -1 to 1 over the image.
#[derive(Clone, Debug)]
pub struct PatchRotary {
    /// Elements of a head.
    dim: usize,
    /// `[patches, dim / 2]`, patches in reading order.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl PatchRotary {
    /// The angles of heads with `dim` elements for so many rows and columns of patches. Angles are
    /// products in 32 bits, as in other libraries.
    ///
    /// # Panics
    /// If `dim` is not a multiple of 4.
    pub fn new(base: f32, dim: usize, (rows, columns): (usize, usize)) -> Self {
        assert!(dim.is_multiple_of(4), "pairs of {dim} elements are not for two dimensions");
        let step = |i: usize| 1.0 / base.powf((4 * i) as f32 / dim as f32);
        let steps: Vec<f32> = (0..dim / 4).map(step).collect();
        let middle = |i: usize, n: usize| 2.0 * ((i as f32 + 0.5) / n as f32) - 1.0;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            for place in [middle(y, rows), middle(x, columns)] {
                for step in &steps {
                    let angle = f64::from(2.0 * PI * place * step);
                    cos.push(angle.cos() as f32);
                    sin.push(angle.sin() as f32);
                }
            }
        }
        Self { dim, cos, sin }
    }

    /// Patches of an image.
    fn patches(&self) -> usize {
        self.cos.len() / (self.dim / 2)
    }
}

impl Context {
    /// Turns the patches of each sequence, its last rows, by their places in the image; the rows
    /// before them stay.
    ///
    /// # Panics
    /// If the rows are not those of the sequences, or a sequence has fewer than the image patches.
    pub fn rotate_patches(
        &mut self,
        mut x: ViewMut<'_>,
        spans: &Spans,
        rotary: &PatchRotary,
        turn: Turn,
    ) {
        assert_eq!(x.n_rows(), spans.rows());
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        let pairs = rotary.dim / 2;
        for rows in spans.iter() {
            assert!(rows.len() >= rotary.patches(), "a sequence with fewer rows than patches");
            let angles = rotary.cos.chunks_exact(pairs).zip(rotary.sin.chunks_exact(pairs));
            for (row, (cos, sin)) in (rows.end - rotary.patches()..rows.end).zip(angles) {
                rotary::turn(self.isa(), x.row(row), rotary.dim, cos, sin, sign);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// Against complex numbers in 64 bits, with a turn back. Scores of two patches must depend on
    /// how far they are apart alone.
    #[test]
    fn patches_are_turned_by_row_and_column_and_back() {
        let (heads, dim, grid, before) = (2, 12, (3usize, 2usize), 2);
        let patches = grid.0 * grid.1;
        let spans = Spans::from_lengths([before + patches; 2]);
        let d = heads * dim;
        let x: Vec<f32> =
            (0..spans.rows() * d).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let rotary = PatchRotary::new(50.0, dim, grid);
        for device in Device::all() {
            let mut cx = Context::new(device);
            let mut turned = cx.upload(&x, d);
            cx.rotate_patches(turned.view_mut(), &spans, &rotary, Turn::Forward);
            let got = cx.download(turned.view());
            for row in 0..spans.rows() {
                let patch = (row % (before + patches)).checked_sub(before);
                for at in (0..heads).map(|head| row * d + head * dim) {
                    for i in 0..dim / 2 {
                        let (a, b) = (f64::from(x[at + i]), f64::from(x[at + i + dim / 2]));
                        let angle = patch.map_or(0.0, |patch| {
                            let (y, x) = ((patch / grid.1) as f64, (patch % grid.1) as f64);
                            let y = (2.0 * y + 1.0) / grid.0 as f64 - 1.0;
                            let x = (2.0 * x + 1.0) / grid.1 as f64 - 1.0;
                            let place = if i < dim / 4 { y } else { x };
                            let step = 50f64.powf(-4.0 * (i % (dim / 4)) as f64 / dim as f64);
                            2.0 * std::f64::consts::PI * place * step
                        });
                        let (re, im) =
                            (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos());
                        assert!((f64::from(got[at + i]) - re).abs() < 1e-5);
                        assert!((f64::from(got[at + i + dim / 2]) - im).abs() < 1e-5);
                    }
                }
            }
            cx.rotate_patches(turned.view_mut(), &spans, &rotary, Turn::Back);
            for (back, x) in cx.download(turned.view()).iter().zip(&x) {
                assert!((back - x).abs() < 1e-6);
            }
        }
    }
}
