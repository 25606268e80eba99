//! What is added to the scores of a tile for the places of its queries and keys, forward and
//! backward.
//!
//! ```text
//! distance of query i and key j        j - i, both counted in the sequence's own positions
//! row(j - i)                           of the tables, for every distance of the tile
//! bias by distance       s[i][j] += table[head][j - i] / scale
//! content to position    s[i][j] += q_i · c2p[row(j - i)]       C = Q c2pᵀ   [queries, rows]
//! position to content    s[i][j] += k_j · p2c[row(j - i)]       T = p2c Kᵀ   [rows, keys]
//! ```
//!
//! Scores are multiplied by `scale` after this. Only the rows that the tile's distances name enter
//! the two products.

use std::ops::Range;

use super::description::{Attention, Bias, BiasGradient, ROW, RowsMut};
use crate::Isa;
use crate::arch::{fma, kernel};
use crate::ops::gemm::{self, Beta, MatRef, PackedB};

/// Queries and keys that meet, of one head. Keys are counted without those of a prefix.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) head: usize,
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

/// Working memory, reused from call to call.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    gemm: gemm::Scratch,
    packed: PackedB,
    /// For each distance of the tile, from the least, its row among those that the tile names.
    rows: Vec<u32>,
    /// C or T, and their gradients.
    terms: Vec<f32>,
}

impl Tile {
    /// The distances of the tile from the least on.
    fn distances(&self) -> Range<isize> {
        let (q, k) = (&self.queries, &self.keys);
        if q.is_empty() || k.is_empty() {
            return 0..0;
        }
        k.start as isize - (q.end - 1) as isize..k.end as isize - q.start as isize
    }

    /// Finds the row of each distance of the tile; returns the rows that the tile names.
    fn find_rows(&self, rows: &[u16], out: &mut Vec<u32>) -> Range<usize> {
        let reach = (rows.len() / 2) as isize;
        out.clear();
        out.extend(
            self.distances().map(|d| u32::from(rows[(d.clamp(-reach, reach) + reach) as usize])),
        );
        let first = out.iter().copied().min().unwrap_or(0);
        let end = out.iter().copied().max().map_or(0, |last| last + 1);
        out.iter_mut().for_each(|row| *row -= first);
        first as usize..end as usize
    }

    /// This head's columns, `width` wide, of some rows of a table.
    fn columns<'a>(&self, table: MatRef<'a>, rows: &Range<usize>, width: usize) -> MatRef<'a> {
        assert!(rows.end <= table.rows, "row {} of a table of {}", rows.end, table.rows);
        let from = rows.start * table.row_stride + self.head * width;
        MatRef::new(&table.data[from..], rows.len(), width, table.row_stride)
    }
}

/// Adds the bias of a tile to its scores. `q` and `k` are the tile's rows of this head.
pub(super) fn add(
    isa: Isa,
    scratch: &mut Scratch,
    attention: &Attention<'_>,
    tile: &Tile,
    (q, k): (MatRef<'_>, MatRef<'_>),
    scores: &mut [f32],
) {
    let (n, m) = (tile.queries.len(), tile.keys.len());
    if n == 0 || m == 0 {
        return;
    }
    let width = attention.head_dim;
    match &attention.bias {
        Bias::None => {}
        Bias::Distance { table } => {
            let columns = table.len() / attention.heads;
            let table = &table[tile.head * columns..][..columns];
            let (first, factor) = (tile.distances().start, 1.0 / attention.scale);
            add_distance(isa, table, first, n, m, factor, scores);
        }
        Bias::Disentangled { c2p, p2c, rows } => {
            let named = tile.find_rows(rows, &mut scratch.rows);
            scratch.terms.resize(n.max(m) * named.len(), 0.0);
            if let Some(c2p) = c2p {
                scratch.packed.pack(isa, tile.columns(*c2p, &named, width).transposed());
                multiply(isa, scratch, q, named.len());
                add_content(isa, &scratch.rows, &scratch.terms, named.len(), n, m, scores);
            }
            if let Some(p2c) = p2c {
                scratch.packed.pack(isa, k.transposed());
                multiply(isa, scratch, tile.columns(*p2c, &named, width), m);
                add_position(isa, &scratch.rows, &scratch.terms, n, m, scores);
            }
        }
    }
}

