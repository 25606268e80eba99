//! Matrix product C = A B over a packed B.
//!
//! B is cut into panels of `tile::columns` columns, each stored K-major and contiguous. A block of
//! `tile::K_BLOCK` elements of K of one panel (L1) meets all rows of A (L2), and while it does,
//! memory is asked for the panel after it. A is read where it stands, unless its columns are apart
//! or its rows would push each other out of the cache: then it is copied. The sum of an element
//! runs over K in order, whatever the other rows and columns are, so a row's result does not depend
//! on the batch around it.

use super::transpose::transpose;
use crate::Isa;
use crate::arch::caches;
use crate::arch::tile::{self, Ahead, COLUMNS_MAX, K_BLOCK, ROWS_MAX, Start};

/// A matrix to read: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    /// The elements, from the first of the matrix on.
    pub data: &'a [f32],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Distance from a row to the next.
    pub row_stride: usize,
    /// Distance from a column to the next.
    pub column_stride: usize,
}

impl<'a> MatRef<'a> {
    /// A row-major matrix whose rows are `row_stride` apart.
    ///
    /// # Panics
    /// If `data` is too short.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(row_stride >= columns || rows <= 1);
        assert!(rows == 0 || data.len() >= (rows - 1) * row_stride + columns);
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A number of columns that divides those of a panel on every instruction set.
const LEAST_PANEL: usize = 8;

/// A right-hand matrix `[k, n]` in the order in which the product reads it.
#[derive(Clone, Debug, Default)]
pub struct PackedB {
    k: usize,
    n: usize,
    panel: usize,
    data: Vec<f32>,
}

impl PackedB {
    /// Takes the memory of a matrix `[k, n]` before its elements are there. Where there is not so
    /// much, [`PackedB::pack`] will find out.
    pub fn reserve(&mut self, isa: Isa, k: usize, n: usize) {
        let panel = tile::columns(isa);
        let len = n.div_ceil(panel).saturating_mul(panel).saturating_mul(k);
        let _ = self.data.try_reserve_exact(len.saturating_sub(self.data.len()));
    }

    /// Packs `b`, `[k, n]`, anew into this storage, which is reused. The last panel's columns
    /// beyond `n` keep what was there: their sums are left beside C.
    pub fn pack(&mut self, isa: Isa, b: MatRef<'_>) {
        let panel = tile::columns(isa);
        let (k, n) = (b.rows, b.columns);
        let panels = n.div_ceil(panel);
        self.k = k;
        self.n = n;
        self.panel = panel;
        let len = panels * k * panel;
        if self.data.len() < len {
            self.data.resize(len, 0.0);
        }
        for (p, out) in self.data[..len].chunks_exact_mut((k * panel).max(1)).enumerate() {
            let j0 = p * panel;
            let width = panel.min(n - j0);
            if b.column_stride == 1 {
                for (i, out) in out.chunks_exact_mut(panel).enumerate() {
                    let from = &b.data[i * b.row_stride + j0..][..width];
                    if width == panel {
                        // Moves of a known length need no call.
                        let from = from.chunks_exact(LEAST_PANEL);
                        let out = out.chunks_exact_mut(LEAST_PANEL);
                        out.zip(from).for_each(|(out, from)| out.copy_from_slice(from));
                    } else {
                        out[..width].copy_from_slice(from);
                    }
                }
            } else {
                pack_transposed(isa, b, j0, width, panel, out);
            }
        }
    }

    /// A new packed matrix.
    pub fn new(isa: Isa, b: MatRef<'_>) -> Self {
        let mut packed = Self::default();
        packed.pack(isa, b);
        packed
    }

    /// Its panels, one after another. Storage that a larger matrix had may follow them.
    fn panels(&self) -> std::slice::ChunksExact<'_, f32> {
        let panel = self.k * self.panel;
        let len = self.n.div_ceil(self.panel.max(1)) * panel;
        self.data[..len].chunks_exact(panel.max(1))
    }

    /// The elements in the order of Bᵀ, `[n, k]`.
    pub fn unpack_transposed(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.n * self.k];
        for (p, panel) in self.panels().enumerate() {
            let width = self.panel.min(self.n - p * self.panel);
            for (i, row) in panel.chunks_exact(self.panel).enumerate() {
                for (j, x) in row[..width].iter().enumerate() {
                    out[(p * self.panel + j) * self.k + i] = *x;
                }
            }
        }
        out
    }

    /// The sum of squares of each column.
    pub fn column_squares(&self) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.n];
        for (p, panel) in self.panels().enumerate() {
            for row in panel.chunks_exact(self.panel) {
                for (sum, x) in sums[p * self.panel..].iter_mut().zip(row) {
                    *sum += f64::from(*x) * f64::from(*x);
                }
            }
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    /// Rows (the inner dimension of the product).
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }
}

