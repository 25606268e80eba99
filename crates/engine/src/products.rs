//! Products of activations with weights, and their gradients.

use budwood_kernels::ops::gemm::{self, Beta, Target};
use budwood_kernels::ops::int8;
use budwood_kernels::ops::transpose::add_transposed;

use crate::scratch;
use crate::threads::{Helpers, for_each};
use crate::weight::{Int8Backward, Store};
use crate::{Buf, Context, Isa, View, ViewMut, Weight};

/// Multiplications that take about ten times as long as a thread takes to start.
const WORTH_A_THREAD: usize = 1 << 24;

/// One of several products of the same input.
pub struct Product<'a> {
    /// The weight `[out, in]`.
    pub weight: &'a Weight,
    /// The bias `[out]`.
    pub bias: Option<&'a [f32]>,
    /// The result `[T, out]`.
    pub out: ViewMut<'a>,
}

/// `out = x Wᵀ + beta` for one input and any number of weights.
fn linear(
    isa: Isa,
    scratch: &mut scratch::Product,
    x: View<'_>,
    weights: &[(&Weight, Beta<'_>)],
    outs: Vec<ViewMut<'_>>,
) {
    let mut targets = Vec::with_capacity(outs.len());
    let mut byte_targets = Vec::new();
    for (out, &(weight, beta)) in outs.into_iter().zip(weights) {
        assert_eq!(out.columns, weight.outputs());
        let (c, c_stride) = (out.data, out.stride);
        match weight.store() {
            Store::F32 { forward, .. } => targets.push(Target { b: forward, c, c_stride, beta }),
            Store::Int8 { forward, .. } => {
                byte_targets.push(int8::Target { b: forward, c, c_stride, beta });
            }
        }
    }
    if !targets.is_empty() {
        gemm::product(isa, &mut scratch.gemm, x.matrix(), &mut targets);
    }
    if !byte_targets.is_empty() {
        scratch.quantized.set(isa, x.matrix(), None);
        int8::product(isa, &scratch.quantized, &mut byte_targets);
    }
}

impl Context {
    /// `out = x Wᵀ + bias` for one input `[T, in]` and any number of weights.
    ///
    /// # Panics
    /// If the shapes do not fit; so for all operations.
    pub fn linear(&mut self, x: View<'_>, products: &mut [Product<'_>]) {
        let isa = self.isa();
        let outputs: usize = products.iter().map(|product| product.out.columns).sum();
        let beta = |bias: Option<_>| bias.map_or(Beta::Zero, Beta::Bias);
        let weights: Vec<_> = products.iter().map(|p| (p.weight, beta(p.bias))).collect();
        let outs = products.iter_mut().map(|p| p.out.reborrow()).collect();
        self.by_rows(x, outs, outputs, |scratch, x, outs| linear(isa, scratch, x, &weights, outs));
    }

    /// `out += x Wᵀ + bias`
    pub fn add_linear(&mut self, x: View<'_>, product: Product<'_>) {
        let (isa, outputs) = (self.isa(), product.out.columns);
        let beta = product.bias.map_or(Beta::Add, Beta::AddWithBias);
        let weights = [(product.weight, beta)];
        self.by_rows(x, vec![product.out], outputs, |scratch, x, outs| {
            linear(isa, scratch, x, &weights, outs);
        });
    }

    /// Does `work` on rows of `x` with the same rows of `outs`: on all of them, or on as many parts
    /// as there are threads for it, if it is large. Every row is a function of that row of `x`
    /// alone, so that parts change no result.
    fn by_rows(
        &mut self,
        x: View<'_>,
        outs: Vec<ViewMut<'_>>,
        outputs: usize,
        work: impl Fn(&mut scratch::Product, View<'_>, Vec<ViewMut<'_>>) + Sync,
    ) {
        assert!(outs.iter().all(|out| out.rows == x.rows));
        let helpers = self.helpers(x.rows, x.columns * outputs);
        let threads = helpers.threads();
        let places = self.scratch.products.places(threads);
        if let [place] = places {
            return work(place, x, outs);
        }
        let (size, mut rest) = (x.rows.div_ceil(threads), outs);
        let mut parts = Vec::with_capacity(threads);
        for (from, place) in (0..x.rows).step_by(size).zip(places) {
            let rows = from..x.rows.min(from + size);
            let split = rest.into_iter().map(|out| out.split_rows(rows.len()));
            let (part, others) = split.unzip();
            rest = others;
            parts.push((place, x.rows(rows), part));
        }
        for_each(threads, parts.into_iter(), |(place, x, outs)| work(place, x, outs));
    }

    /// Idle threads for something of so many rows with so many multiplications each.
    fn helpers(&self, rows: usize, multiplications: usize) -> Helpers {
        let worth = rows.saturating_mul(multiplications) / WORTH_A_THREAD;
        self.idle.take(worth.min(rows).saturating_sub(1))
    }

    /// `1 / ‖W_o + s b_o A‖` for each row o of a weight `[out, in]` with the low-rank update `s B
    /// A`, as `[1, out]`: what DoRA divides by. `squares` are the squared norms of W's rows; A is
    /// `[r, in]`, given plain and packed; B is `[out, r]`.
    ///
    /// The sum is not formed: with c = A W_oᵀ and G = A Aᵀ the squared norm is
    /// `‖W_o‖² + 2 s b_o c + s² b_o G b_oᵀ`.
    pub fn inverse_norms_of_update(
        &mut self,
        (w, squares): (&Weight, &[f32]),
        (a, a_packed): (&[f32], &Weight),
        b: &[f32],
        scale: f32,
    ) -> Buf {
        let (rank, outputs) = (a_packed.outputs(), w.outputs());
        assert!(squares.len() == outputs && b.len() == outputs * rank);
        let a = self.upload(a, w.inputs());
        let (mut c, mut g) = (self.take(rank, outputs), self.take(rank, rank));
        self.linear(a.view(), &mut [Product { weight: w, bias: None, out: c.view_mut() }]);
        self.linear(a.view(), &mut [Product { weight: a_packed, bias: None, out: g.view_mut() }]);
        let mut inverse = self.take(1, outputs);
        let (c_all, g_all) = (c.view().dense(), g.view().dense());
        for (o, (out, b)) in inverse.view_mut().data.iter_mut().zip(b.chunks(rank)).enumerate() {
            let mut square = f64::from(squares[o]);
            for (i, &b_i) in b.iter().enumerate() {
                let along: f32 = b.iter().zip(&g_all[i * rank..]).map(|(b, g)| b * g).sum();
                let both = 2.0 * c_all[i * outputs + o] + scale * along;
                square += f64::from(scale * b_i) * f64::from(both);
            }
            *out = (1.0 / square.max(f64::MIN_POSITIVE).sqrt()) as f32;
        }
        self.give(a);
        self.give(c);
        self.give(g);
        inverse
    }

    /// `dx = dy W`, or `dx += dy W` with `add`.
    ///
    /// # Panics
    /// Also if the weight was packed without its backward form.
    pub fn linear_backward_input(
        &mut self,
        dy: View<'_>,
        weight: &Weight,
        dx: ViewMut<'_>,
        add: bool,
    ) {
        let isa = self.isa();
        assert_eq!((dx.rows, dx.columns), (dy.rows, weight.inputs()));
        let beta = if add { Beta::Add } else { Beta::Zero };
        self.by_rows(dy, vec![dx], weight.inputs(), |scratch, dy, mut dx| {
            let [ViewMut { data: c, stride, .. }] = &mut dx[..] else { return };
            let c_stride = *stride;
            match weight.store() {
                Store::F32 { backward: Some(b), .. }
                | Store::Int8 { backward: Some(Int8Backward::F32(b)), .. } => {
                    let target = Target { b, c, c_stride, beta };
                    gemm::product(isa, &mut scratch.gemm, dy.matrix(), &mut [target]);
                }
                Store::Int8 { backward: Some(Int8Backward::Int8 { scales, packed }), .. } => {
                    scratch.quantized.set(isa, dy.matrix(), Some(scales));
                    let target = int8::Target { b: packed, c, c_stride, beta };
                    int8::product(isa, &scratch.quantized, &mut [target]);
                }
                Store::F32 { backward: None, .. } | Store::Int8 { backward: None, .. } => {
                    panic!("a gradient was asked through a weight that was packed for inference")
                }
            }
        });
    }

    /// `d_weight += dyᵀ x`, `[out, in]`.
    pub fn linear_backward_weight(&mut self, dy: View<'_>, x: View<'_>, d_weight: &mut [f32]) {
        let (outputs, inputs) = (dy.columns, x.columns);
        assert_eq!(dy.rows, x.rows);
        assert_eq!(d_weight.len(), outputs * inputs);
        if outputs <= inputs {
            self.add_products_of_columns(dy, x, d_weight);
            return;
        }
        // The left operand is transposed while it is copied, which is slow: let it be the narrow
        // one.
        let mut d_transposed = self.take(inputs, outputs);
        d_transposed.view_mut().dense().fill(0.0);
        self.add_products_of_columns(x, dy, d_transposed.view_mut().dense());
        add_transposed(self.isa(), d_transposed.view().dense(), inputs, outputs, d_weight);
        self.give(d_transposed);
    }

    /// `c += aᵀ b`, `[columns of a, columns of b]`; threads share the rows of `c`.
    fn add_products_of_columns(&mut self, a: View<'_>, b: View<'_>, c: &mut [f32]) {
        let isa = self.isa();
        let (rows, width) = (a.columns, b.columns);
        self.scratch.packed.pack(isa, b.matrix());
        let helpers = self.helpers(rows, a.rows * width);
        let threads = helpers.threads();
        let (packed, places) = (&self.scratch.packed, self.scratch.products.places(threads));
        let part = rows.div_ceil(threads).max(1);
        let parts = places.iter_mut().zip(c.chunks_mut(part * width)).enumerate();
        let parts: Vec<_> = parts.collect();
        for_each(threads, parts.into_iter(), |(i, (place, c))| {
            let a = a.columns(i * part..rows.min((i + 1) * part)).matrix().transposed();
            let target = Target { b: packed, c, c_stride: width, beta: Beta::Add };
            gemm::product(isa, &mut place.gemm, a, &mut [target]);
        });
    }

    /// `d_bias += sum of the rows of dy`.
    pub fn linear_backward_bias(&mut self, dy: View<'_>, d_bias: &mut [f32]) {
        assert_eq!(dy.columns, d_bias.len());
        gemm::bias_backward(self.isa(), dy.data, dy.rows, dy.stride, d_bias);
    }

    /// `out = a b` for small matrices that are packed on the spot; `b` is `[k, n]`.
    pub fn matmul(&mut self, a: View<'_>, b: View<'_>, out: ViewMut<'_>) {
        let isa = self.isa();
        let (packed, [place, ..]) = (&mut self.scratch.packed, self.scratch.products.places(1))
        else {
            return;
        };
        packed.pack(isa, b.matrix());
        let target = Target { b: packed, c: out.data, c_stride: out.stride, beta: Beta::Zero };
        gemm::product(isa, &mut place.gemm, a.matrix(), &mut [target]);
    }
}
