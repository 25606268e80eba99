//! Attention of a short sequence: a head's probabilities at once.

use super::description::{Attention, BiasGradient, Gradients, ROW, RowsMut, Shape};
use super::scores::{self, Tile};
use super::softmax::{softmax_backward_rows, softmax_rows};
use crate::Isa;
use crate::ops::dropout::{self, Dropout};
use crate::ops::gemm::{self, Beta, MatRef, PackedB, multiply};

/// Queries whose scores stay in the cache from their product to that with the values.
const QUERIES: usize = 84;

/// Working memory, reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    gemm: gemm::Scratch,
    bias: scores::Scratch,
    keys: PackedB,
    values: PackedB,
    /// Scores, probabilities or their gradients, rows [`ROW`] apart.
    rows: Vec<f32>,
    /// Probabilities after dropout, dense.
    dropped: Vec<f32>,
    packed: PackedB,
}

fn tile(head: usize, queries: std::ops::Range<usize>, shape: Shape) -> Tile {
    Tile { head, queries, keys: 0..shape.keys - shape.prefix() }
}

/// The rows of keys after those of the prefix.
fn own<'a>(k: MatRef<'a>, shape: Shape) -> MatRef<'a> {
    let prefix = shape.prefix();
    let from = (prefix * k.row_stride).min(k.data.len());
    MatRef::new(&k.data[from..], k.rows - prefix, k.columns, k.row_stride)
}

/// Gives the scores or probabilities of queries from `q0` on and of the keys that they do not see
/// this value.
fn hide(rows: &mut [f32], q0: usize, window: Option<usize>, shape: Shape, value: f32) {
    let (Some(window), length) = (window, shape.keys - shape.prefix()) else { return };
    for (i, row) in rows.chunks_exact_mut(ROW).enumerate() {
        let own = &mut row[shape.prefix()..shape.keys];
        let from = (q0 + i).saturating_sub(window);
        let to = (q0 + i + 1).saturating_add(window).min(length);
        own[..from].fill(value);
        own[to..].fill(value);
    }
}

/// Writes `out`, and what backward needs into `saved` if there is one. Places of the dropout mask
/// start at `mask_start`.
///
/// # Panics
/// If the shapes do not fit.
pub fn forward(
    isa: Isa,
    scratch: &mut Scratch,
    (attention, shape): (&Attention<'_>, Shape),
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u64),
    mut saved: Option<&mut [f32]>,
    out: &mut [f32],
) {
    let Shape { queries, keys, .. } = shape;
    let Scratch { gemm, bias, keys: packed_k, values, rows, .. } = scratch;
    let window = attention.narrow_window(queries);
    for head in 0..attention.heads {
        let q = attention.head(q, head, queries, shape.query_stride);
        let k = attention.head(k, head, keys, shape.key_stride);
        packed_k.pack(isa, k.transposed());
        values.pack(isa, attention.head(v, head, keys, shape.key_stride));
        for q0 in (0..queries).step_by(QUERIES) {
            let n = QUERIES.min(queries - q0);
            let q = MatRef::new(&q.data[q0 * q.row_stride..], n, q.columns, q.row_stride);
            rows.resize(rows.len().max(n * ROW), 0.0);
            let p = &mut rows[..n * ROW];
            multiply(isa, gemm, q, packed_k, (p, ROW), Beta::Zero);
            let (own, columns) = (own(k, shape), &mut p[shape.prefix()..]);
            scores::add(isa, bias, attention, &tile(head, q0..q0 + n, shape), (q, own), columns);
            // Scores of keys that are hidden become no probability, and not a very small one.
            hide(p, q0, window, shape, f32::NEG_INFINITY);
            softmax_rows(isa, p, keys, ROW, attention.scale);
            hide(p, q0, window, shape, 0.0);
            let place = (head * queries + q0) * keys;
            if let Some(saved) = &mut saved {
                let saved = saved[place..].chunks_exact_mut(keys);
                for (to, p) in saved.zip(p.chunks_exact(ROW)) {
                    to.copy_from_slice(&p[..keys]);
                }
            }
            let start = mask_start + place as u64;
            dropout::apply_rows(isa, dropout, (start, keys), p, keys, ROW);
            let c = &mut out[q0 * shape.out_stride + head * attention.head_dim..];
            let p = MatRef::new(p, n, keys, ROW);
            multiply(isa, gemm, p, values, (c, shape.out_stride), Beta::Zero);
        }
    }
}

