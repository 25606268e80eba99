//! The tile of the `f32` matrix product: a few rows of A against one packed panel of B, accumulated
//! in registers.

use super::isa::{Isa, Kind};
use super::vector::Vector;

/// Elements of K that one pass covers: a panel of B (32 columns) then takes 32 KiB, two thirds of
/// L1.
pub(crate) const K_BLOCK: usize = 256;
/// The largest number of columns of a tile over all instruction sets.
pub(crate) const COLUMNS_MAX: usize = 32;
/// The largest number of rows of a tile over all instruction sets.
pub(crate) const ROWS_MAX: usize = 14;

/// Columns of a panel of B.
pub(crate) fn columns(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => 32,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => 16,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => 8,
        Kind::Plain => 8,
    }
}

/// Rows of a full tile.
pub(crate) fn rows(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => 14,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => 6,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => 12,
        Kind::Plain => 4,
    }
}

/// What a tile asks memory for: a part of the panel that comes after its own. Weights do not fit
/// the caches, and products are a tenth faster where a panel is there when its first tile begins.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    from: *const f32,
    /// Elements for each of the tile's steps.
    step: usize,
}

impl Ahead {
    /// Part `i` of `n` of the block that `next` begins with: `k` elements of K of one panel, for a
    /// tile of as many.
    pub(crate) fn part(isa: Isa, next: &[f32], k: usize, (i, n): (usize, usize)) -> Self {
        let step = columns(isa).div_ceil(n);
        Self { from: next.as_ptr().wrapping_add(i * k * step), step }
    }
}

/// What a tile's result is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// What C holds.
    Output,
    /// A row added to every row: at least as many elements as the tile has columns.
    Row(&'a [f32]),
    /// Both: the row is added first.
    OutputAndRow(&'a [f32]),
}

impl<'a> Start<'a> {
    /// Whether C is read.
    pub(crate) fn reads_output(self) -> bool {
        matches!(self, Self::Output | Self::OutputAndRow(_))
    }

    /// The row that is added.
    pub(crate) fn row(self) -> Option<&'a [f32]> {
        match self {
            Self::Zero | Self::Output => None,
            Self::Row(row) | Self::OutputAndRow(row) => Some(row),
        }
    }
}

/// `c[i][j] = start + sum_p a[i * a_stride + p] * b[p * columns + j]` for `n_rows` rows and all
/// columns of the panel; rows of `c` are `c_stride` apart.
///
/// # Panics
/// If a slice is too short or there are more rows than a tile has.
#[inline]
pub(crate) fn product(
    isa: Isa,
    k: usize,
    (a, a_stride): (&[f32], usize),
    n_rows: usize,
    b: &[f32],
    c: &mut [f32],
    c_stride: usize,
    start: Start<'_>,
    ahead: Ahead,
) {
    let n_columns = columns(isa);
    assert!(k > 0 && k <= K_BLOCK && n_rows > 0 && n_rows <= rows(isa));
    assert!(a.len() >= (n_rows - 1) * a_stride + k);
    assert!(b.len() >= k * n_columns);
    assert!(c_stride >= n_columns || n_rows == 1);
    assert!(c.len() >= (n_rows - 1) * c_stride + n_columns);
    assert!(start.row().is_none_or(|row| row.len() >= n_columns));
    let (add, row) = (start.reads_output(), start.row().map_or(std::ptr::null(), <[f32]>::as_ptr));
    let tile = Tile {
        k,
        a_stride,
        a: a.as_ptr(),
        b: b.as_ptr(),
        c: c.as_mut_ptr(),
        c_stride,
        add,
        row,
        ahead,
    };
    // SAFETY: the asserts above hold for every access of `Tile::run`, and the `Kind` proves the
    // set.
    unsafe {
        match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512(tile, n_rows),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2(tile, n_rows),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => run_rows::<super::aarch64::Quad>(tile, n_rows),
            Kind::Plain => run_rows::<super::plain::Lanes>(tile, n_rows),
        }
    }
}

#[derive(Clone, Copy)]
struct Tile {
    k: usize,
    a_stride: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    add: bool,
    row: *const f32,
    ahead: Ahead,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512(tile: Tile, n_rows: usize) {
    // SAFETY: passed on from the caller.
    unsafe { run_rows::<super::x86_64::Zmm>(tile, n_rows) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(tile: Tile, n_rows: usize) {
    // SAFETY: passed on from the caller.
    unsafe { run_rows::<super::x86_64::Ymm>(tile, n_rows) }
}

/// One body of the loop for each number of rows, so that the sums stay in registers.
#[inline(always)]
unsafe fn run_rows<V: Vector>(tile: Tile, n_rows: usize) {
    macro_rules! rows {
        ($($n:literal)*) => {
            match n_rows {
                // SAFETY: passed on from the caller.
                $($n => unsafe { run::<V, $n>(tile) },)*
                _ => unreachable!("checked by the caller"),
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// Elements that memory hands over at once.
const LINE: usize = 16;

#[inline(always)]
unsafe fn run<V: Vector, const ROWS: usize>(tile: Tile) {
    let Tile { k, a_stride, a, b, c, c_stride, add, row, ahead } = tile;
    // SAFETY: `product` checked that k columns of ROWS rows of `a`, k rows of two vectors of `b`,
    // and ROWS rows of two vectors of `c` are inside their slices, and `row` is null or two vectors
    // long.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; ROWS];
        for p in 0..k {
            let b0 = V::load(b.add(p * 2 * V::LANES));
            let b1 = V::load(b.add(p * 2 * V::LANES + V::LANES));
            let ahead = ahead.from.wrapping_add(p * ahead.step);
            V::prefetch(ahead);
            V::prefetch(ahead.wrapping_add(LINE));
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = V::splat(*a.add(i * a_stride + p));
                sum[0] = x.mul_add(b0, sum[0]);
                sum[1] = x.mul_add(b1, sum[1]);
            }
        }
        // A loop for each case: one with questions in it would keep the sums in memory.
        let row = |j: usize| V::load(row.add(j * V::LANES));
        match (tile.row.is_null(), add) {
            (true, false) => finish(sums, c, c_stride, |sum, _, _| sum),
            (true, true) => finish(sums, c, c_stride, |sum, _, out| sum.add(V::load(out))),
            (false, false) => finish(sums, c, c_stride, |sum, j, _| sum.add(row(j))),
            (false, true) => {
                finish(sums, c, c_stride, |sum, j, out| sum.add(row(j)).add(V::load(out)));
            }
        }
    }
}

/// Stores what `of` makes of each sum, its place in the row and the place in C.
#[inline(always)]
unsafe fn finish<V: Vector, const ROWS: usize>(
    sums: [[V; 2]; ROWS],
    c: *mut f32,
    c_stride: usize,
    of: impl Fn(V, usize, *const f32) -> V,
) {
    for (i, [left, right]) in sums.into_iter().enumerate() {
        // SAFETY: passed on from the caller.
        unsafe {
            let out = c.add(i * c_stride);
            of(left, 0, out).store(out);
            let out = out.add(V::LANES);
            of(right, 1, out).store(out);
        }
    }
}
