//! Attention of a long sequence in tiles: blocks of queries against blocks of keys.
//!
//! The work of a sequence is cut into **pieces**, a head and a segment of its queries each, that
//! need nothing of each other. A piece is computed into working memory and then stored. Pieces may
//! be computed in any order and on any threads; they are stored in the order of their numbers, so
//! that gradients of keys, to which all segments add, are the same to the bit.
//!
//! ```text
//! w width of a head, n <= 84 queries and m <= 256 keys of a tile, S <= 1008 queries of a segment
//!
//! forward, for each tile of keys, for each tile of queries of the segment that sees one of them
//!   s  = Q Kᵀ + bias                    [n, m]
//!   m' = max(m, scale s), l' = l exp(m - m') + sum exp(scale s - m')      a row
//!   O' = O exp(m - m') + dropped(exp(scale s - m')) V                     [S, w]
//! at the end                            O / l; m and 1 / l are saved
//!
//! backward, D = sum of dO O a row, over the same tiles
//!   p  = exp(scale s - m) / l           [n, m]
//!   dp = dropped(dO Vᵀ)                 [n, m]
//!   ds = scale p (dp - D)               [n, m]
//!   dVᵀ += dOᵀ dropped(p)               [w, m]     dOᵀ, Qᵀ: turned once a segment
//!   dKᵀ += Qᵀ ds                        [w, m]
//!   dQ  += ds K                         [S, w]
//! ```
//!
//! Working memory: tiles, a segment of queries, and in backward the gradients of one head's keys
//! and values.

use std::ops::Range;

use super::description::{
    Attention, Bias, BiasGradient, Gradients, ROW, RowsMut, Shape, WHOLE_KEYS_MAX,
};
use super::scores::{self, Tile};
use super::softmax::{Seen, one_more_tile, tile_again, tile_backward};
use crate::Isa;
use crate::ops::dropout::{self, Dropout};
use crate::ops::elementwise;
use crate::ops::gemm::{self, Beta, MatRef, PackedB, multiply};
use crate::ops::transpose::{add_transposed, transpose};

/// Queries of a tile: whole tiles of the product on every instruction set.
const QUERIES: usize = 84;
/// Keys of a tile.
const KEYS: usize = WHOLE_KEYS_MAX;
/// Keys of a tile where a window is narrower than [`KEYS`].
const KEYS_IN_WINDOW: usize = 64;
/// Queries of a piece: its tiles share what is packed of the keys.
const SEGMENT: usize = 12 * QUERIES;

/// Working memory, reused from call to call; a piece's results until they are stored.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    gemm: gemm::Scratch,
    bias: scores::Scratch,
    keys: PackedB,
    keys_turned: PackedB,
    values: PackedB,
    packed: PackedB,
    /// Scores and probabilities of a tile, rows [`ROW`] apart; and their gradients.
    p: Vec<f32>,
    d: Vec<f32>,
    /// Of each query of the segment: the largest score, the sum or its inverse, and D.
    max: Vec<f32>,
    sums: Vec<f32>,
    along: Vec<f32>,
    /// The segment's output or the gradient of its queries, `[S, w]`.
    rows: Vec<f32>,
    /// Qᵀ and dOᵀ of the segment, `[w, S]`.
    q_turned: Vec<f32>,
    d_out_turned: Vec<f32>,
    /// dKᵀ and dVᵀ of a tile, `[w, m]`.
    d_k_turned: Vec<f32>,
    d_v_turned: Vec<f32>,
    /// Gradients of all keys and values that the segment sees, `[keys, w]`.
    d_k: Vec<f32>,
    d_v: Vec<f32>,
    /// Gradients of this head's part of the bias: the table; or `c2p` and `p2c`.
    d_tables: [Vec<f32>; 2],
}

/// A head and a segment of the queries.
#[derive(Clone, Debug)]
struct Piece {
    head: usize,
    queries: Range<usize>,
    window: Option<usize>,
    prefix: usize,
    keys: usize,
}

