//! Poolers that checkpoints bring: one vector of a sequence's last hidden states, frozen or
//! trained.
//!
//! Pooling by attention (SigLIP; Zhai et al. 2022), with p the trained query and H the states:
//!
//! ```text
//! a = attention(p, H, H)          heads of the layers, a product before and after
//! y = a + W2 f(W1 norm(a))
//! ```

use budwood_engine::{
    Activation, Attention, AttentionBiasGradient, AttentionGradients, Buf, Context, Dropout,
    Product, Sequences, Spans, View, Weight,
};

use crate::base::Base;
use crate::encoder::pass::Part;
use crate::frozen::{AttentionPooler, Linear, Pooler, PoolerProduct};
use crate::linear::TrainedLinear;
use crate::norm::NormRef;
use crate::sites::{AttentionPoolerSlots, PoolerSlots};
use crate::tape::{Grads, Save};

/// `[sequences, d]` from the hidden states of a part.
pub(crate) fn forward(
    cx: &mut Context,
    part: &Part<'_>,
    pooler: &Pooler,
    hidden: View<'_>,
    save: Save<'_>,
) -> Buf {
    match pooler {
        Pooler::FirstToken(frozen) => first_token(cx, part, frozen, hidden, save),
        Pooler::Attention(frozen) => Attending::new(part, frozen).forward(cx, hidden, save),
    }
}

/// The gradient of the hidden states; adds those of a trained pooler. Consumes `d`.
pub(crate) fn backward(
    cx: &mut Context,
    part: &Part<'_>,
    pooler: &Pooler,
    d: Buf,
    grads: &mut Grads<'_>,
) -> Buf {
    match pooler {
        Pooler::FirstToken(frozen) => first_token_backward(cx, part, frozen, d, grads),
        Pooler::Attention(frozen) => Attending::new(part, frozen).backward(cx, d, grads),
    }
}

/// A product, frozen or trained.
#[derive(Clone, Copy)]
struct Used<'a> {
    weight: &'a Weight,
    bias: Option<&'a [f32]>,
    trained: Option<&'a TrainedLinear>,
}

impl<'a> Used<'a> {
    fn new(frozen: &'a Linear, trained: Option<&'a TrainedLinear>, params: &'a [f32]) -> Self {
        match trained {
            Some(t) => Self { weight: t.packed(), bias: t.bias_of(params), trained },
            None => Self { weight: &frozen.weight, bias: frozen.bias.as_deref(), trained },
        }
    }

    fn forward(self, cx: &mut Context, x: View<'_>) -> Buf {
        let mut y = cx.take(x.n_rows(), self.weight.outputs());
        let Self { weight, bias, .. } = self;
        cx.linear(x, &mut [Product { weight, bias, out: y.view_mut() }]);
        y
    }

    /// The gradient of the input; adds those of a trained product. Gives `d` and `x` back.
    fn backward(self, cx: &mut Context, x: Buf, d: Buf, grads: &mut Grads<'_>) -> Buf {
        if let Some(trained) = self.trained {
            trained.add_gradients(cx, x.view(), d.view(), grads);
        }
        let mut d_x = cx.take(x.rows(), x.columns());
        cx.linear_backward_input(d.view(), self.weight, d_x.view_mut(), false);
        [x, d].into_iter().for_each(|buffer| cx.give(buffer));
        d_x
    }
}

/// BERT's product of the first token.
fn first_product<'a>(part: &Part<'a>, frozen: &'a Linear) -> Used<'a> {
    let trained = match part.acting.trained_pooler() {
        Some(PoolerSlots::FirstToken(trained)) => Some(&**trained),
        _ => None,
    };
    Used::new(frozen, trained, part.acting.params())
}

fn first_token(
    cx: &mut Context,
    part: &Part<'_>,
    frozen: &Linear,
    hidden: View<'_>,
    mut save: Save<'_>,
) -> Buf {
    let mut first = cx.take(part.spans.len(), hidden.n_columns());
    cx.first_rows(hidden, &part.spans, first.view_mut());
    let pre = first_product(part, frozen).forward(cx, first.view());
    let mut pooled = cx.take(pre.rows(), pre.columns());
    cx.activation(Activation::Tanh, pre.view(), pooled.view_mut());
    [first, pre].into_iter().for_each(|buffer| save.push(cx, buffer));
    pooled
}

