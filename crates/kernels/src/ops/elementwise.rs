//! Sums and products of vectors, element by element.

use super::lanes::{LANES, Lanes};
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

kernel! {
    /// `sum_i a_i b_i`
    pub fn dot<'a>(a: &'a [f32], b: &'a [f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        let mut sums = Lanes::splat(0.0);
        for (a, b) in a.iter().zip(b) {
            sums = Lanes(std::array::from_fn(|i| fma::<FMA>(a[i], b[i], sums.0[i])));
        }
        for (sum, (a, b)) in sums.0.iter_mut().zip(a_rest.iter().zip(b_rest)) {
            *sum = fma::<FMA>(*a, *b, *sum);
        }
        sums.sum()
    }
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
