//! Attention over the sequences of a batch.

use std::ops::Range;

use budwood_kernels::ops::attention::{self, RowsMut, Shape, tiled, whole};

use crate::threads::in_order;
use crate::{Context, Dropout, Spans, View, ViewMut};

/// Attention of one layer; matrices of its bias are views.
pub type Attention<'a> = attention::Attention<'a, View<'a>>;
/// What places add to the scores of [`Attention`].
pub type AttentionBias<'a> = attention::Bias<'a, View<'a>>;
/// Where gradients of an [`AttentionBias`] are added.
pub type AttentionBiasGradient<'a> = attention::BiasGradient<'a, ViewMut<'a>>;

/// Where the gradients of [`Context::attention`] go.
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// Those of queries, keys and values, which are written.
    pub qkv: [ViewMut<'a>; 3],
    /// Those of the bias, which are added to.
    pub bias: AttentionBiasGradient<'a>,
}

/// Whose keys belong to whose queries: sequence `i` of `queries` meets sequence `i` of `keys`. Keys
/// that a sequence has beyond its queries are a prefix and stand first.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Rows of the queries.
    pub queries: &'a Spans,
    /// Rows of the keys and values.
    pub keys: &'a Spans,
}

impl Sequences<'_> {
    /// Numbers of queries and keys of each sequence.
    fn lengths(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        assert_eq!(self.queries.len(), self.keys.len());
        self.queries.iter().zip(self.keys.iter()).map(|(q, k)| (q.len(), k.len()))
    }

    /// Numbers that [`Context::attention`] saves for backward.
    pub fn saved(&self, attention: &Attention<'_>) -> usize {
        self.lengths().map(|(queries, keys)| attention.saved(queries, keys)).sum()
    }

    /// Whether backward reads what [`Context::attention`] gave.
    pub fn backward_reads_out(&self, attention: &Attention<'_>) -> bool {
        self.lengths().any(|(_, keys)| attention.is_tiled(keys))
    }
}

/// The place of a sequence's first probability among those of the batch, for dropout.
fn places(attention: &Attention<'_>, queries: usize, keys: usize) -> u64 {
    attention.heads as u64 * queries as u64 * keys as u64
}

impl Context {
    /// Attention of each sequence by itself: `out` from queries, keys and values. What backward
    /// needs goes into `saved`, `[1, Sequences::saved]`, if there is one.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn attention(
        &mut self,
        attention: &Attention<'_>,
        [q, k, v]: [View<'_>; 3],
        sequences: Sequences<'_>,
        dropout: Dropout,
        mut saved: Option<ViewMut<'_>>,
        mut out: ViewMut<'_>,
    ) {
        let Sequences { queries, keys } = sequences;
        assert_eq!((queries.rows(), keys.rows(), v.rows), (q.rows, k.rows, k.rows));
        assert_eq!((out.rows, v.stride), (q.rows, k.stride));
        let isa = self.isa();
        let kernel = attention.map(|view| view.matrix());
        let strides = (q.stride, k.stride, out.stride);
        let (mut place, mut mask) = (0, 0);
        for (rows, key_rows) in queries.iter().zip(keys.iter()) {
            let shape = shape(&rows, &key_rows, strides);
            let end = place + attention.saved(rows.len(), key_rows.len());
            let (q, k, v) = (q.rows(rows.clone()), k.rows(key_rows.clone()), v.rows(key_rows));
            let (of, qkv, mask_at) = ((&kernel, shape), (q.data, k.data, v.data), (dropout, mask));
            let saved = saved.as_mut().map(|saved| &mut saved.dense()[place..end]);
            let out = out.reborrow().rows(rows).data;
            if kernel.is_tiled(shape.keys) {
                let of = (&kernel, shape, &(0..shape.queries));
                self.attention_in_tiles(of, qkv, mask_at, saved, out);
            } else {
                whole::forward(isa, &mut self.scratch.whole, of, qkv, mask_at, saved, out);
            }
            (place, mask) = (end, mask + places(attention, shape.queries, shape.keys));
        }
    }

