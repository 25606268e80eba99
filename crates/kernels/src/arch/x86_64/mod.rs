//! AVX-512 and AVX2.

use std::arch::x86_64::*;

use super::portable::Kernel;
use super::vector::Vector;

pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && has_avx2()
}

pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

pub(crate) fn has_avx512_vnni() -> bool {
    has_avx512() && is_x86_feature_detected!("avx512vnni")
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

/// A block of at most 16 rows and columns, turned: four times, pairs of rows exchange the halves of
/// what they hold, in pieces of one, two, four and eight elements.
///
/// # Safety
/// The processor has AVX-512; `columns` elements of `rows` rows can be read, `rows` elements of
/// `columns` rows written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn turn(
    (rows, columns): (usize, usize),
    from: *const f32,
    stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    let mask = |n: usize| (u32::MAX >> (32 - n)) as __mmask16;
    let mut x = [_mm512_setzero_ps(); 16];
    for (i, x) in x.iter_mut().enumerate() {
        if i < rows {
            // SAFETY: the caller lets us read these elements; others are not touched.
            *x = unsafe { _mm512_maskz_loadu_ps(mask(columns), from.add(i * stride)) };
        }
    }
    // Within each quarter of a register: rows 4 i to 4 i + 3 become their columns.
    let mut y = [_mm512_setzero_ps(); 16];
    for i in [0, 4, 8, 12] {
        let [a, b, c, d] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
        let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
        y[i] = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
        y[i + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
        y[i + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high);
        y[i + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high);
    }
    // Column j of a quarter stands in y[j], y[4 + j], y[8 + j] and y[12 + j]; quarter q is that of
    // columns 4 q to 4 q + 3.
    for j in 0..4 {
        let [a, b, c, d] = [y[j], y[4 + j], y[8 + j], y[12 + j]];
        let ab = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let cd = _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d);
        let ab_odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        let cd_odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d);
        x[j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd);
        x[8 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd);
        x[4 + j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab_odd, cd_odd);
        x[12 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab_odd, cd_odd);
    }
    for (j, x) in x.into_iter().enumerate() {
        if j < columns {
            // SAFETY: the caller lets us write these elements; others are not touched.
            unsafe { _mm512_mask_storeu_ps(to.add(j * to_stride), mask(rows), x) };
        }
    }
}

/// Asks for the line of memory at `p`, which may be anywhere.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    // SAFETY: nothing is read: an address that is not there is passed over.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
}

#[derive(Clone, Copy)]
pub(crate) struct Zmm(__m512);

impl Vector for Zmm {
    const LANES: usize = 16;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller has AVX-512.
        Zmm(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller has AVX-512 and lets us read 16 elements.
        Zmm(unsafe { _mm512_loadu_ps(p) })
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        prefetch(p);
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller has AVX-512 and lets us write 16 elements.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        Zmm(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        Zmm(unsafe { _mm512_add_ps(self.0, b.0) })
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Ymm(__m256);

impl Vector for Ymm {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller has AVX2.
        Ymm(unsafe { _mm256_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller has AVX2 and lets us read 8 elements.
        Ymm(unsafe { _mm256_loadu_ps(p) })
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        prefetch(p);
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller has AVX2 and lets us write 8 elements.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has FMA.
        Ymm(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: the caller has AVX2.
        Ymm(unsafe { _mm256_add_ps(self.0, b.0) })
    }
}
