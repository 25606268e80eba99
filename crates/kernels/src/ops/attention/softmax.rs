//! Softmax of rows, forward and backward.

use crate::arch::{fma, kernel};
use crate::ops::{activation, elementwise};

const LANES: usize = 16;

kernel! {
    /// `softmax(scale x)` of each row of `columns` elements, in place.
    pub fn softmax_rows<'a>(x: &'a mut [f32], columns: usize, scale: f32) {
        for row in x.chunks_exact_mut(columns) {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            let blocks = row.chunks_exact(LANES);
            for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
                *lane = lane.max(*x);
            }
            for block in blocks {
                for i in 0..LANES {
                    lanes[i] = lanes[i].max(block[i]);
                }
            }
            let max = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max) * scale;
            for x in row.iter_mut() {
                *x = activation::exp::<FMA>(fma::<FMA>(*x, scale, -max));
            }
            let mut lanes = [0.0f32; LANES];
            let blocks = row.chunks_exact(LANES);
            for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
                *lane += *x;
            }
            for block in blocks {
                for i in 0..LANES {
                    lanes[i] += block[i];
                }
            }
            let inverse = 1.0 / elementwise::sum_lanes(lanes);
            for x in row.iter_mut() {
                *x *= inverse;
            }
        }
    }
}

kernel! {
    /// Through `p = softmax(scale s)`: `d_s = scale p (d_p - sum(p d_p))`, written over `d`.
    pub fn softmax_backward_rows<'a>(p: &'a [f32], d: &'a mut [f32], columns: usize, scale: f32) {
        assert_eq!(p.len(), d.len());
        for (p, d) in p.chunks_exact(columns).zip(d.chunks_exact_mut(columns)) {
            let mut lanes = [0.0f32; LANES];
            let (p_blocks, d_blocks) = (p.chunks_exact(LANES), d.chunks_exact(LANES));
            let rest = p_blocks.remainder().iter().zip(d_blocks.remainder());
            for (lane, (p, d)) in lanes.iter_mut().zip(rest) {
                *lane = fma::<FMA>(*p, *d, *lane);
            }
            for (p, d) in p_blocks.zip(d_blocks) {
                for i in 0..LANES {
                    lanes[i] = fma::<FMA>(p[i], d[i], lanes[i]);
                }
            }
            let along = elementwise::sum_lanes(lanes);
            for (d, p) in d.iter_mut().zip(p) {
                *d = scale * *p * (*d - along);
            }
        }
    }
}
