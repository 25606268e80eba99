//! AVX2 without products of bytes. Its own byte product saturates its sums of two at 16 bits, so
//! bytes are widened to 16 bits and multiplied there, which is exact.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::super::tile::Start;
use super::tile::{A_STRIDE, COLUMNS, K_BLOCK, ROWS, Tile};

/// Columns whose sums are in registers at once.
const GROUP: usize = 8;

/// # Safety
/// The processor has AVX2 and FMA; `product` checked all slices.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_rows(mut tile: Tile<'_>) {
    let n_rows = tile.row_scale.len();
    let mut wide = [MaybeUninit::<i16>::uninit(); ROWS * K_BLOCK];
    let wide = wide.as_mut_ptr().cast::<i16>();
    // SAFETY: `k` is at most K_BLOCK and the rows of `a` are A_STRIDE = K_BLOCK + 64 apart, of
    // which the last row has `k` readable bytes: the sixteen-byte reads stay below `k`, the
    // rest is read byte by byte.
    unsafe {
        for i in 0..n_rows {
            let (from, to) = (tile.a.as_ptr().add(i * A_STRIDE), wide.add(i * K_BLOCK));
            let whole = tile.k / 16 * 16;
            for p in (0..whole).step_by(16) {
                let bytes = _mm_loadu_si128(from.add(p).cast());
                _mm256_storeu_si256(to.add(p).cast(), _mm256_cvtepu8_epi16(bytes));
            }
            for p in whole..tile.k {
                to.add(p).write(i16::from(*from.add(p)));
            }
        }
        let mut i = 0;
        while i < n_rows {
            match n_rows - i {
                1 => run::<1>(&mut tile, wide, i),
                2 => run::<2>(&mut tile, wide, i),
                3 => run::<3>(&mut tile, wide, i),
                _ => run::<4>(&mut tile, wide, i),
            }
            i += 4;
        }
    }
}

/// Rows `i0..i0 + N` of a tile.
///
/// # Safety
/// As [`run_rows`]; `wide` holds those rows of A in 16 bits, `K_BLOCK` apart.
#[target_feature(enable = "avx2,fma")]
unsafe fn run<const N: usize>(tile: &mut Tile<'_>, wide: *const i16, i0: usize) {
    // SAFETY: `product` checked that N rows of `c`, a panel of `b` and a panel's column data
    // are inside their slices.
    unsafe {
        let a = wide.add(i0 * K_BLOCK);
        for j in (0..COLUMNS).step_by(GROUP) {
            let mut sums = [[_mm256_setzero_si256(); 2]; N];
            for p in 0..tile.k / 4 {
                let b = tile.b.as_ptr().add(p * 4 * COLUMNS + 4 * j);
                let b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128(b.cast()));
                let b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128(b.add(16).cast()));
                for (i, sum) in sums.iter_mut().enumerate() {
                    let four = a.add(i * K_BLOCK + 4 * p).cast::<i64>().read_unaligned();
                    let x = _mm256_set1_epi64x(four);
                    sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(x, b0));
                    sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(x, b1));
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                // Pairs of neighbours are one column; the addition leaves columns 0 1 4 5 2 3 6 7.
                let sum = _mm256_hadd_epi32(sum[0], sum[1]);
                let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(sum);
                finish(tile, (i0 + i, j), sum);
            }
        }
    }
}

/// Writes eight columns from `j` on of row `i` of a tile, from their sums.
///
/// # Safety
/// As [`run_rows`]; the tile has this row and these columns.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) unsafe fn finish(tile: &mut Tile<'_>, (i, j): (usize, usize), sum: __m256i) {
    // SAFETY: `product` checked that each row of `c`, a row that is added, and the columns' data
    // have COLUMNS elements.
    unsafe {
        let column_sum = _mm256_loadu_si256(tile.column_sum.as_ptr().add(j).cast());
        let column_scale = _mm256_loadu_ps(tile.column_scale.as_ptr().add(j));
        let zero = _mm256_set1_epi32(*tile.zero.as_ptr().add(i));
        let row_scale = _mm256_set1_ps(*tile.row_scale.as_ptr().add(i));
        let exact = _mm256_sub_epi32(sum, _mm256_mullo_epi32(zero, column_sum));
        let scale = _mm256_mul_ps(row_scale, column_scale);
        let out = tile.c.as_mut_ptr().add(i * tile.c_stride + j);
        let start = match tile.start {
            Start::Zero => _mm256_setzero_ps(),
            Start::Output => _mm256_loadu_ps(out),
            Start::Row(row) => _mm256_loadu_ps(row.as_ptr().add(j)),
            Start::OutputAndRow(row) => {
                _mm256_add_ps(_mm256_loadu_ps(row.as_ptr().add(j)), _mm256_loadu_ps(out))
            }
        };
        _mm256_storeu_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(exact), scale, start));
    }
}
