//! Scaled dot-product attention of one sequence: softmax(Q Kᵀ / √(head width)) V for each head.
//! Vaswani et al. 2017, section 3.2.
//!
//! Saved for backward: the probabilities before dropout, `[heads, S_q, S_kv]`.

use super::dropout::{self, Dropout};
use super::elementwise;
use super::gemm::{self, Beta, MatRef, PackedB, Target};
use crate::Isa;
use crate::arch::{fma, kernel};

/// The shape of one sequence's attention. Queries, keys and values are rows of matrices in which
/// head `h` has columns `h * head_dim..`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of queries.
    pub queries: usize,
    /// Number of keys and values.
    pub keys: usize,
    /// Distance of the rows of queries.
    pub query_stride: usize,
    /// Distance of the rows of keys and of values.
    pub key_stride: usize,
    /// Distance of the rows of the output.
    pub out_stride: usize,
}

impl Shape {
    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    fn head<'a>(&self, data: &'a [f32], head: usize, rows: usize, stride: usize) -> MatRef<'a> {
        MatRef::new(&data[head * self.head_dim..], rows, self.head_dim, stride)
    }

    /// Elements of the saved probabilities.
    pub fn probabilities(&self) -> usize {
        self.heads * self.queries * self.keys
    }
}

/// Working memory, reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    gemm: gemm::Scratch,
    packed: PackedB,
    dropped: Vec<f32>,
    d_scores: Vec<f32>,
}

/// Writes `out` and `probabilities`. Places of the dropout mask start at `mask_start`.
///
/// # Panics
/// If the shapes do not fit.
pub fn forward(
    isa: Isa,
    scratch: &mut Scratch,
    shape: Shape,
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u32),
    probabilities: &mut [f32],
    out: &mut [f32],
) {
    let Shape { queries, keys, .. } = shape;
    assert_eq!(probabilities.len(), shape.probabilities());
    let per_head = queries * keys;
    for head in 0..shape.heads {
        let p = &mut probabilities[head * per_head..][..per_head];
        let q = shape.head(q, head, queries, shape.query_stride);
        scratch.packed.pack(isa, shape.head(k, head, keys, shape.key_stride).transposed());
        multiply(isa, &mut scratch.gemm, q, &scratch.packed, p, keys);
        softmax_rows(isa, p, keys, shape.scale());
        let p = if dropout.is_active() {
            scratch.dropped.clear();
            scratch.dropped.extend_from_slice(p);
            let start = mask_start.wrapping_add((head * per_head) as u32);
            dropout::apply(isa, dropout, start, &mut scratch.dropped);
            &scratch.dropped
        } else {
            &*p
        };
        scratch.packed.pack(isa, shape.head(v, head, keys, shape.key_stride));
        let out = &mut out[head * shape.head_dim..];
        let p = MatRef::new(p, queries, keys, keys);
        multiply(isa, &mut scratch.gemm, p, &scratch.packed, out, shape.out_stride);
    }
}

/// Writes the gradients of queries, keys and values, laid out as those are.
///
/// # Panics
/// If the shapes do not fit.
pub fn backward(
    isa: Isa,
    scratch: &mut Scratch,
    shape: Shape,
    (q, k, v): (&[f32], &[f32], &[f32]),
    (dropout, mask_start): (Dropout, u32),
    probabilities: &[f32],
    d_out: &[f32],
    (d_q, d_k, d_v): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let Shape { queries, keys, .. } = shape;
    let per_head = queries * keys;
    let Scratch { gemm, packed, dropped, d_scores } = scratch;
    for head in 0..shape.heads {
        let p = &probabilities[head * per_head..][..per_head];
        let at = head * shape.head_dim;
        let start = mask_start.wrapping_add((head * per_head) as u32);
        let d_out = shape.head(d_out, head, queries, shape.out_stride);
        dropped.clear();
        dropped.extend_from_slice(p);
        if dropout.is_active() {
            dropout::apply(isa, dropout, start, dropped);
        }
        // dV = dropped(P)ᵀ dO
        packed.pack(isa, d_out);
        let a = MatRef::new(dropped, queries, keys, keys).transposed();
        multiply(isa, gemm, a, packed, &mut d_v[at..], shape.key_stride);
        // dP = dO Vᵀ, through the dropout and the softmax
        packed.pack(isa, shape.head(v, head, keys, shape.key_stride).transposed());
        d_scores.resize(per_head, 0.0);
        multiply(isa, gemm, d_out, packed, d_scores, keys);
        if dropout.is_active() {
            dropout::apply(isa, dropout, start, d_scores);
        }
        softmax_backward_rows(isa, p, d_scores, keys, shape.scale());
        // dQ = dS K
        packed.pack(isa, shape.head(k, head, keys, shape.key_stride));
        let a = MatRef::new(d_scores, queries, keys, keys);
        multiply(isa, gemm, a, packed, &mut d_q[at..], shape.query_stride);
        // dK = dSᵀ Q
        packed.pack(isa, shape.head(q, head, queries, shape.query_stride));
        let a = MatRef::new(d_scores, queries, keys, keys).transposed();
        multiply(isa, gemm, a, packed, &mut d_k[at..], shape.key_stride);
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

const LANES: usize = 16;

kernel! {
    /// `softmax(scale x)` of each row of `columns` elements, in place.
    pub fn softmax_rows<'a>(x: &'a mut [f32], columns: usize, scale: f32) {
        for row in x.chunks_exact_mut(columns) {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            let blocks = row.chunks_exact(LANES);
            for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
                *lane = lane.max(*x);
            }
            for block in blocks {
                for i in 0..LANES {
                    lanes[i] = lanes[i].max(block[i]);
                }
            }
            let max = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max) * scale;
            for x in row.iter_mut() {
                *x = super::activation::exp::<FMA>(fma::<FMA>(*x, scale, -max));
            }
            let mut lanes = [0.0f32; LANES];
            let blocks = row.chunks_exact(LANES);
            for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
                *lane += *x;
            }
            for block in blocks {
                for i in 0..LANES {
                    lanes[i] += block[i];
                }
            }
            let inverse = 1.0 / elementwise::sum_lanes(lanes);
            for x in row.iter_mut() {
                *x *= inverse;
            }
        }
    }
}

kernel! {
    /// Through `p = softmax(scale s)`: `d_s = scale p (d_p - sum(p d_p))`, written over `d`.
    pub fn softmax_backward_rows<'a>(p: &'a [f32], d: &'a mut [f32], columns: usize, scale: f32) {
        assert_eq!(p.len(), d.len());
        for (p, d) in p.chunks_exact(columns).zip(d.chunks_exact_mut(columns)) {
            let mut lanes = [0.0f32; LANES];
            let (p_blocks, d_blocks) = (p.chunks_exact(LANES), d.chunks_exact(LANES));
            let rest = p_blocks.remainder().iter().zip(d_blocks.remainder());
            for (lane, (p, d)) in lanes.iter_mut().zip(rest) {
                *lane = fma::<FMA>(*p, *d, *lane);
            }
            for (p, d) in p_blocks.zip(d_blocks) {
                for i in 0..LANES {
                    lanes[i] = fma::<FMA>(p[i], d[i], lanes[i]);
                }
            }
            let along = elementwise::sum_lanes(lanes);
            for (d, p) in d.iter_mut().zip(p) {
                *d = scale * *p * (*d - along);
            }
        }
    }
}
