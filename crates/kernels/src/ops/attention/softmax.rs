//! Softmax of rows of scores, forward and backward: of whole rows, and of rows that come in tiles.
//!
//! Rows are in blocks of [`LANES`]. The last block is computed whole: element by element it would
//! take longer than many blocks. What stands after a row's last element is of no use before, and
//! overwritten.

use crate::arch::{fma, kernel};
use crate::ops::activation;
use crate::ops::lanes::{LANES, Lanes};

type Block = [f32; LANES];

/// The blocks that hold the first `n` elements of a row.
#[inline(always)]
fn blocks(row: &mut [f32], n: usize) -> &mut [Block] {
    &mut row.as_chunks_mut().0[..n.div_ceil(LANES)]
}

/// The whole blocks of a row of `n` elements; and the last one, with its elements, if it is not
/// whole.
#[inline(always)]
fn last(blocks: &mut [Block], n: usize) -> (&mut [Block], Option<(&mut Block, usize)>) {
    let (whole, last) = blocks.split_at_mut(n / LANES);
    (whole, last.first_mut().map(|last| (last, n % LANES)))
}

/// The largest of the first `n` elements; those that are not numbers are passed over.
#[inline(always)]
fn largest(row: &mut [Block], n: usize) -> f32 {
    // This comparison is one instruction.
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    // Two chains: the latency of a maximum is two to four cycles.
    let mut lanes = [Lanes::splat(f32::NEG_INFINITY); 2];
    let (whole, last) = last(row, n);
    if let Some((last, n)) = last {
        lanes[0] = lanes[0].with(Lanes(*last).first(n, f32::NEG_INFINITY), larger);
    }
    let (pairs, single) = whole.as_chunks::<2>();
    for [a, b] in pairs {
        lanes = [lanes[0].with(Lanes(*a), larger), lanes[1].with(Lanes(*b), larger)];
    }
    for block in single {
        lanes[0] = lanes[0].with(Lanes(*block), larger);
    }
    lanes[0].with(lanes[1], larger).fold(larger)
}

/// Replaces each of the first `n` elements by `f` of it; returns the sum.
#[inline(always)]
fn map_and_sum(row: &mut [Block], n: usize, f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (whole, last) = last(row, n);
    if let Some((last, n)) = last {
        last.iter_mut().for_each(|x| *x = f(*x));
        *last = Lanes(*last).first(n, 0.0).0;
        sums = *last;
    }
    for block in whole {
        for i in 0..LANES {
            block[i] = f(block[i]);
            sums[i] += block[i];
        }
    }
    Lanes(sums).sum()
}

/// `exp(scale x - max)` of each of the first `n` elements, and the sum.
#[inline(always)]
fn exponentiate<const FMA: bool>(row: &mut [Block], n: usize, scale: f32, max: f32) -> f32 {
    map_and_sum(row, n, |x| activation::exp::<FMA>(fma::<FMA>(x, scale, -max)))
}

kernel! {
    /// `softmax(scale x)` of the first `columns` elements of rows that are `stride` apart, in
    /// place.
    ///
    /// # Panics
    /// If a row has no room for whole blocks; so for all functions of this file.
    pub fn softmax_rows<'a>(x: &'a mut [f32], columns: usize, stride: usize, scale: f32) {
        for row in x.chunks_mut(stride) {
            let row = blocks(row, columns);
            let max = largest(row, columns) * scale;
            let inverse = 1.0 / exponentiate::<FMA>(row, columns, scale, max);
            for x in row.as_flattened_mut() {
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
            let (p, p_last) = p.as_chunks::<LANES>();
            let p_last = Lanes::part(p_last);
            let (whole, last) = last(blocks(d, columns), columns);
            let mut sums = Lanes::splat(0.0);
            if let Some((d, n)) = &last {
                sums = p_last.with(Lanes(**d).first(*n, 0.0), |p, d| fma::<FMA>(p, d, 0.0));
            }
            for (p, d) in p.iter().zip(&*whole) {
                sums = Lanes(std::array::from_fn(|i| fma::<FMA>(p[i], d[i], sums.0[i])));
            }
            let along = sums.sum();
            let through = |d: &mut [f32], p: &[f32]| {
                d.iter_mut().zip(p).for_each(|(d, p)| *d = scale * *p * (*d - along));
            };
            through(whole.as_flattened_mut(), p.as_flattened());
            if let Some((d, _)) = last {
                through(d, &p_last.0);
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
            let (from, to) = seen.of_row(i, columns);
            let n = to - from;
            row[..from].fill(0.0);
            row[to..columns].fill(0.0);
            if n == 0 {
                continue;
            }
            let row = blocks(&mut row[from..], n);
            let largest = largest(row, n) * scale;
            if largest > *max {
                // A first tile finds zeros; else the factor is at most 1.
                let factor = activation::exp::<FMA>(*max - largest);
                *total *= factor;
                accumulated.iter_mut().for_each(|x| *x *= factor);
                *max = largest;
            }
            *total += exponentiate::<FMA>(row, n, scale, *max);
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
            let (from, to) = seen.of_row(i, columns);
            let n = to - from;
            row[..from].fill(0.0);
            row[to..columns].fill(0.0);
            let p = |x| activation::exp::<FMA>(fma::<FMA>(x, scale, -*max)) * *inverse;
            map_and_sum(blocks(&mut row[from..], n), n, p);
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