/// Writes the gradients of queries, keys and values; adds those of the bias.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward(
    isa: Isa,
    scratch: &mut Scratch,
    (attention, shape): (&Attention<'_>, Shape),
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u64),
    saved: &[f32],
    d_out: &[f32],
    mut to: Gradients<'_>,
) {
    let Shape { queries, keys, .. } = shape;
    let per_head = queries * keys;
    let Scratch { gemm, bias, packed, rows, dropped, .. } = scratch;
    rows.resize(rows.len().max(queries * ROW), 0.0);
    for head in 0..attention.heads {
        let p = &saved[head * per_head..][..per_head];
        let start = mask_start + (head * per_head) as u64;
        let at = head * attention.head_dim;
        let d_out = attention.head(d_out, head, queries, shape.out_stride);
        let q = attention.head(q, head, queries, shape.query_stride);
        let k = attention.head(k, head, keys, shape.key_stride);
        // dV = dropped(P)ᵀ dO. A copy that was just written is turned faster than what was saved.
        dropped.clear();
        dropped.extend_from_slice(p);
        if dropout.is_active() {
            dropout::apply(isa, dropout, start, dropped);
        }
        packed.pack(isa, d_out);
        let a = MatRef::new(dropped, queries, keys, keys).transposed();
        multiply(isa, gemm, a, packed, (&mut to.v[at..], shape.key_stride), Beta::Zero);
        // dP = dO Vᵀ, through the dropout and the softmax
        let d = &mut rows[..queries * ROW];
        packed.pack(isa, attention.head(v, head, keys, shape.key_stride).transposed());
        multiply(isa, gemm, d_out, packed, (d, ROW), Beta::Zero);
        dropout::apply_rows(isa, dropout, (start, keys), d, keys, ROW);
        softmax_backward_rows(isa, p, keys, d, ROW, attention.scale);
        // dQ = dS K
        packed.pack(isa, k);
        let d_s = MatRef::new(d, queries, keys, ROW);
        multiply(isa, gemm, d_s, packed, (&mut to.q[at..], shape.query_stride), Beta::Zero);
        // dK = dSᵀ Q
        packed.pack(isa, q);
        multiply(
            isa,
            gemm,
            d_s.transposed(),
            packed,
            (&mut to.k[at..], shape.key_stride),
            Beta::Zero,
        );
        let d_k = &mut to.k[at + shape.prefix() * shape.key_stride..];
        scores::backward(
            isa,
            bias,
            attention,
            &tile(head, 0..queries, shape),
            (q, own(k, shape)),
            &d[shape.prefix()..],
            (
                RowsMut { data: &mut to.q[at..], stride: shape.query_stride },
                RowsMut { data: d_k, stride: shape.key_stride },
            ),
            &mut of_head(&mut to.bias, attention, head),
        );
    }
}

/// The gradient of one head's part of a bias.
fn of_head<'a>(
    bias: &'a mut BiasGradient<'_>,
    attention: &Attention<'_>,
    head: usize,
) -> BiasGradient<'a> {
    fn columns<'a>(rows: &'a mut Option<RowsMut<'_>>, at: usize) -> Option<RowsMut<'a>> {
        rows.as_mut().map(|rows| RowsMut { data: &mut rows.data[at..], stride: rows.stride })
    }
    match bias {
        BiasGradient::None => BiasGradient::None,
        BiasGradient::Distance(table) => {
            let columns = table.len() / attention.heads;
            BiasGradient::Distance(&mut table[head * columns..][..columns])
        }
        BiasGradient::Disentangled { c2p, p2c } => {
            let at = head * attention.head_dim;
            BiasGradient::Disentangled { c2p: columns(c2p, at), p2c: columns(p2c, at) }
        }
    }
}
