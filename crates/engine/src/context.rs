//! What one thread computes with, and the operations other than products.

use budwood_kernels::ops::activation::{self, Activation};
use budwood_kernels::ops::dropout::{self, Dropout};
use budwood_kernels::ops::{elementwise, halves, norm};

use crate::scratch::Scratch;
use crate::threads::Idle;
use crate::{Arena, Buf, Device, Isa, Table, View, ViewMut};

/// A device, an arena and working memory, for one thread.
#[derive(Debug)]
pub struct Context {
    device: Device,
    arena: Arena,
    pub(crate) scratch: Scratch,
    pub(crate) idle: Idle,
}

/// Rows of a table with their weights.
pub type RowMix = Vec<(u32, f32)>;

/// Where the sequences of a batch begin and end in a matrix of all their rows: sequence `i` is
/// `starts[i]..starts[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    starts: Vec<usize>,
    /// Where the rows stood before others were left out, if any were.
    places: Option<Vec<usize>>,
}

impl Spans {
    /// Spans of these lengths, one after another.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut starts = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            starts.push(end);
        }
        Self { starts, places: None }
    }

    /// The first row of each sequence alone. What falls on rows by their places
    /// ([`Context::dropout_rows`]) falls on these as before.
    pub fn firsts(&self) -> Self {
        let places = self.starts[..self.len()].to_vec();
        Self { starts: (0..self.starts.len()).collect(), places: Some(places) }
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of all sequences.
    pub fn rows(&self) -> usize {
        self.starts[self.len()]
    }

    /// Rows of sequence `i`.
    pub fn get(&self, i: usize) -> std::ops::Range<usize> {
        self.starts[i]..self.starts[i + 1]
    }

    /// The rows of some sequences, and where each of those begins and ends in them.
    pub fn part(&self, sequences: &std::ops::Range<usize>) -> (std::ops::Range<usize>, Self) {
        let lengths = sequences.clone().map(|i| self.get(i).len());
        (self.starts[sequences.start]..self.starts[sequences.end], Self::from_lengths(lengths))
    }

    /// The rows of each sequence in turn.
    pub fn iter(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts.windows(2).map(|w| w[0]..w[1])
    }
}

impl Context {
    /// A context with an empty arena.
    pub fn new(device: Device) -> Self {
        Self::with_idle(device, Idle::default())
    }

    /// As [`Context::new`], with other threads that may help.
    pub(crate) fn with_idle(device: Device, idle: Idle) -> Self {
        Self { device, arena: Arena::default(), scratch: Scratch::default(), idle }
    }

    /// The device it computes on.
    pub fn device(&self) -> Device {
        self.device
    }

    pub(crate) fn isa(&self) -> Isa {
        self.device.isa()
    }

    /// Threads that could take part in an operation now, with this one.
    pub fn threads(&self) -> usize {
        1 + self.idle.threads()
    }

    /// The arena, for its counters.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// A buffer whose content is undefined.
    pub fn take(&mut self, rows: usize, columns: usize) -> Buf {
        self.arena.take(rows, columns)
    }

    /// A buffer of zeros.
    pub fn zeros(&mut self, rows: usize, columns: usize) -> Buf {
        let mut buffer = self.arena.take(rows, columns);
        buffer.view_mut().dense().fill(0.0);
        buffer
    }

    /// A copy of a view.
    pub fn copy(&mut self, x: View<'_>) -> Buf {
        let mut buffer = self.arena.take(x.rows, x.columns);
        self.assign(buffer.view_mut(), x);
        buffer
    }

    /// Lets a buffer rest in bf16, which takes half the memory. It keeps its shape.
    pub fn narrow(&mut self, buffer: &mut Buf) {
        let mut half = self.arena.take(1, halves::places(buffer.len()));
        halves::narrow(self.isa(), buffer.view().dense(), half.view_mut().dense());
        let wide = buffer.replace_storage(half, true);
        self.arena.give_storage(wide);
    }

    /// Wakes a buffer that [`Context::narrow`] let rest.
    pub fn widen(&mut self, buffer: &mut Buf) {
        let wide = self.arena.take(buffer.rows(), buffer.columns());
        let half = buffer.replace_storage(wide, false);
        let places = halves::places(buffer.len());
        halves::widen(self.isa(), &half[..places], buffer.view_mut().dense());
        self.arena.give_storage(half);
    }

