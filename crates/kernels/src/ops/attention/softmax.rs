//! Softmax of rows of scores, forward and backward: of whole rows, and of rows that come in tiles.

use crate::arch::{fma, kernel};
use crate::ops::activation;
use crate::ops::elementwise::sum_lanes;

const LANES: usize = 16;

/// The largest element; those that are not numbers are passed over.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
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
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
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
    sum_lanes(lanes)
}

/// `exp(scale x - max)` of each element.
#[inline(always)]
fn exponentiate<const FMA: bool>(row: &mut [f32], scale: f32, max: f32) {
    for x in row.iter_mut() {
        *x = activation::exp::<FMA>(fma::<FMA>(*x, scale, -max));
    }
}

kernel! {
    /// `softmax(scale x)` of the first `columns` elements of rows that are `stride` apart, in
    /// place.
    pub fn softmax_rows<'a>(x: &'a mut [f32], columns: usize, stride: usize, scale: f32) {
        for row in x.chunks_mut(stride) {
            let row = &mut row[..columns];
            let max = largest(row) * scale;
            exponentiate::<FMA>(row, scale, max);
            let inverse = 1.0 / sum(row);
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
            exponentiate::<FMA>(row, scale, *max);
            *total += sum(row);
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
            for x in &mut row[from..to] {
                *x = activation::exp::<FMA>(fma::<FMA>(*x, scale, -*max)) * *inverse;
            }
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
