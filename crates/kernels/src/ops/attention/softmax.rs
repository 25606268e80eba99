//! Softmax of rows of scores, forward and backward: of whole rows, and of rows that come in tiles.

use crate::arch::{fma, kernel};
use crate::ops::activation;
use crate::ops::elementwise::sum_lanes;

const LANES: usize = 16;

/// The largest element; those that are not numbers are passed over.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    // Four chains: the latency of a maximum is four cycles. This comparison is one instruction.
    const CHAINS: usize = 4 * LANES;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; CHAINS];
    let blocks = row.chunks_exact(CHAINS);
    for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
        *lane = larger(*lane, *x);
    }
    for block in blocks {
        for i in 0..CHAINS {
            lanes[i] = larger(lanes[i], block[i]);
        }
    }
    let mut width = CHAINS / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = larger(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Replaces each element of a row by `f` of it; returns the sum. What is left of the last block is
/// computed as a block: element by element it would take longer than many blocks.
#[inline(always)]
fn map_and_sum(row: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    let mut lanes = [0.0f32; LANES];
    if !rest.is_empty() {
        let mut block = [0.0; LANES];
        block[..rest.len()].copy_from_slice(rest);
        block.iter_mut().for_each(|x| *x = f(*x));
        rest.copy_from_slice(&block[..rest.len()]);
        lanes[..rest.len()].copy_from_slice(rest);
    }
    for block in blocks {
        for i in 0..LANES {
            block[i] = f(block[i]);
            lanes[i] += block[i];
        }
    }
    sum_lanes(lanes)
}

/// `exp(scale x - max)` of each element, and the sum.
#[inline(always)]
fn exponentiate<const FMA: bool>(row: &mut [f32], scale: f32, max: f32) -> f32 {
    map_and_sum(row, |x| activation::exp::<FMA>(fma::<FMA>(x, scale, -max)))
}

kernel! {
    /// `softmax(scale x)` of the first `columns` elements of rows that are `stride` apart, in
    /// place.
    pub fn softmax_rows<'a>(x: &'a mut [f32], columns: usize, stride: usize, scale: f32) {
        for row in x.chunks_mut(stride) {
            let row = &mut row[..columns];
            let max = largest(row) * scale;
            let inverse = 1.0 / exponentiate::<FMA>(row, scale, max);
            for x in row.iter_mut() {
                *x *= inverse;
            }
        }
    }
}

kernel! {
    /// Through `p = softmax(scale s)`: `d_s = scale p (d_p - sum(p d_p))`, written over `d`. Rows
    /// of `p` are `columns` long, those of `d` `stride` apart.
    pub(super) fn softmax_backward_rows<'a>(
        p: &'a [f32], columns: usize, d: &'a mut [f32], stride: usize, scale: f32,
    ) {
        for (p, d) in p.chunks_exact(columns).zip(d.chunks_mut(stride)) {
            let d = &mut d[..columns];
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
            let along = sum_lanes(lanes);
            for (d, p) in d.iter_mut().zip(p) {
                *d = scale * *p * (*d - along);
            }
        }
    }
}

/// Which keys of a tile each query sees: row `i` those at columns `from + i..to + i`, as far as
/// there are such columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) from: isize,
    pub(super) to: isize,
}

impl Seen {
    pub(super) const ALL: Self = Self { from: isize::MIN / 2, to: isize::MAX / 2 };

    #[inline(always)]
    fn of_row(self, i: usize, columns: usize) -> (usize, usize) {
        let at = |x: isize| (x + i as isize).clamp(0, columns as isize) as usize;
        let from = at(self.from);
        (from, at(self.to).max(from))
    }
}

kernel! {
    /// One more tile of scores of rows whose softmax is made tile by tile. With `m` the largest
    /// `scale s` of a row so far and `l` the sum of its `exp(scale s - m)`: the tile becomes
    /// `exp(scale s - m)` in place, `m` and `l` become those with the tile, and what was
    /// accumulated with the old `m`, `[rows, width]`, is brought to the new one.
    pub(super) fn one_more_tile<'a>(
        tile: &'a mut [f32], columns: usize, stride: usize, seen: Seen, scale: f32,
        max: &'a mut [f32], sums: &'a mut [f32], accumulated: &'a mut [f32], width: usize,
    ) {
        let state = max.iter_mut().zip(sums).zip(accumulated.chunks_exact_mut(width));
        let rows = tile.chunks_mut(stride).zip(state).enumerate();
        for (i, (row, ((max, total), accumulated))) in rows {
            let row = &mut row[..columns];
            let (from, to) = seen.of_row(i, columns);
            row[..from].fill(0.0);
            row[to..].fill(0.0);
            if from == to {
                continue;
            }
            let row = &mut row[from..to];
            let largest = largest(row) * scale;
            if largest > *max {
                // A first tile finds zeros; else the factor is at most 1.
                let factor = activation::exp::<FMA>(*max - largest);
                *total *= factor;
                accumulated.iter_mut().for_each(|x| *x *= factor);
                *max = largest;
            }
            *total += exponentiate::<FMA>(row, scale, *max);
        }
    }
}

kernel! {
    /// A tile's probabilities from its scores, in place, when `max` and the inverse sum of each
    /// row are known.
    pub(super) fn tile_again<'a>(
        tile: &'a mut [f32], columns: usize, stride: usize, seen: Seen, scale: f32,
        max: &'a [f32], inverse: &'a [f32],
    ) {
        let rows = tile.chunks_mut(stride).zip(max.iter().zip(inverse)).enumerate();
        for (i, (row, (max, inverse))) in rows {
            let row = &mut row[..columns];
            let (from, to) = seen.of_row(i, columns);
            row[..from].fill(0.0);
            row[to..].fill(0.0);
            let p = |x| activation::exp::<FMA>(fma::<FMA>(x, scale, -*max)) * *inverse;
            map_and_sum(&mut row[from..to], p);
        }
    }
}

kernel! {
    /// Through the softmax of a tile: `d_s = scale p (d_p - along)` over `d`, where `along` is each
    /// row's `sum(p d_p)` over all tiles.
    pub(super) fn tile_backward<'a>(
        p: &'a [f32], d: &'a mut [f32], columns: usize, stride: usize, scale: f32,
        along: &'a [f32],
    ) {
        for ((p, d), along) in p.chunks(stride).zip(d.chunks_mut(stride)).zip(along) {
            for (d, p) in d[..columns].iter_mut().zip(&p[..columns]) {
                *d = scale * *p * (*d - *along);
            }
        }
    }
}
