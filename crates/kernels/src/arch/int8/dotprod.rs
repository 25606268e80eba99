//! NEON's dot products of four signed bytes. A's bytes are unsigned: 128 is taken off each, and off
//! the row's zero point.
//!
//! Stable Rust has no name for the instruction yet: it is written in assembler.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::tile::Start;
use super::tile::{A_STRIDE, COLUMNS, Tile};

/// Rows and vectors of columns whose sums are in registers at once.
const ROWS: usize = 4;
const VECTORS: usize = 4;

/// # Safety
/// The processor has dot products; `product` checked all slices.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn run_rows(mut tile: Tile<'_>) {
    let n_rows = tile.row_scale.len();
    // SAFETY: passed on from the caller; there are as many rows as each call takes.
    unsafe {
        for i in (0..n_rows).step_by(ROWS) {
            match n_rows - i {
                1 => run::<1>(&mut tile, i),
                2 => run::<2>(&mut tile, i),
                3 => run::<3>(&mut tile, i),
                _ => run::<ROWS>(&mut tile, i),
            }
        }
    }
}

/// Rows `i0..i0 + N` of a tile.
///
/// # Safety
/// As [`run_rows`]; the tile has these rows.
#[target_feature(enable = "neon,dotprod")]
unsafe fn run<const N: usize>(tile: &mut Tile<'_>, i0: usize) {
    // SAFETY: `product` checked that k bytes of each row of `a` and k / 4 rows of COLUMNS fours of
    // `b` are inside their slices.
    unsafe {
        for j0 in (0..COLUMNS).step_by(4 * VECTORS) {
            let a = tile.a.as_ptr().add(i0 * A_STRIDE);
            let b = tile.b.as_ptr().add(4 * j0);
            let mut sums = [[vdupq_n_s32(0); VECTORS]; N];
            for p in 0..tile.k / 4 {
                let b = [0, 1, 2, 3].map(|v| vld1q_s8(b.add(p * 4 * COLUMNS + 16 * v)));
                for (i, sum) in sums.iter_mut().enumerate() {
                    let four = a.add(i * A_STRIDE + 4 * p).cast::<u32>().read_unaligned();
                    let x = vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x8080_8080));
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum = dot(*sum, x, b);
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                for (v, sum) in sum.iter().enumerate() {
                    finish(tile, (i0 + i, j0 + 4 * v), *sum, 128);
                }
            }
        }
    }
}

/// `sum` with the products of four bytes each added.
///
/// # Safety
/// The processor has dot products.
#[target_feature(enable = "neon,dotprod")]
#[inline]
unsafe fn dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there and reads registers only.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Writes four columns from `j` on of row `i` of a tile, from their sums, in which `off` was taken
/// off each byte of A.
///
/// # Safety
/// `product` checked all slices; the tile has this row and these columns.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn finish(tile: &mut Tile<'_>, (i, j): (usize, usize), sum: int32x4_t, off: i32) {
    // SAFETY: `product` checked that each row of `c`, a row that is added, and the columns' data
    // have COLUMNS elements.
    unsafe {
        let column_sum = vld1q_s32(tile.column_sum.as_ptr().add(j));
        let column_scale = vld1q_f32(tile.column_scale.as_ptr().add(j));
        let zero = vdupq_n_s32(*tile.zero.as_ptr().add(i) - off);
        let exact = vcvtq_f32_s32(vmlsq_s32(sum, zero, column_sum));
        let scale = vmulq_n_f32(column_scale, *tile.row_scale.as_ptr().add(i));
        let out = tile.c.as_mut_ptr().add(i * tile.c_stride + j);
        let start = match tile.start {
            Start::Zero => vdupq_n_f32(0.0),
            Start::Output => vld1q_f32(out),
            Start::Row(row) => vld1q_f32(row.as_ptr().add(j)),
            Start::OutputAndRow(row) => vaddq_f32(vld1q_f32(row.as_ptr().add(j)), vld1q_f32(out)),
        };
        vst1q_f32(out, vfmaq_f32(start, exact, scale));
    }
}