    /// Gives a buffer back to the arena.
    pub fn give(&mut self, buffer: Buf) {
        self.arena.give(buffer);
    }

    /// A buffer with these elements.
    pub fn upload(&mut self, data: &[f32], columns: usize) -> Buf {
        let mut buffer = self.arena.take(data.len() / columns, columns);
        buffer.view_mut().dense().copy_from_slice(data);
        buffer
    }

    /// The elements of a view, row by row.
    pub fn download(&self, x: View<'_>) -> Vec<f32> {
        (0..x.rows).flat_map(|i| x.row(i).iter().copied()).collect()
    }

    /// `y = x`
    ///
    /// # Panics
    /// If the shapes do not fit; so for all operations.
    pub fn assign(&mut self, mut y: ViewMut<'_>, x: View<'_>) {
        assert_eq!((y.rows, y.columns), (x.rows, x.columns));
        for i in 0..x.rows {
            y.row(i).copy_from_slice(x.row(i));
        }
    }

    /// `y += x`
    pub fn add(&mut self, mut y: ViewMut<'_>, x: View<'_>) {
        assert_eq!((y.rows, y.columns), (x.rows, x.columns));
        for i in 0..x.rows {
            elementwise::add(self.isa(), y.row(i), x.row(i));
        }
    }

    /// `y += a x`
    pub fn add_scaled(&mut self, mut y: ViewMut<'_>, a: f32, x: View<'_>) {
        assert_eq!((y.rows, y.columns), (x.rows, x.columns));
        for i in 0..x.rows {
            elementwise::add_scaled(self.isa(), y.row(i), a, x.row(i));
        }
    }

    /// `y = a y`
    pub fn scale(&mut self, mut y: ViewMut<'_>, a: f32) {
        for i in 0..y.rows {
            elementwise::scale(self.isa(), y.row(i), a);
        }
    }

    /// Adds `row` to every row of `y`.
    pub fn add_row(&mut self, mut y: ViewMut<'_>, row: &[f32]) {
        for i in 0..y.rows {
            elementwise::add(self.isa(), y.row(i), row);
        }
    }

    /// Multiplies every row of `y` by `row`, element by element.
    pub fn multiply_row(&mut self, mut y: ViewMut<'_>, row: &[f32]) {
        for i in 0..y.rows {
            elementwise::multiply(self.isa(), y.row(i), row);
        }
    }

    /// Adds `a` times `row` to every row of `y`.
    pub fn add_scaled_row(&mut self, mut y: ViewMut<'_>, a: f32, row: &[f32]) {
        for i in 0..y.rows {
            elementwise::add_scaled(self.isa(), y.row(i), a, row);
        }
    }

    /// As [`Context::multiply_row`], with a row that was computed.
    pub fn multiply_by_row(&mut self, y: ViewMut<'_>, row: View<'_>) {
        self.multiply_row(y, row.dense());
    }

    /// Multiplies row `i` of `y` by `factors[i]`.
    pub fn scale_rows(&mut self, mut y: ViewMut<'_>, factors: &[f32]) {
        assert_eq!(y.rows, factors.len());
        for (i, &factor) in factors.iter().enumerate() {
            elementwise::scale(self.isa(), y.row(i), factor);
        }
    }

    /// Multiplies the rows of sequence `i` by `factors[i]`; `factors` is `[sequences, 1]`.
    pub fn scale_spans(&mut self, mut y: ViewMut<'_>, spans: &Spans, factors: View<'_>) {
        assert_eq!((y.rows, spans.len(), 1), (spans.rows(), factors.rows, factors.columns));
        for (i, rows) in spans.iter().enumerate() {
            for t in rows {
                elementwise::scale(self.isa(), y.row(t), factors.row(i)[0]);
            }
        }
    }

