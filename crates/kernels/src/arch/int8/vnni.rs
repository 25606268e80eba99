//! AVX-512 VNNI: products of four bytes are added to each of sixteen sums at a time.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::super::tile::Start;
use super::super::x86_64::prefetch;
use super::tile::{A_STRIDE, Tile};

/// Rows of a panel that are asked for in advance. Weights that come from memory, as those of a
/// thousand adapters do, are there sooner; those in the caches take no longer.
const AHEAD: usize = 32;

/// # Safety
/// The processor has AVX-512 VNNI; `product` checked all slices for `n_rows` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn run_rows(tile: Tile<'_>, n_rows: usize) {
    macro_rules! rows {
        ($($n:literal)*) => {
            match n_rows {
                // SAFETY: passed on from the caller.
                $($n => unsafe { run::<$n>(tile) },)*
                _ => unreachable!("checked by the caller"),
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// # Safety
/// As [`run_rows`], for `ROWS` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
#[inline]
unsafe fn run<const ROWS: usize>(mut tile: Tile<'_>) {
    let (a, b) = (tile.a.as_ptr(), tile.b.as_ptr());
    // SAFETY: `product` checked that k bytes of ROWS rows of `a` and k / 4 rows of two vectors of
    // `b` are inside their slices.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
        for p in 0..tile.k / 4 {
            let b0 = _mm512_loadu_si512(b.add(p * 128).cast());
            let b1 = _mm512_loadu_si512(b.add(p * 128 + 64).cast());
            for line in [0, 64] {
                prefetch(b.wrapping_add((p + AHEAD) * 128 + line));
            }
            for (i, sum) in sums.iter_mut().enumerate() {
                let four = a.add(i * A_STRIDE + 4 * p).cast::<i32>().read_unaligned();
                let x = _mm512_set1_epi32(four);
                sum[0] = _mm512_dpbusd_epi32(sum[0], x, b0);
                sum[1] = _mm512_dpbusd_epi32(sum[1], x, b1);
            }
        }
        // The last loop is not unrolled: its index would keep `sums` itself in memory, which a
        // call then zeroes before every tile.
        let mut done = [const { MaybeUninit::<[__m512i; 2]>::uninit() }; ROWS];
        for i in 0..ROWS {
            done[i].write(sums[i]);
        }
        let columns = Columns::of(&tile);
        for (i, sum) in done.iter().enumerate() {
            columns.finish(&mut tile, i, sum.assume_init());
        }
    }
}

/// Sums and scales of a tile's columns.
pub(super) struct Columns {
    sum: [__m512i; 2],
    scale: [__m512; 2],
}

impl Columns {
    /// # Safety
    /// As [`run_rows`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    #[inline]
    pub(super) unsafe fn of(tile: &Tile<'_>) -> Self {
        // SAFETY: `product` checked that both have two vectors.
        unsafe {
            let sum = [0, 16].map(|j| _mm512_loadu_si512(tile.column_sum.as_ptr().add(j).cast()));
            let scale = [0, 16].map(|j| _mm512_loadu_ps(tile.column_scale.as_ptr().add(j)));
            Self { sum, scale }
        }
    }

    /// Writes row `i` of a tile from its sums.
    ///
    /// # Safety
    /// As [`run_rows`]; the tile has this row.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    #[inline]
    pub(super) unsafe fn finish(&self, tile: &mut Tile<'_>, i: usize, sum: [__m512i; 2]) {
        // SAFETY: `product` checked that each row of `c`, and a row that is added, have two
        // vectors.
        unsafe {
            let zero = _mm512_set1_epi32(*tile.zero.as_ptr().add(i));
            let row_scale = _mm512_set1_ps(*tile.row_scale.as_ptr().add(i));
            for (half, sum) in sum.into_iter().enumerate() {
                let exact = _mm512_sub_epi32(sum, _mm512_mullo_epi32(zero, self.sum[half]));
                let scale = _mm512_mul_ps(row_scale, self.scale[half]);
                let out = tile.c.as_mut_ptr().add(i * tile.c_stride + 16 * half);
                let start = match tile.start {
                    Start::Zero => _mm512_setzero_ps(),
                    Start::Output => _mm512_loadu_ps(out),
                    Start::Row(row) => _mm512_loadu_ps(row.as_ptr().add(16 * half)),
                    Start::OutputAndRow(row) => _mm512_add_ps(
                        _mm512_loadu_ps(row.as_ptr().add(16 * half)),
                        _mm512_loadu_ps(out),
                    ),
                };
                _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), scale, start));
            }
        }
    }
}
