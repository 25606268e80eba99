//! The lane operations that the tiles of the matrix products are written over.

/// A register of `f32` lanes.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// # Safety
    /// The processor has the instruction set of this vector.
    unsafe fn splat(x: f32) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and `LANES` elements can be read at `p`.
    unsafe fn load(p: *const f32) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and `LANES` elements can be written at `p`.
    unsafe fn store(self, p: *mut f32);
    /// `self * b + c`
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn add(self, b: Self) -> Self;
    /// Asks for the 64 bytes at `p`, which may be anywhere, before they are read; nothing where the
    /// language has no way to say so.
    #[inline(always)]
    fn prefetch(_p: *const f32) {}
}
