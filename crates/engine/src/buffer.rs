//! Buffers of activations and views of their rows and columns.

use std::ops::Range;

use budwood_kernels::ops::gemm::MatRef;

/// A dense row-major `f32` matrix on the device. While it rests ([`crate::Context::narrow`]) it
/// cannot be viewed.
#[derive(Debug)]
pub struct Buf {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
    rests: bool,
}

impl Buf {
    pub(crate) fn from_storage(data: Vec<f32>, rows: usize, columns: usize) -> Self {
        debug_assert!(data.len() >= rows * columns);
        Self { data, rows, columns, rests: false }
    }

    pub(crate) fn into_storage(self) -> Vec<f32> {
        self.data
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Puts the storage of another buffer in the place of its own, which is returned. `rests` says
    /// whether it holds the elements in another form from now on.
    pub(crate) fn replace_storage(&mut self, other: Self, rests: bool) -> Vec<f32> {
        self.rests = rests;
        std::mem::replace(&mut self.data, other.data)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All of it.
    ///
    /// # Panics
    /// If it rests; so for [`Buf::view_mut`].
    pub fn view(&self) -> View<'_> {
        assert!(!self.rests, "a buffer that rests is not viewed");
        View {
            data: &self.data[..self.rows * self.columns],
            rows: self.rows,
            columns: self.columns,
            stride: self.columns,
        }
    }

    /// All of it, to write.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        assert!(!self.rests, "a buffer that rests is not viewed");
        ViewMut {
            data: &mut self.data[..self.rows * self.columns],
            rows: self.rows,
            columns: self.columns,
            stride: self.columns,
        }
    }
}

/// Rows and columns of a buffer, to read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

impl<'a> View<'a> {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.columns
    }

    /// Some of its rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> View<'a> {
        let (data, n) = (self.data, rows.len());
        let (from, to) = span(rows, self.rows, self.columns, self.stride);
        View { data: &data[from..to], rows: n, ..self }
    }

    /// Some of its columns.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> View<'a> {
        let (data, n) = (self.data, columns.len());
        let (from, to) = across(columns, self.columns, self.rows, self.stride);
        View { data: &data[from..to], columns: n, ..self }
    }

    pub(crate) fn matrix(&self) -> MatRef<'a> {
        MatRef::new(self.data, self.rows, self.columns, self.stride)
    }

    /// The elements, where the rows follow each other without a gap.
    pub(crate) fn dense(&self) -> &'a [f32] {
        assert!(self.stride == self.columns || self.rows <= 1, "the view has gaps");
        &self.data[..self.rows * self.columns]
    }

    pub(crate) fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.columns]
    }
}

/// Rows and columns of a buffer, to write.
#[derive(Debug)]
pub struct ViewMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

impl<'a> ViewMut<'a> {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.columns
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { data: self.data, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// The same view, to read.
    pub fn read(&self) -> View<'_> {
        View { data: self.data, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// Some of its rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> ViewMut<'a> {
        let n = rows.len();
        let (from, to) = span(rows, self.rows, self.columns, self.stride);
        ViewMut {
            data: &mut self.data[from..to],
            rows: n,
            columns: self.columns,
            stride: self.stride,
        }
    }

    /// Its first `n` rows, and the others.
    pub(crate) fn split_rows(self, n: usize) -> (ViewMut<'a>, ViewMut<'a>) {
        let at = if n < self.rows { n * self.stride } else { self.data.len() };
        let (first, rest) = self.data.split_at_mut(at);
        let (columns, stride) = (self.columns, self.stride);
        let part = |data, rows| ViewMut { data, rows, columns, stride };
        (part(first, n), part(rest, self.rows - n))
    }

    /// Some of its columns.
    #[must_use]
    pub fn columns(self, columns: Range<usize>) -> ViewMut<'a> {
        let n = columns.len();
        let (from, to) = across(columns, self.columns, self.rows, self.stride);
        ViewMut { data: &mut self.data[from..to], rows: self.rows, columns: n, stride: self.stride }
    }

    pub(crate) fn dense(&mut self) -> &mut [f32] {
        assert!(self.stride == self.columns || self.rows <= 1, "the view has gaps");
        &mut self.data[..self.rows * self.columns]
    }

    pub(crate) fn row(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.stride..][..self.columns]
    }
}

/// The elements that `rows` of a matrix cover; the last row may end before its stride.
fn span(rows: Range<usize>, n_rows: usize, columns: usize, stride: usize) -> (usize, usize) {
    assert!(rows.start <= rows.end && rows.end <= n_rows, "rows {rows:?} of {n_rows}");
    if rows.is_empty() {
        return (0, 0);
    }
    (rows.start * stride, (rows.end - 1) * stride + columns)
}

/// The elements from the first of some columns to the last of its last row.
fn across(columns: Range<usize>, n_columns: usize, rows: usize, stride: usize) -> (usize, usize) {
    assert!(
        columns.start <= columns.end && columns.end <= n_columns,
        "columns {columns:?} of {n_columns}"
    );
    if rows == 0 {
        return (0, 0);
    }
    (columns.start, (rows - 1) * stride + columns.end)
}
