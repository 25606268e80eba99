//! Scaled dot-product attention of one sequence: softmax(scale (Q Kᵀ + bias)) V for each head.
//! Vaswani et al. 2017, section 3.2.
//!
//! Saved for backward: the probabilities before dropout, `[heads, S_q, S_kv]`.

mod scores;
mod softmax;

use super::dropout::{self, Dropout};
use super::gemm::{self, Beta, MatRef, PackedB, Target};
use crate::Isa;

pub use softmax::{softmax_backward_rows, softmax_rows};

/// Attention of one layer. `M` is a matrix of computed rows.
///
/// Query i and key j of a sequence are |i - j| apart. The keys of a prefix stand before those of
/// the sequence: they have no position, are seen by every query and have no bias.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, M = MatRef<'a>> {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// A query sees the keys that are at most so far away; all without a window.
    pub window: Option<usize>,
    /// What places add to scores.
    pub bias: Bias<'a, M>,
}

/// What the distance j - i of key j and query i adds to their score.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, M = MatRef<'a>> {
    /// Nothing.
    None,
    /// A number of each head and distance, after scaling (MPNet; T5, Raffel et al. 2020).
    Distance {
        /// `[heads, 2 reach + 1]`, by distance from `-reach` on; distances beyond the reach are
        /// those at its ends.
        table: &'a [f32],
    },
    /// Two products with rows that depend on the distance, before scaling (DeBERTa, He et al. 2021,
    /// section 3.1).
    Disentangled {
        /// Keys of the positions, `[rows, heads * head_dim]`, that the queries meet ("content to
        /// position").
        c2p: Option<M>,
        /// Queries of the positions, of the same shape, that the keys meet ("position to content").
        p2c: Option<M>,
        /// The row of each distance, `[2 reach + 1]`, from `-reach` on; distances beyond the reach
        /// are those at its ends.
        rows: &'a [u16],
    },
}

/// Where gradients of [`Bias`] are added; what is not wanted is not computed.
#[derive(Debug, Default)]
pub enum BiasGradient<'a, M = RowsMut<'a>> {
    /// Nowhere.
    #[default]
    None,
    /// That of the table.
    Distance(&'a mut [f32]),
    /// Those of the keys and queries of the positions. Those of the sequence's own queries and keys
    /// never depend on what is wanted here.
    Disentangled {
        /// That of `c2p`.
        c2p: Option<M>,
        /// That of `p2c`.
        p2c: Option<M>,
    },
}

/// Rows of a matrix, to write.
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// From the first element on.
    pub data: &'a mut [f32],
    /// Distance of the rows.
    pub stride: usize,
}

impl<'a, M> Attention<'a, M> {
    /// That of Vaswani et al.: scores are divided by the root of the head's width.
    pub fn plain(heads: usize, head_dim: usize) -> Self {
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { heads, head_dim, scale, window: None, bias: Bias::None }
    }

    /// The same with other matrices.
    pub fn map<N>(self, matrix: impl Fn(M) -> N) -> Attention<'a, N> {
        let Self { heads, head_dim, scale, window, bias } = self;
        let bias = match bias {
            Bias::None => Bias::None,
            Bias::Distance { table } => Bias::Distance { table },
            Bias::Disentangled { c2p, p2c, rows } => {
                Bias::Disentangled { c2p: c2p.map(&matrix), p2c: p2c.map(&matrix), rows }
            }
        };
        Attention { heads, head_dim, scale, window, bias }
    }

    /// Numbers that forward saves of a sequence for backward.
    pub fn saved(&self, queries: usize, keys: usize) -> usize {
        self.heads * queries * keys
    }

    /// Whether backward reads what forward gave.
    pub fn reads_out(&self, queries: usize, keys: usize) -> bool {
        let _ = (queries, keys);
        false
    }
}

/// The shape of one sequence. Queries, keys and values are rows of matrices in which head `h` has
/// columns `h * head_dim..`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of queries.
    pub queries: usize,
    /// Number of keys and values; those beyond the number of queries are a prefix.
    pub keys: usize,
    /// Distance of the rows of queries.
    pub query_stride: usize,
    /// Distance of the rows of keys and of values.
    pub key_stride: usize,
    /// Distance of the rows of the output.
    pub out_stride: usize,
}

/// Where gradients are written, laid out as what they are of; that of the bias is added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Those of queries.
    pub q: &'a mut [f32],
    /// Those of keys.
    pub k: &'a mut [f32],
    /// Those of values.
    pub v: &'a mut [f32],
    /// That of the bias.
    pub bias: BiasGradient<'a>,
}

/// Working memory, reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    gemm: gemm::Scratch,
    scores: scores::Scratch,
    packed: PackedB,
    probabilities: Vec<f32>,
    dropped: Vec<f32>,
    d_scores: Vec<f32>,
}