    /// The dot product of each sequence's rows in `a` with those in `b`, into `[sequences, 1]`: the
    /// gradient of what [`Context::scale_spans`] multiplied by.
    pub fn span_dots(&mut self, a: View<'_>, b: View<'_>, spans: &Spans, mut out: ViewMut<'_>) {
        assert_eq!((a.rows, out.rows, out.columns), (spans.rows(), spans.len(), 1));
        for (i, rows) in spans.iter().enumerate() {
            let dots = rows.map(|t| elementwise::dot(self.isa(), a.row(t), b.row(t)));
            out.row(i)[0] = dots.map(f64::from).sum::<f64>() as f32;
        }
    }

    /// `out[j] += sum_t a[t][j] b[t][j]`: the gradient of what [`Context::multiply_row`] multiplied
    /// by.
    pub fn add_column_dots(&mut self, a: View<'_>, b: View<'_>, out: &mut [f32]) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        for i in 0..a.rows {
            elementwise::add_product(self.isa(), out, a.row(i), b.row(i));
        }
    }

    /// The dot product of each row of `a` with the same row of `b`.
    pub fn row_dots(&mut self, a: View<'_>, b: View<'_>) -> Vec<f32> {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        (0..a.rows).map(|i| elementwise::dot(self.isa(), a.row(i), b.row(i))).collect()
    }

    /// `y = f(x)`
    pub fn activation(&mut self, f: Activation, x: View<'_>, mut y: ViewMut<'_>) {
        activation::forward(self.isa(), f, x.dense(), y.dense());
    }

    /// `dx = dy f'(x)`, over `dy`.
    pub fn activation_backward(&mut self, f: Activation, x: View<'_>, mut dy: ViewMut<'_>) {
        activation::backward(self.isa(), f, x.dense(), dy.dense());
    }

    /// Multiplies by a dropout mask; backward is the same operation with the same dropout.
    pub fn dropout(&mut self, dropout: Dropout, mut x: ViewMut<'_>) {
        if dropout.is_active() {
            dropout::apply(self.isa(), dropout, 0, x.dense());
        }
    }

    /// As [`Context::dropout`] on the rows of these sequences: each is dropped by the place where
    /// it stood before others were left out.
    pub fn dropout_rows(&mut self, dropout: Dropout, spans: &Spans, mut x: ViewMut<'_>) {
        assert_eq!(x.rows, spans.rows());
        let Some(places) = spans.places.as_ref().filter(|_| dropout.is_active()) else {
            return self.dropout(dropout, x);
        };
        for (i, place) in places.iter().enumerate() {
            let first = (place * x.columns) as u64;
            dropout::apply(self.isa(), dropout, first, x.row(i));
        }
    }

    /// Layer norm, in place of `x`, with nothing saved.
    pub fn norm_in_place(&mut self, mut x: ViewMut<'_>, gamma: &[f32], beta: &[f32], eps: f32) {
        norm::forward_in_place(self.isa(), x.dense(), gamma, beta, eps);
    }

    /// Layer norm in place of `x`. Returns what backward needs: x̂ `[T, D]` and the inverse
    /// deviations `[T, 1]`.
    pub fn norm(
        &mut self,
        mut x: ViewMut<'_>,
        gamma: &[f32],
        beta: &[f32],
        eps: f32,
    ) -> (Buf, Buf) {
        let mut normal = self.take(x.rows, x.columns);
        let mut rstd = self.take(x.rows, 1);
        let (mut n, mut r) = (normal.view_mut(), rstd.view_mut());
        norm::forward(self.isa(), x.dense(), gamma, beta, eps, n.dense(), r.dense());
        (normal, rstd)
    }

    /// The gradient of the input of [`Context::norm`], over `dy`.
    pub fn norm_backward_input(
        &mut self,
        gamma: &[f32],
        (normal, rstd): (View<'_>, View<'_>),
        mut dy: ViewMut<'_>,
    ) {
        norm::backward_input(self.isa(), gamma, normal.dense(), rstd.dense(), dy.dense());
    }

    /// Adds the gradients of gain and bias of [`Context::norm`].
    pub fn norm_backward_parameters(
        &mut self,
        normal: View<'_>,
        dy: View<'_>,
        d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        norm::backward_parameters(self.isa(), normal.dense(), dy.dense(), d_gamma, d_beta);
    }

    /// `y[t] += table[rows[t]]`
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn add_table_rows(&mut self, mut y: ViewMut<'_>, table: &Table, rows: &[u32]) {
        assert_eq!((y.rows, y.columns), (rows.len(), table.columns()));
        for (i, &row) in rows.iter().enumerate() {
            table.add_row(self.isa(), y.row(i), row as usize);
        }
    }

    /// `y[t] += table[rows[t]]` for a trained table, row-major.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn add_rows(&mut self, mut y: ViewMut<'_>, table: &[f32], rows: &[u32]) {
        assert_eq!(y.rows, rows.len());
        let d = y.columns;
        for (i, &row) in rows.iter().enumerate() {
            elementwise::add(self.isa(), y.row(i), &table[row as usize * d..][..d]);
        }
    }

    /// `d_table[rows[t]] += dy[t]`: the gradient of [`Context::add_rows`].
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn add_rows_backward(&mut self, dy: View<'_>, rows: &[u32], d_table: &mut [f32]) {
        assert_eq!(dy.rows, rows.len());
        let d = dy.columns;
        for (i, &row) in rows.iter().enumerate() {
            elementwise::add(self.isa(), &mut d_table[row as usize * d..][..d], dy.row(i));
        }
    }

    /// Adds to row `t` of `y` the sum of the rows of a table that `mixes[t]` names, each with its
    /// weight.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn add_mixed_rows(&mut self, mut y: ViewMut<'_>, table: &[f32], mixes: &[RowMix]) {
        assert_eq!(y.rows, mixes.len());
        let d = y.columns;
        for (t, mix) in mixes.iter().enumerate() {
            for &(row, weight) in mix {
                let from = &table[row as usize * d..][..d];
                elementwise::add_scaled(self.isa(), y.row(t), weight, from);
            }
        }
    }

    /// Adds the gradient of the table of [`Context::add_mixed_rows`] to `d_table`.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn add_mixed_rows_backward(&mut self, dy: View<'_>, mixes: &[RowMix], d_table: &mut [f32]) {
        assert_eq!(dy.rows, mixes.len());
        let d = dy.columns;
        for (t, mix) in mixes.iter().enumerate() {
            for &(row, weight) in mix {
                let to = &mut d_table[row as usize * d..][..d];
                elementwise::add_scaled(self.isa(), to, weight, dy.row(t));
            }
        }
    }

    /// The mean of each sequence's rows after its first `skip`.
    ///
    /// # Panics
    /// If a sequence has no more rows than that.
    pub fn mean_rows(&mut self, x: View<'_>, (spans, skip): (&Spans, usize), mut y: ViewMut<'_>) {
        assert_eq!((x.rows, y.rows), (spans.rows(), spans.len()));
        for (i, rows) in spans.iter().enumerate() {
            assert!(rows.len() > skip, "a sequence without rows for a mean");
            let out = y.row(i);
            out.fill(0.0);
            let share = 1.0 / (rows.len() - skip) as f32;
            for t in rows.skip(skip) {
                elementwise::add_scaled(self.device.isa(), out, share, x.row(t));
            }
        }
    }

    /// Spreads the gradient of a mean over each sequence's rows after its first `skip`; those are
    /// left as they are.
    pub fn mean_rows_backward(
        &mut self,
        dy: View<'_>,
        (spans, skip): (&Spans, usize),
        mut dx: ViewMut<'_>,
    ) {
        for (i, rows) in spans.iter().enumerate() {
            let share = 1.0 / (rows.len() - skip) as f32;
            for t in rows.skip(skip) {
                let out = dx.row(t);
                out.copy_from_slice(dy.row(i));
                elementwise::scale(self.device.isa(), out, share);
            }
        }
    }

    /// The first row of each sequence.
    pub fn first_rows(&mut self, x: View<'_>, spans: &Spans, mut y: ViewMut<'_>) {
        for (i, rows) in spans.iter().enumerate() {
            y.row(i).copy_from_slice(x.row(rows.start));
        }
    }

    /// Puts the gradient of the first rows in their place; the others are zero.
    pub fn first_rows_backward(&mut self, dy: View<'_>, spans: &Spans, mut dx: ViewMut<'_>) {
        dx.dense().fill(0.0);
        for (i, rows) in spans.iter().enumerate() {
            dx.row(rows.start).copy_from_slice(dy.row(i));
        }
    }
}
