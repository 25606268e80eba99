//! AVX-VNNI: products of four bytes are added to each of eight sums at a time, on processors
//! without AVX-512.

use std::arch::x86_64::*;

use super::avx2;
use super::tile::{A_STRIDE, COLUMNS, Tile};

/// Rows and vectors of columns whose sums are in registers at once.
const ROWS: usize = 6;
const VECTORS: usize = 2;

/// # Safety
/// The processor has AVX2, FMA and AVX-VNNI; `product` checked all slices.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn run_rows(mut tile: Tile<'_>) {
    let n_rows = tile.row_scale.len();
    // SAFETY: passed on from the caller; there are as many rows as each call takes.
    unsafe {
        for i in (0..n_rows).step_by(ROWS) {
            match n_rows - i {
                1 => run::<1>(&mut tile, i),
                2 => run::<2>(&mut tile, i),
                3 => run::<3>(&mut tile, i),
                4 => run::<4>(&mut tile, i),
                5 => run::<5>(&mut tile, i),
                _ => run::<ROWS>(&mut tile, i),
            }
        }
    }
}

/// Rows `i0..i0 + N` of a tile.
///
/// # Safety
/// As [`run_rows`]; the tile has these rows.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn run<const N: usize>(tile: &mut Tile<'_>, i0: usize) {
    // SAFETY: `product` checked that k bytes of each row of `a` and k / 4 rows of COLUMNS fours of
    // `b` are inside their slices.
    unsafe {
        for j0 in (0..COLUMNS).step_by(8 * VECTORS) {
            let a = tile.a.as_ptr().add(i0 * A_STRIDE);
            let b = tile.b.as_ptr().add(4 * j0);
            let mut sums = [[_mm256_setzero_si256(); VECTORS]; N];
            for p in 0..tile.k / 4 {
                let load = |v: usize| _mm256_loadu_si256(b.add(p * 4 * COLUMNS + 32 * v).cast());
                let b: [__m256i; VECTORS] = [load(0), load(1)];
                for (i, sum) in sums.iter_mut().enumerate() {
                    let four = a.add(i * A_STRIDE + 4 * p).cast::<i32>().read_unaligned();
                    let x = _mm256_set1_epi32(four);
                    sum[0] = _mm256_dpbusd_avx_epi32(sum[0], x, b[0]);
                    sum[1] = _mm256_dpbusd_avx_epi32(sum[1], x, b[1]);
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                for (v, sum) in sum.iter().enumerate() {
                    avx2::finish(tile, (i0 + i, j0 + 8 * v), *sum);
                }
            }
        }
    }
}
