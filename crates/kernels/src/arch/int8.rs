//! The tile of the int8 matrix product: rows of unsigned bytes against one packed panel of signed
//! bytes, summed exactly in 32 bits, then scaled to `f32` while the tile is in registers.

use super::isa::{Isa, Kind};
use super::tile::Start;

/// Columns of a panel of B, on every instruction set.
pub(crate) const COLUMNS: usize = 32;
/// Rows of a full tile.
pub(crate) const ROWS: usize = 14;
/// Elements of K that one pass covers: a panel of B then takes 32 KiB.
pub(crate) const K_BLOCK: usize = 1024;
/// Distance of a panel's rows, in bytes; not a power of two, so that rows fall into different sets.
pub(crate) const A_STRIDE: usize = K_BLOCK + 64;

/// One tile: `c[i][j] = start + row_scale[i] column_scale[j] (sum_p a[i][p] b[p][j] - zero[i]
/// column_sum[j])`.
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
    /// What the sums are added to.
    pub(crate) start: Start<'a>,
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
    assert!(tile.start.row().is_none_or(|row| row.len() >= COLUMNS));
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor was asked for AVX-512 VNNI, and the asserts above hold for every
        // access.
        Kind::Avx512 if super::x86_64::has_avx512_vnni() => unsafe { vnni::run_rows(tile, n_rows) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: both kinds prove AVX2, and the asserts above hold for every access.
        Kind::Avx512 | Kind::Avx2 => unsafe { avx2::run_rows(tile) },
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
                let start = match tile.start {
                    Start::Zero => 0.0,
                    Start::Output => c[j],
                    Start::Row(row) => row[j],
                    Start::OutputAndRow(row) => row[j] + c[j],
                };
                c[j] = super::fma::<FMA>(exact, scale * tile.column_scale[j], start);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    use super::{A_STRIDE, Start, Tile};

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
        // SAFETY: `product` checked that k bytes of ROWS rows of `a`, k / 4 rows of two vectors of
        // `b`, and ROWS rows of two vectors of `c` are inside their slices, as are two vectors a
        // column's data.
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
            // The last loop is not unrolled: its index would keep `sums` itself in memory, which a
            // call then zeroes before every tile.
            let mut done = [const { MaybeUninit::<[__m512i; 2]>::uninit() }; ROWS];
            for i in 0..ROWS {
                done[i].write(sums[i]);
            }
            let column_sum =
                [0, 16].map(|j| _mm512_loadu_si512(tile.column_sum.as_ptr().add(j).cast()));
            let column_scale = [0, 16].map(|j| _mm512_loadu_ps(tile.column_scale.as_ptr().add(j)));
            for (i, sum) in done.iter().enumerate() {
                let sum = sum.assume_init();
                let zero = _mm512_set1_epi32(*tile.zero.as_ptr().add(i));
                let row_scale = _mm512_set1_ps(*tile.row_scale.as_ptr().add(i));
                let out = tile.c.as_mut_ptr().add(i * tile.c_stride);
                let finish = |half: usize, sum: __m512i| {
                    let exact = _mm512_sub_epi32(sum, _mm512_mullo_epi32(zero, column_sum[half]));
                    let scale = _mm512_mul_ps(row_scale, column_scale[half]);
                    let out = out.add(16 * half);
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
                };
                finish(0, sum[0]);
                finish(1, sum[1]);
            }
        }
    }
}

/// Without products of bytes. AVX2's own byte product saturates its sums of two at 16 bits, so
/// bytes are widened to 16 bits and multiplied there, which is exact.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    use super::{A_STRIDE, COLUMNS, K_BLOCK, ROWS, Start, Tile};

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
                let column_sum = _mm256_loadu_si256(tile.column_sum.as_ptr().add(j).cast());
                let column_scale = _mm256_loadu_ps(tile.column_scale.as_ptr().add(j));
                for (i, sum) in sums.iter().enumerate() {
                    // Pairs of neighbours are one column; the addition leaves columns 0 1 4 5 2 3 6
                    // 7.
                    let sum = _mm256_hadd_epi32(sum[0], sum[1]);
                    let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(sum);
                    let zero = _mm256_set1_epi32(*tile.zero.as_ptr().add(i0 + i));
                    let row_scale = _mm256_set1_ps(*tile.row_scale.as_ptr().add(i0 + i));
                    let exact = _mm256_sub_epi32(sum, _mm256_mullo_epi32(zero, column_sum));
                    let scale = _mm256_mul_ps(row_scale, column_scale);
                    let out = tile.c.as_mut_ptr().add((i0 + i) * tile.c_stride + j);
                    let start = match tile.start {
                        Start::Zero => _mm256_setzero_ps(),
                        Start::Output => _mm256_loadu_ps(out),
                        Start::Row(row) => _mm256_loadu_ps(row.as_ptr().add(j)),
                        Start::OutputAndRow(row) => _mm256_add_ps(
                            _mm256_loadu_ps(row.as_ptr().add(j)),
                            _mm256_loadu_ps(out),
                        ),
                    };
                    _mm256_storeu_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(exact), scale, start));
                }
            }
        }
    }
}