/// From the gradient of a tile's scores: adds to those of its queries and keys, and to those of
/// this head's part of the tables that are wanted.
pub(super) fn backward(
    isa: Isa,
    scratch: &mut Scratch,
    attention: &Attention<'_>,
    tile: &Tile,
    (q, k): (MatRef<'_>, MatRef<'_>),
    d_scores: &[f32],
    (d_q, d_k): (RowsMut<'_>, RowsMut<'_>),
    gradient: &mut BiasGradient<'_, RowsMut<'_>>,
) {
    let (n, m) = (tile.queries.len(), tile.keys.len());
    if n == 0 || m == 0 {
        return;
    }
    let width = attention.head_dim;
    match (&attention.bias, gradient) {
        (Bias::Distance { .. }, BiasGradient::Distance(d_table)) => {
            let (first, factor) = (tile.distances().start, 1.0 / attention.scale);
            distance_backward(isa, d_scores, first, n, m, factor, d_table);
        }
        (Bias::None | Bias::Distance { .. }, _) => {}
        (Bias::Disentangled { c2p, p2c, rows }, gradient) => {
            let (d_c2p, d_p2c) = match gradient {
                BiasGradient::Disentangled { c2p, p2c } => (c2p.as_mut(), p2c.as_mut()),
                BiasGradient::None | BiasGradient::Distance(_) => (None, None),
            };
            let named = tile.find_rows(rows, &mut scratch.rows);
            if let Some(c2p) = c2p {
                let d = clear(&mut scratch.terms, n * named.len());
                content_backward(isa, &scratch.rows, d_scores, n, m, d, named.len());
                let d = MatRef::new(&scratch.terms, n, named.len(), named.len());
                let Scratch { gemm, packed, .. } = scratch;
                packed.pack(isa, tile.columns(*c2p, &named, width));
                gemm::multiply(isa, gemm, d, packed, (d_q.data, d_q.stride), Beta::Add);
                if let Some(to) = d_c2p {
                    packed.pack(isa, q);
                    let rows = &mut to.data[named.start * to.stride..];
                    gemm::multiply(isa, gemm, d.transposed(), packed, (rows, to.stride), Beta::Add);
                }
            }
            if let Some(p2c) = p2c {
                let d = clear(&mut scratch.terms, m * named.len());
                position_backward(isa, &scratch.rows, d_scores, n, m, d);
                let d = MatRef::new(&scratch.terms, named.len(), m, m);
                let Scratch { gemm, packed, .. } = scratch;
                packed.pack(isa, tile.columns(*p2c, &named, width));
                gemm::multiply(
                    isa,
                    gemm,
                    d.transposed(),
                    packed,
                    (d_k.data, d_k.stride),
                    Beta::Add,
                );
                if let Some(to) = d_p2c {
                    packed.pack(isa, k);
                    let rows = &mut to.data[named.start * to.stride..];
                    gemm::multiply(isa, gemm, d, packed, (rows, to.stride), Beta::Add);
                }
            }
        }
    }
}

fn clear(terms: &mut Vec<f32>, len: usize) -> &mut [f32] {
    terms.clear();
    terms.resize(len, 0.0);
    terms
}

/// `terms = a packed`, of `columns` columns.
fn multiply(isa: Isa, scratch: &mut Scratch, a: MatRef<'_>, columns: usize) {
    let Scratch { gemm, packed, terms, .. } = scratch;
    gemm::multiply(isa, gemm, a, packed, (terms, columns), Beta::Zero);
}

/// Columns of a tile of `m` keys in which a row of a table by distance moves with the key: before
/// them the distance lies below the table, after them above. `first` is the distance of the row's
/// first key.
#[inline(always)]
fn inside(first: isize, m: usize, reach: isize) -> (usize, usize) {
    let from = (-reach - first).clamp(0, m as isize) as usize;
    let to = (reach + 1 - first).clamp(from as isize, m as isize) as usize;
    (from, to)
}