fn head_rows<'a>(
    a: &Attention<'_>,
    data: &'a [f32],
    head: usize,
    rows: usize,
    stride: usize,
) -> MatRef<'a> {
    MatRef::new(&data[head * a.head_dim..], rows, a.head_dim, stride)
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
    let prefix = prefix(shape);
    let per_head = queries * keys;
    let Scratch { gemm, scores, packed, probabilities, dropped, .. } = scratch;
    for head in 0..attention.heads {
        let p = match &mut saved {
            Some(saved) => &mut saved[head * per_head..][..per_head],
            None => {
                probabilities.resize(per_head, 0.0);
                &mut probabilities[..]
            }
        };
        let q = head_rows(attention, q, head, queries, shape.query_stride);
        let k = head_rows(attention, k, head, keys, shape.key_stride);
        packed.pack(isa, k.transposed());
        multiply(isa, gemm, q, packed, p, keys);
        let tile = tile(attention, head, shape);
        let own = own_rows(k, prefix);
        let bias = (&attention.bias, attention.scale);
        scores::add(isa, scores, bias, &tile, (q, own), &mut p[prefix.min(per_head)..], keys);
        hide(p, shape, attention.window, f32::NEG_INFINITY);
        softmax_rows(isa, p, keys, attention.scale);
        hide(p, shape, attention.window, 0.0);
        let p = if dropout.is_active() {
            dropped.clear();
            dropped.extend_from_slice(p);
            dropout::apply(isa, dropout, mask_start + (head * per_head) as u64, dropped);
            &*dropped
        } else {
            &*p
        };
        packed.pack(isa, head_rows(attention, v, head, keys, shape.key_stride));
        let out = &mut out[head * attention.head_dim..];
        let p = MatRef::new(p, queries, keys, keys);
        multiply(isa, gemm, p, packed, out, shape.out_stride);
    }
}

/// Sets the scores of keys outside the window.
fn hide(p: &mut [f32], shape: Shape, window: Option<usize>, to: f32) {
    let Some(window) = window else { return };
    let prefix = prefix(shape);
    for (i, row) in p.chunks_mut(shape.keys).enumerate() {
        for (j, x) in row[prefix..].iter_mut().enumerate() {
            if i.abs_diff(j) > window {
                *x = to;
            }
        }
    }
}

fn prefix(shape: Shape) -> usize {
    assert!(shape.keys >= shape.queries, "fewer keys than queries");
    shape.keys - shape.queries
}

fn own_rows(k: MatRef<'_>, prefix: usize) -> MatRef<'_> {
    let from = (prefix * k.row_stride).min(k.data.len());
    MatRef::new(&k.data[from..], k.rows - prefix, k.columns, k.row_stride)
}

fn tile(a: &Attention<'_>, head: usize, shape: Shape) -> scores::Tile {
    let keys = 0..shape.keys - prefix(shape);
    scores::Tile { heads: a.heads, head, head_dim: a.head_dim, queries: 0..shape.queries, keys }
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
    (_out, saved): (Option<&[f32]>, &[f32]),
    d_out: &[f32],
    mut to: Gradients<'_>,
) {
    let Shape { queries, keys, .. } = shape;
    let prefix = prefix(shape);
    let per_head = queries * keys;
    let Scratch { gemm, scores, packed, dropped, d_scores, .. } = scratch;
    for head in 0..attention.heads {
        let p = &saved[head * per_head..][..per_head];
        let at = head * attention.head_dim;
        let start = mask_start + (head * per_head) as u64;
        let d_out = head_rows(attention, d_out, head, queries, shape.out_stride);
        dropped.clear();
        dropped.extend_from_slice(p);
        if dropout.is_active() {
            dropout::apply(isa, dropout, start, dropped);
        }
        // dV = dropped(P)ᵀ dO
        packed.pack(isa, d_out);
        let a = MatRef::new(dropped, queries, keys, keys).transposed();
        multiply(isa, gemm, a, packed, &mut to.v[at..], shape.key_stride);
        // dP = dO Vᵀ, through the dropout and the softmax
        packed.pack(isa, head_rows(attention, v, head, keys, shape.key_stride).transposed());
        d_scores.resize(per_head, 0.0);
        multiply(isa, gemm, d_out, packed, d_scores, keys);
        if dropout.is_active() {
            dropout::apply(isa, dropout, start, d_scores);
        }
        softmax_backward_rows(isa, p, d_scores, keys, attention.scale);
        // dQ = dS K
        let (q, k) = (
            head_rows(attention, q, head, queries, shape.query_stride),
            head_rows(attention, k, head, keys, shape.key_stride),
        );
        packed.pack(isa, k);
        let a = MatRef::new(d_scores, queries, keys, keys);
        multiply(isa, gemm, a, packed, &mut to.q[at..], shape.query_stride);
        // dK = dSᵀ Q
        packed.pack(isa, q);
        let a = MatRef::new(d_scores, queries, keys, keys).transposed();
        multiply(isa, gemm, a, packed, &mut to.k[at..], shape.key_stride);
        let own_at = prefix * shape.key_stride + at;
        let d_k = &mut to.k[own_at.min(keys * shape.key_stride)..];
        scores::backward(
            isa,
            scores,
            (&attention.bias, attention.scale),
            &tile(attention, head, shape),
            (q, own_rows(k, prefix)),
            (&d_scores[prefix.min(per_head)..], keys),
            (
                RowsMut { data: &mut to.q[at..], stride: shape.query_stride },
                RowsMut { data: d_k, stride: shape.key_stride },
            ),
            &mut to.bias,
        );
    }
}

fn multiply(
    isa: Isa,
    scratch: &mut gemm::Scratch,
    a: MatRef<'_>,
    b: &PackedB,
    c: &mut [f32],
    c_stride: usize,
) {
    gemm::product(isa, scratch, a, &mut [Target { b, c, c_stride, beta: Beta::Zero }]);
}