fn first_token_backward(
    cx: &mut Context,
    part: &Part<'_>,
    frozen: &Linear,
    mut d: Buf,
    grads: &mut Grads<'_>,
) -> Buf {
    let (pre, first) = (grads.pop(), grads.pop());
    cx.activation_backward(Activation::Tanh, pre.view(), d.view_mut());
    cx.give(pre);
    let d_first = first_product(part, frozen).backward(cx, first, d, grads);
    let mut d_hidden = cx.take(part.spans.rows(), d_first.columns());
    cx.first_rows_backward(d_first.view(), &part.spans, d_hidden.view_mut());
    cx.give(d_first);
    d_hidden
}

/// Pooling by attention of a part.
struct Attending<'a> {
    base: &'a Base,
    spans: &'a Spans,
    probe: &'a [f32],
    products: [Used<'a>; 4],
    norm: NormRef<'a>,
    trained: Option<&'a AttentionPoolerSlots>,
}

impl<'a> Attending<'a> {
    fn new(part: &'a Part<'a>, frozen: &'a AttentionPooler) -> Self {
        let params = part.acting.params();
        let trained = match part.acting.trained_pooler() {
            Some(PoolerSlots::Attention(slots)) => Some(&**slots),
            _ => None,
        };
        let used = |product: PoolerProduct| {
            let of = product as usize;
            Used::new(&frozen.products[of], trained.map(|t| &t.products[of]), params)
        };
        Self {
            base: part.acting.base,
            spans: &part.spans,
            probe: trained.map_or(&frozen.probe, |t| &params[t.probe.clone()]),
            products: PoolerProduct::ALL.map(used),
            norm: part.acting.norm_ref(&frozen.norm, trained.map(|t| &t.norm)),
            trained,
        }
    }

