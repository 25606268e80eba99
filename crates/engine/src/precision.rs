//! The forms of frozen weights.

/// The form in which frozen weights are held and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// Signed bytes with a scale for each output; inputs and gradients are quantised row by row at
    /// run time.
    Int8,
    /// As [`Precision::Int8`] forward; gradients flow in `f32` through what the bytes stand for.
    Int8Forward,
}