/// Packs columns `j0..j0 + width` of a matrix whose rows have gaps; columns usually have none.
fn pack_transposed(
    isa: Isa,
    b: MatRef<'_>,
    j0: usize,
    width: usize,
    panel: usize,
    out: &mut [f32],
) {
    let from = &b.data[(j0 * b.column_stride).min(b.data.len())..];
    if b.row_stride == 1 {
        transpose(isa, from, width, b.rows, b.column_stride, out, panel);
        return;
    }
    for (i, out) in out.chunks_exact_mut(panel).enumerate() {
        for (j, out) in out[..width].iter_mut().enumerate() {
            *out = from[i * b.row_stride + j * b.column_stride];
        }
    }
}

/// Distance of the rows of a copy of A; not a power of two, so that they fall into different sets.
const A_STRIDE: usize = K_BLOCK + 16;
/// Rows that are a multiple of this apart fall into the same set of L1, which holds fewer lines of
/// it than a tile has rows.
const SAME_SET: usize = 1024;

/// Elements of A that stay in L2 beside a panel of B: three quarters of it.
fn a_stays() -> usize {
    caches::second_level() / size_of::<f32>() / 4 * 3
}

/// What the product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Beta<'a> {
    /// Nothing: C is overwritten.
    Zero,
    /// What C holds.
    Add,
    /// A row of `n` elements, added to every row.
    Bias(&'a [f32]),
    /// What C holds, and such a row.
    AddWithBias(&'a [f32]),
}

impl Beta<'_> {
    /// What a tile of columns `j0..j0 + width` starts with in the first block of K, and in the
    /// others. `edge` holds the row's part, filled up to a tile's columns.
    pub(super) fn start<'e>(
        self,
        first: bool,
        (j0, width): (usize, usize),
        edge: &'e mut [f32],
    ) -> Start<'e> {
        let mut row = |bias: &[f32]| {
            edge[..width].copy_from_slice(&bias[j0..j0 + width]);
            edge[width..].fill(0.0);
        };
        match self {
            _ if !first => Start::Output,
            Self::Zero => Start::Zero,
            Self::Add => Start::Output,
            Self::Bias(bias) => {
                row(bias);
                Start::Row(edge)
            }
            Self::AddWithBias(bias) => {
                row(bias);
                Start::OutputAndRow(edge)
            }
        }
    }
}

/// One right-hand side of [`product`] with the place of its result.
pub struct Target<'a> {
    /// B, `[k, n]`.
    pub b: &'a PackedB,
    /// C, `[rows, n]`, from its first element on.
    pub c: &'a mut [f32],
    /// Distance of C's rows.
    pub c_stride: usize,
    /// What the product is added to.
    pub beta: Beta<'a>,
}

impl Target<'_> {
    fn check(&self, isa: Isa, m: usize, k: usize) {
        assert_eq!(self.b.k, k, "inner dimensions differ");
        assert_eq!(self.b.panel, tile::columns(isa), "packed for another instruction set");
        assert!(self.c_stride >= self.b.n || m == 1);
        assert!(self.c.len() >= (m - 1) * self.c_stride + self.b.n);
    }

    fn panels(&self) -> usize {
        self.b.n.div_ceil(self.b.panel)
    }
}

/// Working memory of [`product`], reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    a: Vec<f32>,
}

/// C = A B + beta for one A and any number of right-hand sides, which share the copy of A.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(isa: Isa, scratch: &mut Scratch, a: MatRef<'_>, targets: &mut [Target<'_>]) {
    let (m, k) = (a.rows, a.columns);
    if m == 0 {
        return;
    }
    targets.iter().for_each(|target| target.check(isa, m, k));
    let in_place = a.column_stride == 1 && !a.row_stride.is_multiple_of(SAME_SET);
    let needed = m * A_STRIDE;
    if !in_place && scratch.a.len() < needed {
        scratch.a.resize(needed, 0.0);
    }
    let blocks = (0..k).step_by(K_BLOCK).map(|k0| (k0, K_BLOCK.min(k - k0)));
    if in_place && m * k <= a_stays() {
        // All of K for one panel after the other: C, which may be larger than L2, passes once.
        for target in targets.iter_mut() {
            for panel in 0..target.panels() {
                for (k0, k_len) in blocks.clone() {
                    meet(isa, (&a.data[k0..], a.row_stride), m, (k0, k_len), panel, target);
                }
            }
        }
        return;
    }
    for (k0, k_len) in blocks {
        let rows = if in_place {
            (&a.data[k0..], a.row_stride)
        } else {
            copy_rows(isa, a, k0, k_len, &mut scratch.a);
            (&scratch.a[..], A_STRIDE)
        };
        for target in targets.iter_mut() {
            for panel in 0..target.panels() {
                meet(isa, rows, m, (k0, k_len), panel, target);
            }
        }
    }
}