/// Keys of a tile: all in the prefix or none.
#[derive(Clone, Debug)]
struct KeyTile {
    /// Among all keys.
    rows: Range<usize>,
    /// Places in the sequence; none in the prefix.
    places: Option<Range<usize>>,
}

/// Pieces of the work of so many queries of a sequence.
pub fn pieces(attention: &Attention<'_>, queries: usize) -> usize {
    attention.heads * queries.div_ceil(SEGMENT)
}

/// Whether several pieces add to the gradients of the same keys, which are zeros before the first;
/// else each element is written once.
pub fn pieces_add(shape: Shape) -> bool {
    shape.queries > SEGMENT
}

impl Piece {
    /// A piece of the work of the queries at these places.
    fn new(attention: &Attention<'_>, shape: Shape, places: &Range<usize>, piece: usize) -> Self {
        let segments = places.len().div_ceil(SEGMENT);
        let from = places.start + piece % segments * SEGMENT;
        Self {
            head: piece / segments,
            queries: from..places.end.min(from + SEGMENT),
            window: attention.narrow_window(shape.queries),
            prefix: shape.prefix(),
            keys: shape.keys,
        }
    }

    /// The tiles of keys that a query of the segment sees: those of the prefix, then those of the
    /// sequence, cut at multiples of their size from its beginning.
    fn key_tiles(&self) -> impl Iterator<Item = KeyTile> + use<> {
        let (prefix, length) = (self.prefix, self.keys - self.prefix);
        let before = (0..prefix)
            .step_by(KEYS)
            .map(move |k| KeyTile { rows: k..prefix.min(k + KEYS), places: None });
        let (size, first, end) = match self.window {
            None => (KEYS, 0, length),
            Some(w) => (
                if w < KEYS { KEYS_IN_WINDOW } else { KEYS },
                self.queries.start.saturating_sub(w),
                length.min(self.queries.end.saturating_add(w)),
            ),
        };
        let own = (first / size * size..end).step_by(size).map(move |k| {
            let places = k..length.min(k + size);
            KeyTile { rows: prefix + places.start..prefix + places.end, places: Some(places) }
        });
        before.chain(own)
    }

    /// The tiles of queries that see one of these keys, counted in the segment.
    fn query_tiles(&self, keys: &KeyTile) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.queries.len();
        let (first, end) = match (self.window, &keys.places) {
            (Some(w), Some(places)) => {
                let from = places.start.saturating_sub(w).saturating_sub(self.queries.start);
                let to = places.end.saturating_add(w).saturating_sub(self.queries.start);
                (from, to.min(n))
            }
            _ => (0, n),
        };
        (first..end).step_by(QUERIES).map(move |q| q..end.min(q + QUERIES))
    }

    /// Which keys of a tile a tile of queries sees.
    fn seen(&self, queries: &Range<usize>, keys: &KeyTile) -> Seen {
        let (Some(w), Some(places)) = (self.window, &keys.places) else { return Seen::ALL };
        let at = (self.queries.start + queries.start) as isize - places.start as isize;
        Seen { from: at - w as isize, to: at + w as isize + 1 }
    }

    /// Where queries meet keys that have places.
    fn tile(&self, queries: &Range<usize>, keys: &KeyTile) -> Option<Tile> {
        let start = self.queries.start;
        let queries = start + queries.start..start + queries.end;
        keys.places.clone().map(|keys| Tile { head: self.head, queries, keys })
    }

    /// The place of the first element of a tile's first row for dropout, and the distance of the
    /// rows' places.
    fn place(&self, mask: u64, all: usize, queries: &Range<usize>, keys: &KeyTile) -> (u64, usize) {
        let row = self.head * all + self.queries.start + queries.start;
        (mask + (row * self.keys + keys.rows.start) as u64, self.keys)
    }
}

/// Some rows of a matrix.
fn rows<'a>(m: MatRef<'a>, rows: &Range<usize>) -> MatRef<'a> {
    MatRef::new(&m.data[rows.start * m.row_stride..], rows.len(), m.columns, m.row_stride)
}

