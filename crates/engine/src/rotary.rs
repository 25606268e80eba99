//! Rotary positions of queries and keys.

use budwood_kernels::ops::rotary;

use crate::{Context, Spans, ViewMut};

/// The angles by which places turn the pairs of a head: `place * base^(-2 i / width)` for pair `i`.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Of each pair, for one place further.
    steps: Vec<f32>,
    /// Cosines and sines of the first places, `[places, pairs]`; those of later places are computed
    /// as they come.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Which way pairs are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// As the places say.
    Forward,
    /// Back: gradients of what was turned forward.
    Back,
}

impl Rotary {
    /// The angles of heads of which so many elements are turned; `places` of them are kept.
    pub fn new(base: f32, width: usize, places: usize) -> Self {
        let step = |i: usize| 1.0 / base.powf((2 * i) as f32 / width as f32);
        let steps: Vec<f32> = (0..width / 2).map(step).collect();
        let mut rotary = Self { steps, cos: Vec::new(), sin: Vec::new() };
        let (cos, sin) = (0..places).flat_map(|place| rotary.angles(place)).unzip();
        (rotary.cos, rotary.sin) = (cos, sin);
        rotary
    }

    /// Cosines and sines at a place. The angle is a product in 32 bits, as in other libraries.
    fn angles(&self, place: usize) -> impl Iterator<Item = (f32, f32)> {
        self.steps.iter().map(move |step| {
            let angle = f64::from(place as f32 * step);
            (angle.cos() as f32, angle.sin() as f32)
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.cos[..]) + size_of_val(&self.sin[..])
    }
}

impl Context {
    /// Turns each row of `x`, whose heads have `dim` elements, by its place in its sequence, of
    /// which the first row has the place `first`.
    ///
    /// # Panics
    /// If the rows are not those of the sequences, or heads are narrower than what is turned.
    pub fn rotate(
        &mut self,
        mut x: ViewMut<'_>,
        dim: usize,
        (spans, first): (&Spans, usize),
        rotary: &Rotary,
        turn: Turn,
    ) {
        assert_eq!(x.n_rows(), spans.rows());
        let pairs = rotary.steps.len();
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        for rows in spans.iter() {
            for (place, row) in (first..).zip(rows) {
                let kept = place * pairs..(place + 1) * pairs;
                match (rotary.cos.get(kept.clone()), rotary.sin.get(kept)) {
                    (Some(cos), Some(sin)) => {
                        rotary::turn(self.isa(), x.row(row), dim, cos, sin, sign)
                    }
                    _ => {
                        let (cos, sin): (Vec<_>, Vec<_>) = rotary.angles(place).unzip();
                        rotary::turn(self.isa(), x.row(row), dim, &cos, &sin, sign);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    /// Against complex numbers: a pair is `a + b i`, and a place multiplies it by `e^(i angle)`.
    #[test]
    fn pairs_are_turned_as_complex_numbers_and_back() {
        let (heads, dim, width, lengths) = (3, 10, 6, [4usize, 1, 7]);
        let spans = Spans::from_lengths(lengths);
        let x: Vec<f32> = (0..spans.rows() * heads * dim)
            .map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0)
            .collect();
        // The last places are beyond those that are kept.
        let rotary = Rotary::new(100.0, width, 5);
        for device in Device::all() {
            let mut cx = Context::new(device);
            let mut turned = cx.upload(&x, heads * dim);
            cx.rotate(turned.view_mut(), dim, (&spans, 0), &rotary, Turn::Forward);
            let got = cx.download(turned.view());
            // Rows from a place on are turned as they are among all.
            let mut later = cx.upload(&x[6 * heads * dim..], heads * dim);
            let of = Spans::from_lengths([6]);
            cx.rotate(later.view_mut(), dim, (&of, 1), &rotary, Turn::Forward);
            assert_eq!(cx.download(later.view()), got[6 * heads * dim..]);
            let places = lengths.iter().flat_map(|&n| 0..n);
            for (row, place) in places.enumerate() {
                for head in 0..heads {
                    let at = (row * heads + head) * dim;
                    for i in 0..width / 2 {
                        let angle = place as f64 * 100f64.powf(-2.0 * i as f64 / width as f64);
                        let (a, b) = (f64::from(x[at + i]), f64::from(x[at + i + width / 2]));
                        let (re, im) =
                            (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos());
                        assert!((f64::from(got[at + i]) - re).abs() < 1e-6);
                        assert!((f64::from(got[at + i + width / 2]) - im).abs() < 1e-6);
                    }
                    assert_eq!(got[at + width..at + dim], x[at + width..at + dim]);
                }
            }
            cx.rotate(turned.view_mut(), dim, (&spans, 0), &rotary, Turn::Back);
            for (back, x) in cx.download(turned.view()).iter().zip(&x) {
                assert!((back - x).abs() < 1e-6);
            }
        }
    }
}
