//! Products of activations with weights, and their gradients.

use budwood_kernels::ops::gemm::{self, Beta, MatRef, PackedB, Target};
use budwood_kernels::ops::int8;

use crate::weight::{Int8Backward, Store};
use crate::{Buf, Context, View, ViewMut, Weight};

/// One of several products of the same input.
pub struct Product<'a> {
    /// The weight `[out, in]`.
    pub weight: &'a Weight,
    /// The bias `[out]`.
    pub bias: Option<&'a [f32]>,
    /// The result `[T, out]`.
    pub out: ViewMut<'a>,
}

impl Context {
    /// `out = x Wᵀ + bias` for one input `[T, in]` and any number of weights.
    ///
    /// # Panics
    /// If the shapes do not fit; so for all operations.
    pub fn linear(&mut self, x: View<'_>, products: &mut [Product<'_>]) {
        let isa = self.isa();
        let mut targets = Vec::with_capacity(products.len());
        let mut byte_targets = Vec::new();
        for product in products {
            assert_eq!((product.out.rows, product.out.columns), (x.rows, product.weight.outputs()));
            let (c, c_stride) = (&mut *product.out.data, product.out.stride);
            let beta = product.bias.map_or(Beta::Zero, Beta::Bias);
            match product.weight.store() {
                Store::F32 { forward, .. } => {
                    targets.push(Target { b: forward, c, c_stride, beta });
                }
                Store::Int8 { forward, .. } => {
                    byte_targets.push(int8::Target { b: forward, c, c_stride, beta });
                }
            }
        }
        if !targets.is_empty() {
            gemm::product(isa, &mut self.gemm, x.matrix(), &mut targets);
        }
        if !byte_targets.is_empty() {
            self.quantized.set(isa, x.matrix(), None);
            int8::product(isa, &self.quantized, &mut byte_targets);
        }
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
        let (c, c_stride) = (dx.data, dx.stride);
        match weight.store() {
            Store::F32 { backward: Some(b), .. }
            | Store::Int8 { backward: Some(Int8Backward::F32(b)), .. } => {
                let target = Target { b, c, c_stride, beta };
                gemm::product(isa, &mut self.gemm, dy.matrix(), &mut [target]);
            }
            Store::Int8 { backward: Some(Int8Backward::Int8 { scales, packed }), .. } => {
                self.quantized.set(isa, dy.matrix(), Some(scales));
                let target = int8::Target { b: packed, c, c_stride, beta };
                int8::product(isa, &self.quantized, &mut [target]);
            }
            Store::F32 { backward: None, .. } | Store::Int8 { backward: None, .. } => {
                panic!("a gradient was asked through a weight that was packed for inference")
            }
        }
    }

    /// `d_weight += dyᵀ x`, `[out, in]`.
    pub fn linear_backward_weight(&mut self, dy: View<'_>, x: View<'_>, d_weight: &mut [f32]) {
        let (outputs, inputs) = (dy.columns, x.columns);
        assert_eq!(dy.rows, x.rows);
        assert_eq!(d_weight.len(), outputs * inputs);
        if outputs <= inputs {
            self.packed.pack(self.isa(), x.matrix());
            self.product_add(dy.matrix().transposed(), d_weight, inputs);
            return;
        }
        // The left operand is transposed while it is copied, which is slow: let it be the narrow
        // one.
        let mut d_transposed = self.take(inputs, outputs);
        d_transposed.view_mut().dense().fill(0.0);
        self.packed.pack(self.isa(), dy.matrix());
        self.product_add(x.matrix().transposed(), d_transposed.view_mut().data, outputs);
        let from = d_transposed.view().data;
        for (o, row) in d_weight.chunks_exact_mut(inputs).enumerate() {
            for (i, d) in row.iter_mut().enumerate() {
                *d += from[i * outputs + o];
            }
        }
        self.give(d_transposed);
    }

    fn product_add(&mut self, a: MatRef<'_>, c: &mut [f32], c_stride: usize) {
        let isa = self.isa();
        let packed = std::mem::take(&mut self.packed);
        let target = Target { b: &packed, c, c_stride, beta: Beta::Add };
        gemm::product(isa, &mut self.gemm, a, &mut [target]);
        self.packed = packed;
    }

    /// `d_bias += sum of the rows of dy`.
    pub fn linear_backward_bias(&mut self, dy: View<'_>, d_bias: &mut [f32]) {
        assert_eq!(dy.columns, d_bias.len());
        gemm::bias_backward(self.isa(), dy.data, dy.rows, dy.stride, d_bias);
    }

    /// `out = a b` for small matrices that are packed on the spot; `b` is `[k, n]`.
    pub fn matmul(&mut self, a: View<'_>, b: View<'_>, out: ViewMut<'_>) {
        let isa = self.isa();
        let mut packed = std::mem::take(&mut self.packed);
        PackedB::pack(&mut packed, isa, b.matrix());
        let target = Target { b: &packed, c: out.data, c_stride: out.stride, beta: Beta::Zero };
        gemm::product(isa, &mut self.gemm, a.matrix(), &mut [target]);
        self.packed = packed;
    }
}
