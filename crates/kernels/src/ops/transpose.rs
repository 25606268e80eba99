//! Matrices turned, block by block.

use super::elementwise;
use crate::Isa;
use crate::arch::turn::{BLOCK, turn};

/// Places of the blocks of `[rows, columns]`, with their sizes.
fn blocks(rows: usize, columns: usize) -> impl Iterator<Item = ([usize; 2], (usize, usize))> {
    (0..rows).step_by(BLOCK).flat_map(move |i| {
        let columns = (0..columns).step_by(BLOCK).map(move |j| (j, BLOCK.min(columns - j)));
        columns.map(move |(j, width)| ([i, j], (BLOCK.min(rows - i), width)))
    })
}

/// Writes the transposed of `from`, `[rows, columns]` with its rows `stride` apart, to `to`, with
/// its rows `to_stride` apart.
///
/// # Panics
/// If the shapes do not fit; so for all functions of this file.
pub fn transpose(
    isa: Isa,
    from: &[f32],
    rows: usize,
    columns: usize,
    stride: usize,
    to: &mut [f32],
    to_stride: usize,
) {
    for ([i, j], size) in blocks(rows, columns) {
        turn(isa, size, &from[i * stride + j..], stride, &mut to[j * to_stride + i..], to_stride);
    }
}

/// `to += fromᵀ` of dense matrices; `from` is `[rows, columns]`.
pub fn add_transposed(isa: Isa, from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let mut block = [0.0; BLOCK * BLOCK];
    for ([i, j], (n, width)) in blocks(rows, columns) {
        turn(isa, (n, width), &from[i * columns + j..], columns, &mut block, BLOCK);
        for (c, column) in block.chunks_exact(BLOCK).take(width).enumerate() {
            elementwise::add(isa, &mut to[(j + c) * rows + i..][..n], &column[..n]);
        }
    }
}
