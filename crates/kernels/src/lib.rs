//! Numeric kernels on `f32` slices: forward beside backward, one file an operation.
//!
//! `ops/` is safe code, `reference/` holds the same operations as plain `f64` loops that decide
//! disputes, `arch/` holds all unsafe code. Every kernel runs on the calling thread and computes
//! each row from that row alone, in the same order whatever the number of rows, so results do not
//! depend on how a batch is cut.
//!
//! Shapes: T tokens, D width, M bottleneck width. Gradients are called `d_` + name. Parameter
//! gradients are added to, activation gradients are overwritten unless a function says otherwise.

mod arch;
pub mod ops;
pub mod reference;
#[cfg(test)]
mod tests;

/// The instruction set a kernel runs with. A value other than [`Isa::Plain`] can only be had where
/// the processor has it, so holding one is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(arch::Kind);

impl Isa {
    /// The widest instruction set of this processor.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Code that runs everywhere.
    #[allow(non_upper_case_globals)]
    pub const Plain: Self = Self(arch::Kind::Plain);

    /// Every instruction set of this processor, the widest first.
    pub fn available() -> Vec<Self> {
        arch::available().into_iter().map(Self).collect()
    }

    /// Its name: `avx512`, `avx2`, `neon` or `plain`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether products of bytes are faster than of `f32`.
    pub fn int8_is_faster(self) -> bool {
        arch::int8_is_faster(self.0)
    }
}