/// Some columns of a matrix.
fn columns<'a>(m: MatRef<'a>, columns: &Range<usize>) -> MatRef<'a> {
    MatRef::new(&m.data[columns.start..], m.rows, columns.len(), m.row_stride)
}

/// At least `len` elements, of any content.
fn room(x: &mut Vec<f32>, len: usize) {
    if x.len() < len {
        x.resize(len, 0.0);
    }
}

/// Exactly `len` elements of this value.
fn fill(x: &mut Vec<f32>, len: usize, value: f32) {
    x.clear();
    x.resize(len, value);
}

/// Computes a piece of the output of the queries at `places` in the sequence, whose rows `q` has,
/// and no others; a row does not depend on which others are asked for. Places of the dropout mask
/// start at `mask_start`.
///
/// # Panics
/// If the shapes do not fit.
pub fn forward(
    isa: Isa,
    scratch: &mut Scratch,
    (attention, shape, places): (&Attention<'_>, Shape, &Range<usize>),
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u64),
    piece: usize,
) {
    let piece = Piece::new(attention, shape, places, piece);
    let (head, width, scale) = (piece.head, attention.head_dim, attention.scale);
    let own = piece.queries.start - places.start..piece.queries.end - places.start;
    let q = rows(attention.head(q, head, places.len(), shape.query_stride), &own);
    let k = attention.head(k, head, shape.keys, shape.key_stride);
    let v = attention.head(v, head, shape.keys, shape.key_stride);
    let Scratch { gemm, bias, keys_turned, values, p, max, sums, rows: out, .. } = scratch;
    room(p, QUERIES * ROW);
    fill(max, q.rows, f32::NEG_INFINITY);
    fill(sums, q.rows, 0.0);
    fill(out, q.rows * width, 0.0);
    for keys in piece.key_tiles() {
        let (k, m) = (rows(k, &keys.rows), keys.rows.len());
        keys_turned.pack(isa, k.transposed());
        values.pack(isa, rows(v, &keys.rows));
        for queries in piece.query_tiles(&keys) {
            let (q, n) = (rows(q, &queries), queries.len());
            let p = &mut p[..n * ROW];
            multiply(isa, gemm, q, keys_turned, (p, ROW), Beta::Zero);
            if let Some(tile) = piece.tile(&queries, &keys) {
                scores::add(isa, bias, attention, &tile, (q, k), p);
            }
            let seen = piece.seen(&queries, &keys);
            let (max, sums) = (&mut max[queries.clone()], &mut sums[queries.clone()]);
            let out = &mut out[queries.start * width..queries.end * width];
            one_more_tile(isa, p, m, ROW, seen, scale, max, sums, out, width);
            let place = piece.place(mask_start, shape.queries, &queries, &keys);
            dropout::apply_rows(isa, dropout, place, p, m, ROW);
            multiply(isa, gemm, MatRef::new(p, n, m, ROW), values, (out, width), Beta::Add);
        }
    }
    for (row, sum) in out.chunks_exact_mut(width).zip(sums) {
        *sum = 1.0 / *sum;
        elementwise::scale(isa, row, *sum);
    }
}