/// `c = a b + beta`: [`product`] of one right-hand side.
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply(
    isa: Isa,
    scratch: &mut Scratch,
    a: MatRef<'_>,
    b: &PackedB,
    (c, c_stride): (&mut [f32], usize),
    beta: Beta<'_>,
) {
    product(isa, scratch, a, &mut [Target { b, c, c_stride, beta }]);
}

/// Columns `k0..k0 + k_len` of A, its rows [`A_STRIDE`] apart.
fn copy_rows(isa: Isa, a: MatRef<'_>, k0: usize, k_len: usize, out: &mut [f32]) {
    let from = &a.data[k0 * a.column_stride..];
    if a.row_stride == 1 && a.column_stride != 1 {
        transpose(isa, from, k_len, a.rows, a.column_stride, out, A_STRIDE);
        return;
    }
    for (i, out) in out.chunks_mut(A_STRIDE).take(a.rows).enumerate() {
        let (from, out) = (&from[i * a.row_stride..], &mut out[..k_len]);
        if a.column_stride == 1 {
            out.copy_from_slice(&from[..k_len]);
        } else {
            for (p, out) in out.iter_mut().enumerate() {
                *out = from[p * a.column_stride];
            }
        }
    }
}

/// One block of K of one panel against all rows.
fn meet(
    isa: Isa,
    (a, a_stride): (&[f32], usize),
    m: usize,
    (k0, k_len): (usize, usize),
    p: usize,
    target: &mut Target<'_>,
) {
    let (n, panel, k) = (target.b.n, target.b.panel, target.b.k);
    let block = |p: usize, k0: usize| &target.b.data[(p * k + k0) * panel..];
    let b = &block(p, k0)[..k_len * panel];
    let next = if p + 1 < target.panels() { block(p + 1, k0) } else { block(0, k0 + k_len) };
    let (j0, width) = (p * panel, panel.min(n - p * panel));
    let mut edge = [0.0; COLUMNS_MAX];
    let start = target.beta.start(k0 == 0, (j0, width), &mut edge);
    // Tiles of nearly the same size: one of a single row takes as long as one of four.
    let tiles = m.div_ceil(tile::rows(isa));
    let (size, larger) = (m / tiles, m % tiles);
    let mut i0 = 0;
    for i in 0..tiles {
        let n_rows = size + usize::from(i < larger);
        let ahead = Ahead::part(isa, next, k_len, (i, tiles));
        let a = (&a[i0 * a_stride..], a_stride);
        let (c, stride) = (&mut target.c[i0 * target.c_stride + j0..], target.c_stride);
        if width == panel {
            tile::product(isa, k_len, a, n_rows, b, c, stride, start, ahead);
        } else {
            beside(c, stride, (n_rows, width), start, |c, stride| {
                tile::product(isa, k_len, a, n_rows, b, c, stride, start, ahead);
            });
        }
        i0 += n_rows;
    }
}

/// A tile at the right edge, of which `width` columns exist: computed beside C and copied.
pub(super) fn beside(
    c: &mut [f32],
    stride: usize,
    (n_rows, width): (usize, usize),
    start: Start<'_>,
    tile: impl FnOnce(&mut [f32], usize),
) {
    let mut edge = [0.0; ROWS_MAX * COLUMNS_MAX];
    let place =
        |i: usize| (i * stride..i * stride + width, i * COLUMNS_MAX..i * COLUMNS_MAX + width);
    if start.reads_output() {
        for (to, from) in (0..n_rows).map(place) {
            edge[from].copy_from_slice(&c[to]);
        }
    }
    tile(&mut edge, COLUMNS_MAX);
    for (to, from) in (0..n_rows).map(place) {
        c[to].copy_from_slice(&edge[from]);
    }
}

/// `d_bias[j] += sum_i dy[i][j]`: the gradient of a bias. `dy` is `[rows, n]`, rows `stride` apart.
///
/// # Panics
/// If the shapes do not fit.
pub fn bias_backward(isa: Isa, dy: &[f32], rows: usize, stride: usize, d_bias: &mut [f32]) {
    for i in 0..rows {
        let row = &dy[i * stride..][..d_bias.len()];
        super::elementwise::add(isa, d_bias, row);
    }
}