    fn product(&self, product: PoolerProduct) -> Used<'a> {
        self.products[product as usize]
    }

    fn attention(&self) -> Attention<'static> {
        let spec = self.base.spec();
        Attention::plain(spec.heads, spec.head_dim())
    }

    /// One query for each sequence.
    fn queries(&self) -> Spans {
        Spans::from_lengths(std::iter::repeat_n(1, self.spans.len()))
    }

    fn forward(&self, cx: &mut Context, hidden: View<'_>, mut save: Save<'_>) -> Buf {
        let (d, n) = (hidden.n_columns(), self.spans.len());
        let mut qkv = [cx.take(n, d), cx.take(hidden.n_rows(), d), cx.take(hidden.n_rows(), d)];
        let probe = cx.upload(self.probe, d);
        let one = self.product(PoolerProduct::In).forward(cx, probe.view());
        for i in 0..n {
            cx.assign(qkv[0].view_mut().rows(i..i + 1), one.view().columns(0..d));
        }
        let all = self.product(PoolerProduct::In).forward(cx, hidden);
        for (i, to) in qkv.iter_mut().enumerate().skip(1) {
            cx.assign(to.view_mut(), all.view().columns(i * d..(i + 1) * d));
        }
        [probe, one, all].into_iter().for_each(|buffer| cx.give(buffer));
        if self.trained.is_some() {
            save.push_copy(cx, hidden);
        }
        let (queries, attention) = (self.queries(), self.attention());
        let sequences = Sequences { queries: &queries, keys: self.spans };
        let mut kept = save.is_on().then(|| cx.take(1, sequences.saved(&attention)));
        let mut context = cx.take(n, d);
        cx.attention(
            &attention,
            [qkv[0].view(), qkv[1].view(), qkv[2].view()],
            sequences,
            Dropout::new(0.0, 0),
            kept.as_mut().map(Buf::view_mut),
            context.view_mut(),
        );
        qkv.into_iter().chain(kept).for_each(|buffer| save.push(cx, buffer));
        let mut y = self.product(PoolerProduct::Out).forward(cx, context.view());
        save.push(cx, context);
        let mut normed = cx.copy(y.view());
        self.norm.forward(cx, normed.view_mut(), save.reborrow());
        let pre = self.product(PoolerProduct::FfnIn).forward(cx, normed.view());
        let mut active = cx.take(pre.rows(), pre.columns());
        cx.activation(self.base.activation(), pre.view(), active.view_mut());
        let more = self.product(PoolerProduct::FfnOut).forward(cx, active.view());
        cx.add(y.view_mut(), more.view());
        cx.give(more);
        [normed, pre, active].into_iter().for_each(|buffer| save.push(cx, buffer));
        y
    }

    fn backward(&self, cx: &mut Context, mut d: Buf, grads: &mut Grads<'_>) -> Buf {
        let (active, pre, normed) = (grads.pop(), grads.pop(), grads.pop());
        let d_y = cx.copy(d.view());
        let mut d_ffn = self.product(PoolerProduct::FfnOut).backward(cx, active, d_y, grads);
        cx.activation_backward(self.base.activation(), pre.view(), d_ffn.view_mut());
        cx.give(pre);
        let mut d_ffn = self.product(PoolerProduct::FfnIn).backward(cx, normed, d_ffn, grads);
        self.norm.backward(cx, d_ffn.view_mut(), grads);
        cx.add(d.view_mut(), d_ffn.view());
        cx.give(d_ffn);
        let context = grads.pop();
        let out = cx.copy(context.view());
        let d_context = self.product(PoolerProduct::Out).backward(cx, context, d, grads);
        let (kept, v, k, q) = (grads.pop(), grads.pop(), grads.pop(), grads.pop());
        let mut d_qkv = [&q, &k, &v].map(|of| cx.take(of.rows(), of.columns()));
        let [d_q, d_k, d_v] = &mut d_qkv;
        let queries = self.queries();
        cx.attention_backward(
            &self.attention(),
            [q.view(), k.view(), v.view()],
            Sequences { queries: &queries, keys: self.spans },
            Dropout::new(0.0, 0),
            (Some(out.view()), kept.view()),
            d_context.view(),
            AttentionGradients {
                qkv: [d_q.view_mut(), d_k.view_mut(), d_v.view_mut()],
                bias: AttentionBiasGradient::None,
            },
        );
        [kept, v, k, q, out, d_context].into_iter().for_each(|buffer| cx.give(buffer));
        self.backward_in(cx, d_qkv, grads)
    }

    /// Through the product that makes query, keys and values.
    fn backward_in(&self, cx: &mut Context, d_qkv: [Buf; 3], grads: &mut Grads<'_>) -> Buf {
        let [d_q, d_k, d_v] = d_qkv;
        let (d, product) = (d_q.columns(), self.product(PoolerProduct::In));
        let mut d_all = cx.zeros(d_k.rows(), 3 * d);
        cx.assign(d_all.view_mut().columns(d..2 * d), d_k.view());
        cx.assign(d_all.view_mut().columns(2 * d..3 * d), d_v.view());
        let mut d_hidden = cx.take(d_k.rows(), d);
        cx.linear_backward_input(d_all.view(), product.weight, d_hidden.view_mut(), false);
        if let (Some(slots), Some(inputs)) = (self.trained, product.trained) {
            let hidden = grads.pop();
            inputs.add_gradients(cx, hidden.view(), d_all.view(), grads);
            cx.give(hidden);
            let mut d_one = cx.zeros(1, 3 * d);
            for i in 0..d_q.rows() {
                cx.add(d_one.view_mut().columns(0..d), d_q.view().rows(i..i + 1));
            }
            let probe = cx.upload(self.probe, d);
            let d_probe = product.backward(cx, probe, d_one, grads);
            cx.add_rows_backward(d_probe.view(), &[0], grads.of(&slots.probe));
            cx.give(d_probe);
        }
        [d_q, d_k, d_v, d_all].into_iter().for_each(|buffer| cx.give(buffer));
        d_hidden
    }
}