/// Stores what [`forward`] computed: a part of `out`, which has the rows of `places` alone, and of
/// `saved` if there is one.
///
/// # Panics
/// If the shapes do not fit.
pub fn store_forward(
    scratch: &mut Scratch,
    (attention, shape, places): (&Attention<'_>, Shape, &Range<usize>),
    piece: usize,
    saved: Option<&mut [f32]>,
    out: &mut [f32],
) {
    let Piece { head, queries, .. } = Piece::new(attention, shape, places, piece);
    let (width, own) = (attention.head_dim, queries.start - places.start);
    let to = out[own * shape.out_stride + head * width..].chunks_mut(shape.out_stride);
    for (to, from) in to.zip(scratch.rows.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    if let Some(saved) = saved {
        let [max, inverse] = saved_rows(attention, shape, head, &queries);
        saved[max].copy_from_slice(&scratch.max);
        saved[inverse].copy_from_slice(&scratch.sums);
    }
}

/// Where maxima and inverse sums of some queries are saved.
fn saved_rows(
    attention: &Attention<'_>,
    shape: Shape,
    head: usize,
    queries: &Range<usize>,
) -> [Range<usize>; 2] {
    [head, attention.heads + head].map(|row| {
        let at = row * shape.queries;
        at + queries.start..at + queries.end
    })
}

/// Computes a piece of the gradients. `out` and `saved` are what forward gave.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward(
    isa: Isa,
    scratch: &mut Scratch,
    (attention, shape): (&Attention<'_>, Shape),
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u64),
    (out, saved): (&[f32], &[f32]),
    d_out: &[f32],
    wanted: BiasWanted,
    piece: usize,
) {
    let piece = Piece::new(attention, shape, &(0..shape.queries), piece);
    let (head, width, scale) = (piece.head, attention.head_dim, attention.scale);
    let of_queries =
        |data, stride| rows(attention.head(data, head, shape.queries, stride), &piece.queries);
    let q = of_queries(q, shape.query_stride);
    let (out, d_out) = (of_queries(out, shape.out_stride), of_queries(d_out, shape.out_stride));
    let k = attention.head(k, head, shape.keys, shape.key_stride);
    let v = attention.head(v, head, shape.keys, shape.key_stride);
    let [max, inverse] = saved_rows(attention, shape, head, &piece.queries).map(|at| &saved[at]);
    scratch.start_backward(isa, attention, (q, out, d_out), wanted);
    let Scratch { gemm, bias, keys: packed_k, keys_turned, values, packed, .. } = scratch;
    let Scratch { p, d, along, rows: d_q, d_k, d_v, .. } = scratch;
    let [d_table, d_p2c] = &mut scratch.d_tables;
    let (segment, mut at) = (q.rows, 0);
    for keys in piece.key_tiles() {
        let (k, v, m) = (rows(k, &keys.rows), rows(v, &keys.rows), keys.rows.len());
        packed_k.pack(isa, k);
        keys_turned.pack(isa, k.transposed());
        values.pack(isa, v.transposed());
        let (d_k_turned, d_v_turned) = (&mut scratch.d_k_turned, &mut scratch.d_v_turned);
        fill(d_k_turned, width * m, 0.0);
        fill(d_v_turned, width * m, 0.0);
        d_k.resize(at + m * width, 0.0);
        d_v.resize(at + m * width, 0.0);
        let (d_k, d_v) = (&mut d_k[at..], &mut d_v[at..]);
        for queries in piece.query_tiles(&keys) {
            let (q, d_out, n) = (rows(q, &queries), rows(d_out, &queries), queries.len());
            let turned = |of| columns(MatRef::new(of, width, segment, segment), &queries);
            let (q_turned, d_out_turned) =
                (turned(&scratch.q_turned), turned(&scratch.d_out_turned));
            let (p, d) = (&mut p[..n * ROW], &mut d[..n * ROW]);
            let seen = piece.seen(&queries, &keys);
            let tile = piece.tile(&queries, &keys);
            multiply(isa, gemm, q, keys_turned, (p, ROW), Beta::Zero);
            if let Some(tile) = &tile {
                scores::add(isa, bias, attention, tile, (q, k), p);
            }
            let (max, inverse) = (&max[queries.clone()], &inverse[queries.clone()]);
            tile_again(isa, p, m, ROW, seen, scale, max, inverse);
            multiply(isa, gemm, d_out, values, (d, ROW), Beta::Zero);
            let place = piece.place(mask_start, shape.queries, &queries, &keys);
            dropout::apply_rows(isa, dropout, place, d, m, ROW);
            tile_backward(isa, p, d, m, ROW, scale, &along[queries.clone()]);
            dropout::apply_rows(isa, dropout, place, p, m, ROW);
            packed.pack(isa, MatRef::new(p, n, m, ROW));
            multiply(isa, gemm, d_out_turned, packed, (d_v_turned, m), Beta::Add);
            packed.pack(isa, MatRef::new(d, n, m, ROW));
            multiply(isa, gemm, q_turned, packed, (d_k_turned, m), Beta::Add);
            let d_q = &mut d_q[queries.start * width..queries.end * width];
            multiply(isa, gemm, MatRef::new(d, n, m, ROW), packed_k, (d_q, width), Beta::Add);
            if let Some(tile) = &tile {
                let d_qk = [&mut *d_q, &mut *d_k].map(|data| RowsMut { data, stride: width });
                let [d_q, d_k] = d_qk;
                let mut to = wanted.gradient(d_table, d_p2c, width);
                scores::backward(isa, bias, attention, tile, (q, k), d, (d_q, d_k), &mut to);
            }
        }
        add_transposed(isa, d_k_turned, width, m, d_k);
        add_transposed(isa, d_v_turned, width, m, d_v);
        at += m * width;
    }
}

/// Which gradients of a bias are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BiasWanted {
    table: bool,
    c2p: bool,
    p2c: bool,
}

