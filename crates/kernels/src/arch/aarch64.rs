//! NEON.

use std::arch::aarch64::*;

use super::vector::Vector;

#[derive(Clone, Copy)]
pub(crate) struct Quad(float32x4_t);

impl Vector for Quad {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: NEON is part of the aarch64 baseline.
        Quad(unsafe { vdupq_n_f32(x) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller lets us read 4 elements.
        Quad(unsafe { vld1q_f32(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller lets us write 4 elements.
        unsafe { vst1q_f32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: NEON is part of the aarch64 baseline.
        Quad(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: NEON is part of the aarch64 baseline.
        Quad(unsafe { vaddq_f32(self.0, b.0) })
    }
}
