//! Numbers kept in sixteen bits (bf16: the upper half of an `f32`, rounded), two in the place of
//! one.
//!
//! ```text
//! x     [x0 x1 x2 x3 x4]
//! y     [x0|x3  x1|x4  x2|.]     the first half of x in the lower bits, the second in the upper
//! ```

use crate::arch::kernel;

/// Places that `n` numbers take.
pub fn places(n: usize) -> usize {
    n.div_ceil(2)
}

/// The nearest bf16, ties to even, in the lower sixteen bits. What is not a number stays so.
#[inline(always)]
fn upper(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    (if x.is_nan() { bits | 0x40_0000 } else { rounded }) >> 16
}

kernel! {
    /// Writes `x` in bf16 to `y`.
    ///
    /// # Panics
    /// If `y` has not [`places`] for `x`; so for all functions of this file.
    pub fn narrow<'a>(x: &'a [f32], y: &'a mut [f32]) {
        assert_eq!(y.len(), places(x.len()));
        let (first, second) = x.split_at(y.len());
        let (both, last) = y.split_at_mut(second.len());
        for ((y, a), b) in both.iter_mut().zip(first).zip(second) {
            *y = f32::from_bits(upper(*a) | upper(*b) << 16);
        }
        for (y, a) in last.iter_mut().zip(&first[second.len()..]) {
            *y = f32::from_bits(upper(*a));
        }
    }
}

kernel! {
    /// The numbers that [`narrow`] wrote.
    pub fn widen<'a>(y: &'a [f32], x: &'a mut [f32]) {
        assert_eq!(y.len(), places(x.len()));
        let (first, second) = x.split_at_mut(y.len());
        for (x, y) in first.iter_mut().zip(y) {
            *x = f32::from_bits(y.to_bits() << 16);
        }
        for (x, y) in second.iter_mut().zip(y) {
            *x = f32::from_bits(y.to_bits() & 0xffff_0000);
        }
    }
}
