//! A block of a matrix, turned in registers where an instruction set has the moves for it.

use super::isa::{Isa, Kind};
use super::{Kernel, dispatch};

/// Rows and columns of a whole block.
pub(crate) const BLOCK: usize = 16;

/// `to[j][i] = from[i][j]` for a block of at most [`BLOCK`] rows and columns, whose rows are
/// `stride` apart, those of `to` `to_stride`.
///
/// # Panics
/// If a slice is too short or the block too large.
#[inline]
pub(crate) fn turn(
    isa: Isa,
    (rows, columns): (usize, usize),
    from: &[f32],
    stride: usize,
    to: &mut [f32],
    to_stride: usize,
) {
    assert!((1..=BLOCK).contains(&rows) && (1..=BLOCK).contains(&columns));
    assert!(from.len() >= (rows - 1) * stride + columns);
    assert!(to.len() >= (columns - 1) * to_stride + rows);
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the `Kind` proves the set, and the asserts above hold for every access.
        Kind::Avx512 => unsafe {
            super::x86_64::turn((rows, columns), from.as_ptr(), stride, to.as_mut_ptr(), to_stride);
        },
        _ => dispatch(isa, Turn { rows, columns, from, stride, to, to_stride }),
    }
}

struct Turn<'a> {
    rows: usize,
    columns: usize,
    from: &'a [f32],
    stride: usize,
    to: &'a mut [f32],
    to_stride: usize,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { rows, columns, from, stride, to, to_stride } = self;
        if (rows, columns) != (BLOCK, BLOCK) {
            for i in 0..rows {
                for (j, x) in from[i * stride..][..columns].iter().enumerate() {
                    to[j * to_stride + i] = *x;
                }
            }
            return;
        }
        let mut block = [[0.0; BLOCK]; BLOCK];
        for (i, row) in block.iter_mut().enumerate() {
            row.copy_from_slice(&from[i * stride..][..BLOCK]);
        }
        for j in 0..BLOCK {
            let column: [f32; BLOCK] = std::array::from_fn(|i| block[i][j]);
            to[j * to_stride..][..BLOCK].copy_from_slice(&column);
        }
    }
}
