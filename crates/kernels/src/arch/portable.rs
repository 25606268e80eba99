//! What a kernel written as plain loops is.

/// A kernel written as plain loops, to be compiled once for each instruction set. Implementations
/// mark `run` `#[inline(always)]`: it is then compiled inside the function that has the target
/// feature, and the loops become vector code of that set.
pub(crate) trait Kernel {
    type Output;
    /// `FMA` says whether a fused multiply-add is one instruction here.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