impl<M> From<&BiasGradient<'_, M>> for BiasWanted {
    fn from(gradient: &BiasGradient<'_, M>) -> Self {
        match gradient {
            BiasGradient::None => Self::default(),
            BiasGradient::Distance(_) => Self { table: true, ..Self::default() },
            BiasGradient::Disentangled { c2p, p2c } => {
                Self { table: false, c2p: c2p.is_some(), p2c: p2c.is_some() }
            }
        }
    }
}

impl BiasWanted {
    /// Where a piece adds them up.
    fn gradient<'a>(
        self,
        first: &'a mut [f32],
        second: &'a mut [f32],
        stride: usize,
    ) -> BiasGradient<'a> {
        let rows = |wanted: bool, data| wanted.then_some(RowsMut { data, stride });
        match self {
            Self { table: true, .. } => BiasGradient::Distance(first),
            Self { c2p: false, p2c: false, .. } => BiasGradient::None,
            Self { c2p, p2c, .. } => {
                BiasGradient::Disentangled { c2p: rows(c2p, first), p2c: rows(p2c, second) }
            }
        }
    }
}

impl Scratch {
    /// What backward needs of the queries alone; and zeros where it adds.
    fn start_backward(
        &mut self,
        isa: Isa,
        attention: &Attention<'_>,
        (q, out, d_out): (MatRef<'_>, MatRef<'_>, MatRef<'_>),
        wanted: BiasWanted,
    ) {
        let width = attention.head_dim;
        room(&mut self.p, QUERIES * ROW);
        room(&mut self.d, QUERIES * ROW);
        self.along.clear();
        self.along.extend((0..q.rows).map(|i| {
            let row = |m: MatRef<'_>| i * m.row_stride..i * m.row_stride + width;
            elementwise::dot(isa, &out.data[row(out)], &d_out.data[row(d_out)])
        }));
        room(&mut self.q_turned, q.rows * width);
        room(&mut self.d_out_turned, q.rows * width);
        for (from, to) in [(q, &mut self.q_turned), (d_out, &mut self.d_out_turned)] {
            transpose(isa, from.data, q.rows, width, from.row_stride, to, q.rows);
        }
        fill(&mut self.rows, q.rows * width, 0.0);
        self.d_k.clear();
        self.d_v.clear();
        let of_rows = |table: &Option<MatRef<'_>>, wanted: bool| {
            table.filter(|_| wanted).map_or(0, |table| table.rows * width)
        };
        let lengths = match &attention.bias {
            Bias::None => [0, 0],
            Bias::Distance { table } => {
                [if wanted.table { table.len() / attention.heads } else { 0 }, 0]
            }
            Bias::Disentangled { c2p, p2c, .. } => {
                [of_rows(c2p, wanted.c2p), of_rows(p2c, wanted.p2c)]
            }
        };
        for (table, len) in self.d_tables.iter_mut().zip(lengths) {
            fill(table, len, 0.0);
        }
    }
}

