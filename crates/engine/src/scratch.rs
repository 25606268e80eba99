//! Working memory of a thread's operations, reused from call to call.

use budwood_kernels::ops::attention::{tiled, whole};
use budwood_kernels::ops::gemm::{self, PackedB};
use budwood_kernels::ops::int8::QuantizedRows;

use crate::threads::Places;

/// Of all operations of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// What is packed on the spot for a product.
    pub(crate) packed: PackedB,
    /// For each thread that shares a product.
    pub(crate) products: Places<Product>,
    /// Of attention of short sequences.
    pub(crate) whole: whole::Scratch,
    /// For each thread that computes pieces of a long sequence's attention.
    pub(crate) tiled: Places<tiled::Scratch>,
}

/// Of one thread's part of a product.
#[derive(Debug, Default)]
pub(crate) struct Product {
    pub(crate) gemm: gemm::Scratch,
    pub(crate) quantized: QuantizedRows,
}
