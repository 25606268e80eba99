//! The tile of the int8 matrix product: rows of unsigned bytes against one packed panel of signed bytes,
//! summed exactly in 32 bits, then scaled to `f32` while the tile is in registers.

use super::Kind;
use crate::Isa;

/// Columns of a panel of B, on every instruction set.
pub(crate) const COLUMNS: usize = 32;
/// Rows of a full tile.
pub(crate) const ROWS: usize = 14;
/// Elements of K that one pass covers: a panel of B then takes 32 KiB.
pub(crate) const K_BLOCK: usize = 1024;
/// Distance of a panel's rows, in bytes; not a power of two, so that rows fall into different sets.
pub(crate) const A_STRIDE: usize = K_BLOCK + 64;

/// One tile: `c[i][j] = start + row_scale[i] column_scale[j] (sum_p a[i][p] b[p][j] - zero[i] column_sum[j])`.
pub(crate) struct Tile<'a> {
    /// Elements of K, a multiple of 4.
    pub(crate) k: usize,
    /// Rows [`A_STRIDE`] apart.
    pub(crate) a: &'a [u8],
    /// Scale and zero point of each row.
    pub(crate) row_scale: &'a [f32],
    pub(crate) zero: &'a [i32],
    /// `[k / 4][COLUMNS][4]`
    pub(crate) b: &'a [i8],
    pub(crate) column_scale: &'a [f32],
    pub(crate) column_sum: &'a [i32],
    /// Rows `c_stride` apart; all [`COLUMNS`] columns are written.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    /// Whether C's content is added to.
    pub(crate) add: bool,
}

/// Computes a tile.
///
/// # Panics
/// If a slice is too short or there are more rows than a tile has.
#[inline]
pub(crate) fn product(isa: Isa, tile: Tile<'_>) {
    let n_rows = tile.row_scale.len();
    assert!(n_rows > 0 && n_rows <= ROWS && tile.zero.len() == n_rows);
    assert!(tile.k > 0 && tile.k <= K_BLOCK && tile.k.is_multiple_of(4));
    assert!(tile.a.len() >= (n_rows - 1) * A_STRIDE + tile.k);
    assert!(tile.b.len() >= tile.k * COLUMNS);
    assert!(tile.column_scale.len() >= COLUMNS && tile.column_sum.len() >= COLUMNS);
    assert!(tile.c_stride >= COLUMNS || n_rows == 1);
    assert!(tile.c.len() >= (n_rows - 1) * tile.c_stride + COLUMNS);
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor was asked for AVX-512 VNNI, and the asserts above hold for every access.
        Kind::Avx512 if super::x86_64::has_avx512_vnni() => unsafe { vnni::run_rows(tile, n_rows) },
        _ => super::dispatch(isa, PlainTile(tile)),
    }
}

/// The tile as plain loops, for instruction sets without products of bytes.
struct PlainTile<'a>(Tile<'a>);

impl super::Kernel for PlainTile<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.0;
        for (i, (&scale, &zero)) in tile.row_scale.iter().zip(tile.zero).enumerate() {
            let mut sums = [0i32; COLUMNS];
            let a = &tile.a[i * A_STRIDE..][..tile.k];
            for (a, b) in a.chunks_exact(4).zip(tile.b.chunks_exact(4 * COLUMNS)) {
                for (j, sum) in sums.iter_mut().enumerate() {
                    for p in 0..4 {
                        *sum += i32::from(a[p]) * i32::from(b[4 * j + p]);
                    }
                }
            }
            let c = &mut tile.c[i * tile.c_stride..][..COLUMNS];
            for j in 0..COLUMNS {
                let exact = (sums[j] - zero * tile.column_sum[j]) as f32;
                let start = if tile.add { c[j] } else { 0.0 };
                c[j] = super::fma::<FMA>(exact, scale * tile.column_scale[j], start);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::*;

    use super::{A_STRIDE, Tile};

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
    unsafe fn run<const ROWS: usize>(tile: Tile<'_>) {
        let (a, b) = (tile.a.as_ptr(), tile.b.as_ptr());
        // SAFETY: `product` checked that k bytes of ROWS rows of `a`, k / 4 rows of two vectors of `b`, and
        // ROWS rows of two vectors of `c` are inside their slices, as are two vectors a column's data.
        unsafe {
            let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
            for p in 0..tile.k / 4 {
                let b0 = _mm512_loadu_si512(b.add(p * 128).cast());
                let b1 = _mm512_loadu_si512(b.add(p * 128 + 64).cast());
                for (i, sum) in sums.iter_mut().enumerate() {
                    let four = a.add(i * A_STRIDE + 4 * p).cast::<i32>().read_unaligned();
                    let x = _mm512_set1_epi32(four);
                    sum[0] = _mm512_dpbusd_epi32(sum[0], x, b0);
                    sum[1] = _mm512_dpbusd_epi32(sum[1], x, b1);
                }
            }
            let column_sum =
                [0, 16].map(|j| _mm512_loadu_si512(tile.column_sum.as_ptr().add(j).cast()));
            let column_scale = [0, 16].map(|j| _mm512_loadu_ps(tile.column_scale.as_ptr().add(j)));
            for (i, sum) in sums.iter().enumerate() {
                let zero = _mm512_set1_epi32(*tile.zero.as_ptr().add(i));
                let row_scale = _mm512_set1_ps(*tile.row_scale.as_ptr().add(i));
                let out = tile.c.as_mut_ptr().add(i * tile.c_stride);
                let finish = |half: usize, sum: __m512i| {
                    let exact = _mm512_sub_epi32(sum, _mm512_mullo_epi32(zero, column_sum[half]));
                    let scale = _mm512_mul_ps(row_scale, column_scale[half]);
                    let out = out.add(16 * half);
                    let start = if tile.add { _mm512_loadu_ps(out) } else { _mm512_setzero_ps() };
                    _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), scale, start));
                };
                finish(0, sum[0]);
                finish(1, sum[1]);
            }
        }
    }
}
