//! What a tile of the int8 matrix product is.

use super::super::tile::Start;

/// Columns of a panel of B, on every instruction set.
pub(crate) const COLUMNS: usize = 32;
/// Rows of a full tile, but with AMX.
pub(crate) const ROWS: usize = 14;
/// Rows that AMX reads at a time: so many have a place in the memory of A.
pub(crate) const SQUARE: usize = 16;
/// Elements of K that one pass covers: a panel of B then takes 32 KiB.
pub(crate) const K_BLOCK: usize = 1024;
/// Distance of a panel's rows, in bytes; not a power of two, so that rows fall into different sets.
pub(crate) const A_STRIDE: usize = K_BLOCK + 64;

/// One tile: `c[i][j] = start + row_scale[i] column_scale[j] (sum_p a[i][p] b[p][j] - zero[i]
/// column_sum[j])`.
pub(crate) struct Tile<'a> {
    /// Elements of K, a multiple of 4.
    pub(crate) k: usize,
    /// Rows [`A_STRIDE`] apart.
    pub(crate) a: &'a [u8],
    /// Scale and zero point of each row.
    pub(crate) row_scale: &'a [f32],
    pub(crate) zero: &'a [i32],
    /// `[k / 4][COLUMNS][4]`
    pub(crate) b: &'a [i8],
    pub(crate) column_scale: &'a [f32],
    pub(crate) column_sum: &'a [i32],
    /// Rows `c_stride` apart; all [`COLUMNS`] columns are written.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    /// What the sums are added to.
    pub(crate) start: Start<'a>,
}
