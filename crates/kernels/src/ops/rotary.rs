//! Rotary positions (Su et al. 2021): pairs of a head's elements are turned by angles that grow
//! with the place. The pairs are those of GPT-NeoX: element `i` with element `i + width / 2`.

use crate::arch::{fma, kernel};

kernel! {
    /// Turns the first elements of each head of one row by the angles whose cosines and sines are
    /// given, `sign` times: 1 forward; -1 is the way back, and of gradients too. Each head has
    /// `dim` elements.
    ///
    /// # Panics
    /// If the row is not of whole heads, or a head has fewer elements than are turned.
    pub fn turn<'a>(row: &'a mut [f32], dim: usize, cos: &'a [f32], sin: &'a [f32], sign: f32) {
        let half = cos.len();
        assert!(sin.len() == half && 2 * half <= dim && row.len().is_multiple_of(dim));
        for head in row.chunks_exact_mut(dim) {
            let (a, b) = head[..2 * half].split_at_mut(half);
            for i in 0..half {
                let (x, y, s) = (a[i], b[i], sign * sin[i]);
                a[i] = fma::<FMA>(x, cos[i], -(y * s));
                b[i] = fma::<FMA>(y, cos[i], x * s);
            }
        }
    }
}