kernel! {
    /// `s[i][j] += factor table[j - i]` where `first` is the least distance of the tile.
    pub(super) fn add_distance<'a>(
        table: &'a [f32], first: isize, n: usize, m: usize, factor: f32,
        scores: &'a mut [f32],
    ) {
        let reach = (table.len() / 2) as isize;
        for (i, row) in scores.chunks_mut(ROW).take(n).enumerate() {
            let row = &mut row[..m];
            let first = first + (n - 1 - i) as isize;
            let (from, to) = inside(first, m, reach);
            let (before, after) = (table[0], table[table.len() - 1]);
            row[..from].iter_mut().for_each(|s| *s = fma::<FMA>(factor, before, *s));
            row[to..].iter_mut().for_each(|s| *s = fma::<FMA>(factor, after, *s));
            if from < to {
                let table = &table[(first + from as isize + reach) as usize..];
                for (s, t) in row[from..to].iter_mut().zip(table) {
                    *s = fma::<FMA>(factor, *t, *s);
                }
            }
        }
    }
}

kernel! {
    /// `d_table[j - i] += factor d[i][j]`
    pub(super) fn distance_backward<'a>(
        d: &'a [f32], first: isize, n: usize, m: usize, factor: f32,
        d_table: &'a mut [f32],
    ) {
        let (reach, last) = ((d_table.len() / 2) as isize, d_table.len() - 1);
        for (i, row) in d.chunks(ROW).take(n).enumerate() {
            let row = &row[..m];
            let first = first + (n - 1 - i) as isize;
            let (from, to) = inside(first, m, reach);
            d_table[0] += factor * row[..from].iter().sum::<f32>();
            d_table[last] += factor * row[to..].iter().sum::<f32>();
            if from < to {
                let table = &mut d_table[(first + from as isize + reach) as usize..];
                for (t, d) in table.iter_mut().zip(&row[from..to]) {
                    *t = fma::<FMA>(factor, *d, *t);
                }
            }
        }
    }
}

kernel! {
    /// `s[i][j] += C[i][row(j - i)]`
    pub(super) fn add_content<'a>(
        rows: &'a [u32], c: &'a [f32], columns: usize, n: usize, m: usize,
        scores: &'a mut [f32],
    ) {
        for (i, s) in scores.chunks_mut(ROW).take(n).enumerate() {
            let c = &c[i * columns..][..columns];
            for (s, &row) in s[..m].iter_mut().zip(&rows[n - 1 - i..]) {
                *s += c[row as usize];
            }
        }
    }
}

kernel! {
    /// `d_C[i][row(j - i)] += d[i][j]`
    pub(super) fn content_backward<'a>(
        rows: &'a [u32], d: &'a [f32], n: usize, m: usize,
        d_c: &'a mut [f32], columns: usize,
    ) {
        for (i, d) in d.chunks(ROW).take(n).enumerate() {
            let c = &mut d_c[i * columns..][..columns];
            for (d, &row) in d[..m].iter().zip(&rows[n - 1 - i..]) {
                c[row as usize] += *d;
            }
        }
    }
}

kernel! {
    /// `s[i][j] += T[row(j - i)][j]`
    pub(super) fn add_position<'a>(
        rows: &'a [u32], t: &'a [f32], n: usize, m: usize, scores: &'a mut [f32],
    ) {
        for (i, s) in scores.chunks_mut(ROW).take(n).enumerate() {
            for (j, (s, &row)) in s[..m].iter_mut().zip(&rows[n - 1 - i..]).enumerate() {
                *s += t[row as usize * m + j];
            }
        }
    }
}

kernel! {
    /// `d_T[row(j - i)][j] += d[i][j]`
    pub(super) fn position_backward<'a>(
        rows: &'a [u32], d: &'a [f32], n: usize, m: usize, d_t: &'a mut [f32],
    ) {
        for (i, d) in d.chunks(ROW).take(n).enumerate() {
            for (j, (d, &row)) in d[..m].iter().zip(&rows[n - 1 - i..]).enumerate() {
                d_t[row as usize * m + j] += *d;
            }
        }
    }
}