    /// What [`Context::attention`] gives for the queries at `places` of one sequence with so many
    /// of them, outside training: `q` and `out` have the rows of `places` alone, `k` and `v` those
    /// of all keys, more than fit one tile ([`Attention::is_tiled`]).
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn attention_of_rows(
        &mut self,
        attention: &Attention<'_>,
        [q, k, v]: [View<'_>; 3],
        (places, queries): (Range<usize>, usize),
        out: ViewMut<'_>,
    ) {
        assert!(attention.is_tiled(k.rows) && places.end <= queries, "{places:?} of {queries}");
        assert_eq!((q.rows, v.rows, out.rows), (places.len(), k.rows, places.len()));
        assert_eq!(v.stride, k.stride);
        let kernel = attention.map(|view| view.matrix());
        let shape = shape(&(0..queries), &(0..k.rows), (q.stride, k.stride, out.stride));
        let (qkv, no_dropout) = ((q.data, k.data, v.data), (Dropout::new(0.0, 0), 0));
        self.attention_in_tiles((&kernel, shape, &places), qkv, no_dropout, None, out.data);
    }

    /// Attention of one long sequence, shared with threads that are idle.
    fn attention_in_tiles(
        &mut self,
        of: (&attention::Attention<'_>, Shape, &Range<usize>),
        qkv: (&[f32], &[f32], &[f32]),
        mask_at: (Dropout, u64),
        mut saved: Option<&mut [f32]>,
        out: &mut [f32],
    ) {
        let (isa, n) = (self.isa(), tiled::pieces(of.0, of.2.len()));
        let work = |scratch: &mut tiled::Scratch, piece| {
            tiled::forward(isa, scratch, of, qkv, mask_at, piece);
        };
        let store = |scratch: &mut tiled::Scratch, piece| {
            tiled::store_forward(scratch, of, piece, saved.as_deref_mut(), out);
        };
        let helpers = self.idle.take(n.saturating_sub(1));
        in_order(self.scratch.tiled.places(helpers.threads()), n, work, store, |_| ());
    }

    /// Backward of [`Context::attention`]. `out` is what forward gave, where
    /// [`Sequences::backward_reads_out`].
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn attention_backward(
        &mut self,
        attention: &Attention<'_>,
        [q, k, v]: [View<'_>; 3],
        sequences: Sequences<'_>,
        dropout: Dropout,
        (out, saved): (Option<View<'_>>, View<'_>),
        d_out: View<'_>,
        gradients: AttentionGradients<'_>,
    ) {
        let Sequences { queries, keys } = sequences;
        let isa = self.isa();
        let kernel = attention.map(|view| view.matrix());
        let AttentionGradients { qkv: [mut d_q, mut d_k, mut d_v], mut bias } = gradients;
        assert_eq!((d_q.stride, d_k.stride, d_v.stride), (q.stride, k.stride, v.stride));
        let (strides, d_columns) = ((q.stride, k.stride, d_out.stride), d_k.columns);
        let (mut place, mut mask) = (0, 0);
        for (rows, key_rows) in queries.iter().zip(keys.iter()) {
            let shape = shape(&rows, &key_rows, strides);
            let end = place + attention.saved(rows.len(), key_rows.len());
            let (q, k) = (q.rows(rows.clone()), k.rows(key_rows.clone()));
            let v = v.rows(key_rows.clone());
            let (of, qkv, mask_at) = ((&kernel, shape), (q.data, k.data, v.data), (dropout, mask));
            let saved = &saved.dense()[place..end];
            let out = out.map(|out| out.rows(rows.clone()).data);
            let d_out = d_out.rows(rows.clone()).data;
            let mut to = attention::Gradients {
                q: d_q.reborrow().rows(rows).data,
                k: d_k.reborrow().rows(key_rows.clone()).data,
                v: d_v.reborrow().rows(key_rows).data,
                bias: bias_rows(&mut bias),
            };
            if kernel.is_tiled(shape.keys) {
                let Some(out) = out else { panic!("backward reads what forward gave") };
                let wanted = (&to.bias).into();
                if tiled::pieces_add(shape) {
                    for gradient in [&mut *to.k, &mut *to.v] {
                        let rows = gradient.chunks_mut(shape.key_stride);
                        rows.for_each(|row| row[..d_columns].fill(0.0));
                    }
                }
                let n = tiled::pieces(&kernel, shape.queries);
                let work = |scratch: &mut tiled::Scratch, piece| {
                    let kept = (out, saved);
                    tiled::backward(isa, scratch, of, qkv, mask_at, kept, d_out, wanted, piece);
                };
                let store = |scratch: &mut tiled::Scratch, piece| {
                    tiled::store_backward(isa, scratch, of, piece, &mut to);
                };
                let helpers = self.idle.take(n.saturating_sub(1));
                in_order(self.scratch.tiled.places(helpers.threads()), n, work, store, |_| ());
            } else {
                whole::backward(isa, &mut self.scratch.whole, of, qkv, mask_at, saved, d_out, to);
            }
            (place, mask) = (end, mask + places(attention, shape.queries, shape.keys));
        }
    }
}

/// The gradient of a bias as the kernel writes it.
fn bias_rows<'a>(bias: &'a mut AttentionBiasGradient<'_>) -> attention::BiasGradient<'a> {
    fn rows<'a>(view: &'a mut Option<ViewMut<'_>>) -> Option<RowsMut<'a>> {
        view.as_mut().map(|view| RowsMut { data: view.data, stride: view.stride })
    }
    match bias {
        attention::BiasGradient::None => attention::BiasGradient::None,
        attention::BiasGradient::Distance(table) => attention::BiasGradient::Distance(table),
        attention::BiasGradient::Disentangled { c2p, p2c } => {
            attention::BiasGradient::Disentangled { c2p: rows(c2p), p2c: rows(p2c) }
        }
    }
}

fn shape(
    queries: &Range<usize>,
    keys: &Range<usize>,
    (query_stride, key_stride, out_stride): (usize, usize, usize),
) -> Shape {
    let (queries, keys) = (queries.len(), keys.len());
    Shape { queries, keys, query_stride, key_stride, out_stride }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buf, Device, Workers};

    const HEADS: usize = 3;
    const WIDTH: usize = 4;
    const ROWS: usize = 9;

    fn matrix(cx: &mut Context, rows: usize, seed: usize) -> Buf {
        let n = rows * HEADS * WIDTH;
        let x: Vec<f32> = (0..n).map(|i| ((i * 37 + seed * 11) % 97) as f32 / 97.0 - 0.5).collect();
        cx.upload(&x, HEADS * WIDTH)
    }

    /// The output and all gradients, element by element, of sequences of these lengths.
    fn run(
        cx: &mut Context,
        lengths: &[usize],
        (prefix, window, dropout): (usize, Option<usize>, f32),
    ) -> Vec<Vec<f32>> {
        let queries = Spans::from_lengths(lengths.iter().copied());
        let keys = Spans::from_lengths(lengths.iter().map(|n| n + prefix));
        let sequences = Sequences { queries: &queries, keys: &keys };
        let [q, d_out] = [1, 2].map(|seed| matrix(cx, queries.rows(), seed));
        let [k, v] = [3, 4].map(|seed| matrix(cx, keys.rows(), seed));
        let [c2p, p2c] = [5, 6].map(|seed| matrix(cx, ROWS, seed));
        let rows: Vec<u16> = (0..101).map(|d| d * 9 / 101).collect();
        let bias = AttentionBias::Disentangled {
            c2p: Some(c2p.view()),
            p2c: Some(p2c.view()),
            rows: &rows,
        };
        let attention = Attention { window, bias, ..Attention::plain(HEADS, WIDTH) };
        let mut saved = cx.take(1, sequences.saved(&attention));
        let mut out = cx.take(queries.rows(), HEADS * WIDTH);
        let dropout = Dropout::new(dropout, 5);
        let qkv = [q.view(), k.view(), v.view()];
        let keep = Some(saved.view_mut());
        cx.attention(&attention, qkv, sequences, dropout, keep, out.view_mut());
        let mut d = [&q, &k, &v].map(|x| cx.take(x.rows(), x.columns()));
        let mut d_tables = [ROWS, ROWS].map(|rows| cx.zeros(rows, HEADS * WIDTH));
        let [d_q, d_k, d_v] = &mut d;
        let [d_c2p, d_p2c] = &mut d_tables;
        let gradients = AttentionGradients {
            qkv: [d_q.view_mut(), d_k.view_mut(), d_v.view_mut()],
            bias: AttentionBiasGradient::Disentangled {
                c2p: Some(d_c2p.view_mut()),
                p2c: Some(d_p2c.view_mut()),
            },
        };
        let kept = (Some(out.view()), saved.view());
        cx.attention_backward(&attention, qkv, sequences, dropout, kept, d_out.view(), gradients);
        [&out].into_iter().chain(&d).chain(&d_tables).map(|x| cx.download(x.view())).collect()
    }

    #[test]
    fn a_long_sequence_gives_the_same_bits_on_any_number_of_threads() {
        for case in [(0, None, 0.0), (5, Some(70), 0.2)] {
            let on = |threads: usize| {
                Workers::new(Device::cpu(), threads).map(1, |cx, _| run(cx, &[2100], case))
            };
            let one = on(1);
            assert!(one[0].iter().flatten().all(|x| x.is_finite()));
            for threads in [2, 3, 7] {
                assert_eq!(one, on(threads), "{case:?} on {threads} threads");
            }
        }
    }

    /// Against all queries at once, with the keys of a prefix, a window and terms of distances.
    #[test]
    fn some_queries_give_the_bits_that_they_have_among_all() {
        let mut cx = Context::new(Device::cpu());
        let rows: Vec<u16> = (0..101).map(|d| d * 9 / 101).collect();
        let queries = 1500;
        for (prefix, window) in [(0, None), (5, Some(70)), (300, Some(300))] {
            let [q, k, v] = [(0, 1), (prefix, 3), (prefix, 4)]
                .map(|(more, seed)| matrix(&mut cx, queries + more, seed));
            let [c2p, p2c] = [5, 6].map(|seed| matrix(&mut cx, ROWS, seed));
            let bias = AttentionBias::Disentangled {
                c2p: Some(c2p.view()),
                p2c: Some(p2c.view()),
                rows: &rows,
            };
            let attention = Attention { window, bias, ..Attention::plain(HEADS, WIDTH) };
            let [own, keys] = [queries, queries + prefix].map(|n| Spans::from_lengths([n]));
            let sequences = Sequences { queries: &own, keys: &keys };
            let mut all = cx.take(queries, HEADS * WIDTH);
            let [k, v] = [k.view(), v.view()];
            let none = Dropout::new(0.0, 0);
            cx.attention(&attention, [q.view(), k, v], sequences, none, None, all.view_mut());
            let mut parts = cx.zeros(queries, HEADS * WIDTH);
            for places in [0..1, 1..100, 100..1200, 1200..1499, 1499..queries] {
                let q = q.view().rows(places.clone());
                let out = parts.view_mut().rows(places.clone());
                cx.attention_of_rows(&attention, [q, k, v], (places, queries), out);
            }
            assert_eq!(cx.download(parts.view()), cx.download(all.view()), "{prefix} {window:?}");
        }
    }

    #[test]
    fn a_sequence_does_not_depend_on_its_neighbours() {
        let mut cx = Context::new(Device::cpu());
        for case in [(0, None, 0.0), (5, Some(70), 0.0)] {
            // Sequences alike in their rows must start alike: the first of two batches.
            let (alone, among) = (run(&mut cx, &[300], case), run(&mut cx, &[300, 20, 700], case));
            for (alone, among) in alone.iter().zip(&among).take(4) {
                assert_eq!(alone[..], among[..alone.len()], "{case:?}");
            }
        }
    }
}
