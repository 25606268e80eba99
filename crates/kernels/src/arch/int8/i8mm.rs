//! NEON's products of 2 x 8 unsigned and 8 x 2 signed bytes, which add to four sums at a time.
//!
//! Two rows of fours of B, one above the other, become eights by interleaving their columns.
//! Stable Rust has no name for the instruction yet: it is written in assembler.

use std::arch::aarch64::*;
use std::arch::asm;

use super::dotprod::finish;
use super::tile::{A_STRIDE, COLUMNS, Tile};

/// Pairs of rows and of columns whose sums are in registers at once.
const ROWS: usize = 4;
const COLUMN_PAIRS: usize = 4;

/// # Safety
/// The processor has these products; `product` checked all slices, and that `a` has an even number
/// of rows with [`A_STRIDE`] bytes each.
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn run_rows(mut tile: Tile<'_>) {
    let pairs = tile.row_scale.len().div_ceil(2);
    // SAFETY: passed on from the caller; there are as many pairs as each call takes.
    unsafe {
        for i in (0..pairs).step_by(ROWS) {
            match pairs - i {
                1 => run::<1>(&mut tile, 2 * i),
                2 => run::<2>(&mut tile, 2 * i),
                3 => run::<3>(&mut tile, 2 * i),
                _ => run::<ROWS>(&mut tile, 2 * i),
            }
        }
    }
}

/// N pairs of rows of a tile, from `i0` on; of the last pair the second may not be there.
///
/// # Safety
/// As [`run_rows`]; the tile has these rows.
#[target_feature(enable = "neon,i8mm")]
unsafe fn run<const N: usize>(tile: &mut Tile<'_>, i0: usize) {
    let n_rows = tile.row_scale.len();
    // SAFETY: rows of `a` are A_STRIDE = K_BLOCK + 64 apart, so that eight bytes from any multiple
    // of four below k are there; `product` checked that k / 4 rows of COLUMNS fours of `b` are
    // inside their slice. Of an odd last four, B's second row is zero.
    unsafe {
        for j0 in (0..COLUMNS).step_by(2 * COLUMN_PAIRS) {
            let a = tile.a.as_ptr().add(i0 * A_STRIDE);
            let b = tile.b.as_ptr().add(4 * j0);
            let mut sums = [[vdupq_n_s32(0); COLUMN_PAIRS]; N];
            for p in (0..tile.k / 4).step_by(2) {
                let row = |p: usize, half: usize| vld1q_s8(b.add(p * 4 * COLUMNS + 16 * half));
                let second = |half| match p + 1 < tile.k / 4 {
                    true => row(p + 1, half),
                    false => vdupq_n_s8(0),
                };
                let fours = [0, 1].map(|half| {
                    (vreinterpretq_s32_s8(row(p, half)), vreinterpretq_s32_s8(second(half)))
                });
                let [low, high] = fours.map(|(a, b)| [vzip1q_s32(a, b), vzip2q_s32(a, b)]);
                let eights = [low[0], low[1], high[0], high[1]].map(|x| vreinterpretq_s8_s32(x));
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = a.add(2 * i * A_STRIDE + 4 * p);
                    let x = vcombine_u8(vld1_u8(at), vld1_u8(at.add(A_STRIDE)));
                    for (sum, b) in sum.iter_mut().zip(eights) {
                        *sum = product(*sum, x, b);
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                for (pairs, j) in sum.chunks_exact(2).zip((j0..).step_by(4)) {
                    let [left, right] =
                        [vreinterpretq_s64_s32(pairs[0]), vreinterpretq_s64_s32(pairs[1])];
                    let i = i0 + 2 * i;
                    finish(tile, (i, j), vreinterpretq_s32_s64(vzip1q_s64(left, right)), 0);
                    if i + 1 < n_rows {
                        finish(tile, (i + 1, j), vreinterpretq_s32_s64(vzip2q_s64(left, right)), 0);
                    }
                }
            }
        }
    }
}

/// `sum`, two rows of two, with the products of two rows of A and two columns of B added.
///
/// # Safety
/// The processor has these products.
#[target_feature(enable = "neon,i8mm")]
#[inline]
unsafe fn product(mut sum: int32x4_t, a: uint8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there and reads registers only.
    unsafe {
        asm!(
            "usmmla {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
