//! Matrices turned, in blocks that stay in registers.

use crate::arch::kernel;

const BLOCK: usize = 16;

/// Reads a block of rows that are `stride` apart, and hands its columns to `store`.
#[inline(always)]
fn turn_block(from: &[f32], stride: usize, mut store: impl FnMut(usize, [f32; BLOCK])) {
    let mut rows = [[0.0; BLOCK]; BLOCK];
    for (i, row) in rows.iter_mut().enumerate() {
        row.copy_from_slice(&from[i * stride..][..BLOCK]);
    }
    let column = |j: usize| std::array::from_fn(|i| rows[i][j]);
    (0..BLOCK).for_each(|j| store(j, column(j)));
}

kernel! {
    /// Writes the transposed of `from`, `[rows, columns]` with its rows `stride` apart, to `to`,
    /// with its rows `to_stride` apart.
    ///
    /// # Panics
    /// If the shapes do not fit; so for all functions of this file.
    pub fn transpose<'a>(
        from: &'a [f32], rows: usize, columns: usize, stride: usize,
        to: &'a mut [f32], to_stride: usize,
    ) {
        let (inner_rows, inner_columns) = (rows / BLOCK * BLOCK, columns / BLOCK * BLOCK);
        for i in (0..inner_rows).step_by(BLOCK) {
            for j in (0..inner_columns).step_by(BLOCK) {
                turn_block(&from[i * stride + j..], stride, |c, column| {
                    to[(j + c) * to_stride + i..][..BLOCK].copy_from_slice(&column);
                });
            }
        }
        for i in 0..rows {
            for j in if i < inner_rows { inner_columns } else { 0 }..columns {
                to[j * to_stride + i] = from[i * stride + j];
            }
        }
    }
}

kernel! {
    /// `to += fromᵀ` of dense matrices; `from` is `[rows, columns]`.
    pub fn add_transposed<'a>(
        from: &'a [f32], rows: usize, columns: usize, to: &'a mut [f32],
    ) {
        let (inner_rows, inner_columns) = (rows / BLOCK * BLOCK, columns / BLOCK * BLOCK);
        for i in (0..inner_rows).step_by(BLOCK) {
            for j in (0..inner_columns).step_by(BLOCK) {
                turn_block(&from[i * columns + j..], columns, |c, column| {
                    let to = &mut to[(j + c) * rows + i..][..BLOCK];
                    to.iter_mut().zip(column).for_each(|(to, x)| *to += x);
                });
            }
        }
        for i in 0..rows {
            for j in if i < inner_rows { inner_columns } else { 0 }..columns {
                to[j * rows + i] += from[i * columns + j];
            }
        }
    }
}
