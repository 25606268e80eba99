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

pub use arch::Isa;
