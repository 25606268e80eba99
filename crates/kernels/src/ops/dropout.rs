//! Dropout whose mask is a function of a key and the element's place, so that backward needs no
//! saved mask and no thread's progress changes it.

use crate::Isa;
use crate::arch::kernel;

/// One dropout at one place of the network in one step.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    key: u32,
    offset: u32,
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// Drops each element with probability `p` (0 <= p < 1); `key` names step, layer and site.
    ///
    /// # Panics
    /// If `p` is not in `[0, 1)`.
    pub fn new(p: f32, key: u64) -> Self {
        assert!((0.0..1.0).contains(&p), "dropout probability {p} is not in [0, 1)");
        let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - p);
        Self { key: key as u32, offset: (key >> 32) as u32, threshold, scale }
    }

    /// Whether it changes anything.
    pub fn is_active(&self) -> bool {
        self.threshold > 0
    }

    /// The factor at place `index`: 0 or 1 / (1 - p).
    pub fn factor(&self, index: u64) -> f32 {
        self.around(index).factor_near(index as u32)
    }

    /// The same dropout for the 2^32 places that share the upper half of `index`, by their lower
    /// half. Places of four thousand million elements are rare, and half as wide numbers are twice
    /// as fast.
    fn around(self, index: u64) -> Self {
        Self { key: self.key ^ hash((index >> 32) as u32), ..self }
    }

    #[inline(always)]
    fn factor_near(&self, low: u32) -> f32 {
        let x = hash(low.wrapping_mul(0x9e37_79b9).wrapping_add(self.offset) ^ self.key);
        if x < self.threshold { 0.0 } else { self.scale }
    }
}

/// Wellons' `lowbias32`; 0 stays 0.
#[inline(always)]
fn hash(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Multiplies `x` by the factors at places `start..`; forward and backward are the same function.
pub fn apply(isa: Isa, dropout: Dropout, mut start: u64, mut x: &mut [f32]) {
    while !x.is_empty() {
        let left = (1 << 32) - (start & 0xffff_ffff);
        let (near, rest) = x.split_at_mut(x.len().min(left as usize));
        apply_near(isa, dropout.around(start), start as u32, near);
        (start, x) = (start + near.len() as u64, rest);
    }
}

/// [`apply`] to the first `columns` elements of rows that are `stride` apart in `x` and whose first
/// elements have places that are `step` apart.
pub fn apply_rows(
    isa: Isa,
    dropout: Dropout,
    (start, step): (u64, usize),
    x: &mut [f32],
    columns: usize,
    stride: usize,
) {
    if dropout.is_active() {
        for (i, row) in x.chunks_mut(stride).enumerate() {
            apply(isa, dropout, start + (i * step) as u64, &mut row[..columns]);
        }
    }
}

kernel! {
    /// [`apply`] to places that share the upper half of their numbers.
    fn apply_near<'a>(dropout: Dropout, start: u32, x: &'a mut [f32]) {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= dropout.factor_near(start.wrapping_add(i as u32));
        }
    }
}
