//! Sums and products of vectors, element by element.

use crate::arch::{fma, kernel};

kernel! {
    /// `y += x`
    ///
    /// # Panics
    /// If the lengths differ; so for all functions of this file.
    pub fn add<'a>(y: &'a mut [f32], x: &'a [f32]) {
        assert_eq!(y.len(), x.len());
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

kernel! {
    /// `y += a x`
    pub fn add_scaled<'a>(y: &'a mut [f32], a: f32, x: &'a [f32]) {
        assert_eq!(y.len(), x.len());
        for (y, x) in y.iter_mut().zip(x) {
            *y = fma::<FMA>(a, *x, *y);
        }
    }
}

kernel! {
    /// `y = a y`
    pub fn scale<'a>(y: &'a mut [f32], a: f32) {
        for y in y.iter_mut() {
            *y *= a;
        }
    }
}

kernel! {
    /// `y = y x`
    pub fn multiply<'a>(y: &'a mut [f32], x: &'a [f32]) {
        assert_eq!(y.len(), x.len());
        for (y, x) in y.iter_mut().zip(x) {
            *y *= x;
        }
    }
}

kernel! {
    /// `y = a b`
    pub fn product<'a>(a: &'a [f32], b: &'a [f32], y: &'a mut [f32]) {
        assert_eq!(y.len(), a.len());
        assert_eq!(y.len(), b.len());
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = a * b;
        }
    }
}

kernel! {
    /// `y += a b`
    pub fn add_product<'a>(y: &'a mut [f32], a: &'a [f32], b: &'a [f32]) {
        assert_eq!(y.len(), a.len());
        assert_eq!(y.len(), b.len());
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = fma::<FMA>(*a, *b, *y);
        }
    }
}

/// Lanes of the sums below: fixed, so that every instruction set adds in the same order.
const LANES: usize = 16;

kernel! {
    /// `sum_i a_i b_i`
    pub fn dot<'a>(a: &'a [f32], b: &'a [f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let mut lanes = [0.0f32; LANES];
        let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let (a_rest, b_rest) = (a_blocks.remainder(), b_blocks.remainder());
        for (a, b) in a_blocks.zip(b_blocks) {
            for i in 0..LANES {
                lanes[i] = fma::<FMA>(a[i], b[i], lanes[i]);
            }
        }
        for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
            lanes[i] = fma::<FMA>(*a, *b, lanes[i]);
        }
        sum_lanes(lanes)
    }
}

/// The sum of the lanes, as a tree.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

kernel! {
    /// The sum of squares in double precision, for the norm of a gradient.
    pub fn sum_of_squares<'a>(x: &'a [f32]) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let blocks = x.chunks_exact(LANES);
        for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
            *lane += f64::from(*x) * f64::from(*x);
        }
        for block in blocks {
            for i in 0..LANES {
                lanes[i] += f64::from(block[i]) * f64::from(block[i]);
            }
        }
        lanes.iter().sum()
    }
}