/// Stores what [`backward`] computed: writes a part of the gradient of queries, writes those of
/// keys and values or adds to them ([`pieces_add`]), and adds to that of the bias.
///
/// # Panics
/// If the shapes do not fit.
pub fn store_backward(
    isa: Isa,
    scratch: &mut Scratch,
    (attention, shape): (&Attention<'_>, Shape),
    piece: usize,
    to: &mut Gradients<'_>,
) {
    let piece = Piece::new(attention, shape, &(0..shape.queries), piece);
    let width = attention.head_dim;
    let at = piece.head * width;
    let d_q = to.q[piece.queries.start * shape.query_stride + at..].chunks_mut(shape.query_stride);
    for (to, from) in d_q.zip(scratch.rows.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    for (to, from) in [(&mut *to.k, &scratch.d_k), (&mut *to.v, &scratch.d_v)] {
        let rows = piece.key_tiles().flat_map(|tile| tile.rows);
        for (row, from) in rows.zip(from.chunks_exact(width)) {
            let to = &mut to[row * shape.key_stride + at..][..width];
            if pieces_add(shape) {
                elementwise::add(isa, to, from);
            } else {
                to.copy_from_slice(from);
            }
        }
    }
    let [first, second] = &scratch.d_tables;
    let add_rows = |to: &mut Option<RowsMut<'_>>, from: &[f32]| {
        let Some(to) = to else { return };
        for (to, from) in to.data.chunks_mut(to.stride).zip(from.chunks_exact(width)) {
            elementwise::add(isa, &mut to[at..at + width], from);
        }
    };
    match &mut to.bias {
        BiasGradient::None => {}
        BiasGradient::Distance(table) => {
            let at = piece.head * first.len();
            elementwise::add(isa, &mut table[at..at + first.len()], first);
        }
        BiasGradient::Disentangled { c2p, p2c } => {
            add_rows(c2p, first);
            add_rows(p2c, second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pairs of a query and a key that all tiles of a head hold; panics if a pair that is seen
    /// is in none or in two.
    fn pairs(length: usize, prefix: usize, window: Option<usize>) -> usize {
        let attention = Attention { window, ..Attention::plain(1, 1) };
        let (queries, keys) = (length, length + prefix);
        let shape = Shape { queries, keys, query_stride: 1, key_stride: 1, out_stride: 1 };
        let mut held = vec![0u8; queries * keys];
        for piece in 0..pieces(&attention, queries) {
            let piece = Piece::new(&attention, shape, &(0..queries), piece);
            for keys_of_tile in piece.key_tiles() {
                for tile in piece.query_tiles(&keys_of_tile) {
                    for i in tile.map(|i| piece.queries.start + i) {
                        keys_of_tile.rows.clone().for_each(|j| held[i * keys + j] += 1);
                    }
                }
            }
        }
        for i in 0..queries {
            for j in 0..keys {
                let seen = j < prefix || window.is_none_or(|w| (j - prefix).abs_diff(i) <= w);
                assert!(held[i * keys + j] <= 1 && held[i * keys + j] >= u8::from(seen));
            }
        }
        held.iter().map(|&n| usize::from(n)).sum()
    }

    #[test]
    fn tiles_hold_each_pair_once() {
        for (length, prefix) in [(1, 0), (84, 5), (85, 300), (1009, 1), (2100, 0)] {
            assert_eq!(pairs(length, prefix, None), length * (length + prefix));
            for window in [0, 1, 63, 64, 256, 1000, usize::MAX] {
                pairs(length, prefix, Some(window));
            }
        }
    }

    #[test]
    fn a_window_costs_the_length_times_the_window() {
        for window in [1, 64, 128] {
            let (half, whole) = (pairs(2000, 0, Some(window)), pairs(4000, 0, Some(window)));
            assert!(
                whole <= 2 * half + half / 10,
                "{half} pairs, and {whole} for twice the length"
            );
            // A tile of keys meets the window around it, and no query besides.
            assert!(whole <= 4000 * (2 * window + KEYS_IN_WINDOW), "{whole} pairs");
        }
    }
}
