//! The feed-forward network: two products around an activation, plain or gated, with what methods
//! do at them.

use std::slice::from_mut;

use budwood_base::encoder::Ffn;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_engine::{Buf, Context, Product, View, ViewMut};

use super::kept::{FfnTape, KeptInput};
use super::pass::At;
use super::products::{Into, Products};
use super::sublayer::{
    Flow, InputGradients, input_backward, input_forward, keep_input, output_forward,
};
use crate::frozen::Linear;
use crate::tape::{Grads, Save};

const IN: &[WeightSite] = &[WeightSite::FfnIn];
const OUT: &[WeightSite] = &[WeightSite::FfnOut];

/// Rows of a block, where nothing is kept: as many as most chunks have.
const BLOCK: usize = 256;

/// The sub-layer's result `[T, d]` from its input, which is consumed. Nothing is kept.
pub(super) fn forward(cx: &mut Context, at: At<'_>, x: Buf) -> Buf {
    let acts = [IN, OUT].into_iter().any(|sites| Products { at, sites }.any_acts());
    if acts || x.rows() <= BLOCK {
        let (y, tape) = forward_kept(cx, at, x, Save::nothing());
        tape.free(cx);
        return y;
    }
    let normed = input_forward(cx, at, Sublayer::Ffn, x.view(), Save::nothing());
    let mut h = cx.take(x.rows(), at.pass.base.spec().hidden);
    in_blocks(cx, at, normed.as_ref().unwrap_or(&x).view(), &mut h);
    output_forward(cx, at, Sublayer::Ffn, &mut h, x.view(), Save::nothing());
    normed.into_iter().chain([x]).for_each(|buffer| cx.give(buffer));
    h
}

/// The result, and with `save` all that backward needs.
pub(super) fn forward_kept(
    cx: &mut Context,
    at: At<'_>,
    x: Buf,
    mut save: Save<'_>,
) -> (Buf, FfnTape) {
    let spec = at.pass.base.spec();
    let (rows, keep) = (x.rows(), save.is_on());
    let normed = input_forward(cx, at, Sublayer::Ffn, x.view(), save.reborrow());
    let input = normed.as_ref().unwrap_or(&x).view();
    let mut pre = cx.take(rows, spec.site_shape(WeightSite::FfnIn)[0]);
    Products { at, sites: IN }.forward(cx, input, from_mut(&mut pre), save.reborrow());
    let active = activated(cx, at, &pre);
    let mut h = cx.take(rows, spec.hidden);
    Products { at, sites: OUT }.forward(cx, active.view(), from_mut(&mut h), save.reborrow());
    output_forward(cx, at, Sublayer::Ffn, &mut h, x.view(), save);
    let input = keep_input(cx, keep && at.needs_input(IN), normed, x);
    let active = KeptInput::new(cx, keep && at.needs_input(OUT), active);
    (h, FfnTape { input, pre, active })
}

/// Frozen products alone, of some rows at a time: what is between them takes as little memory as
/// in a short chunk.
fn in_blocks(cx: &mut Context, at: At<'_>, x: View<'_>, h: &mut Buf) {
    let layer = at.pass.base.layer(at.layer);
    let [first, last] = [WeightSite::FfnIn, WeightSite::FfnOut].map(|site| layer.linear(site));
    let product = |cx: &mut Context, linear: &Linear, x: View<'_>, out: ViewMut<'_>| {
        let (weight, bias) = (&linear.weight, linear.bias.as_deref());
        cx.linear(x, &mut [Product { weight, bias, out }]);
    };
    for start in (0..h.rows()).step_by(BLOCK) {
        let rows = start..(start + BLOCK).min(h.rows());
        let mut pre = cx.take(rows.len(), first.weight.outputs());
        product(cx, first, x.rows(rows.clone()), pre.view_mut());
        let active = activated(cx, at, &pre);
        product(cx, last, active.view(), h.view_mut().rows(rows));
        cx.give(pre);
        cx.give(active);
    }
}

/// What the last product reads.
fn activated(cx: &mut Context, at: At<'_>, pre: &Buf) -> Buf {
    let (base, spec) = (at.pass.base, at.pass.base.spec());
    let mut active = cx.take(pre.rows(), spec.intermediate);
    match spec.axes.ffn {
        Ffn::Plain => cx.activation(base.activation(), pre.view(), active.view_mut()),
        Ffn::Gated => cx.gated_activation(base.activation(), pre.view(), active.view_mut()),
    }
    active
}

/// From the gradient of the last product's result to that of the sub-layer's input, in `flow.d`.
pub(super) fn backward(
    cx: &mut Context,
    at: At<'_>,
    tape: &FfnTape,
    flow: &mut Flow,
    grads: &mut Grads<'_>,
) {
    let base = at.pass.base;
    let mut d = cx.take(flow.d.rows(), base.spec().intermediate);
    let d_out = from_mut(&mut flow.d);
    Products { at, sites: OUT }.backward(cx, &tape.active, d_out, &mut d, Into::Write, grads);
    match base.spec().axes.ffn {
        Ffn::Plain => cx.activation_backward(base.activation(), tape.pre.view(), d.view_mut()),
        Ffn::Gated => {
            let mut d_pre = cx.take(d.rows(), tape.pre.columns());
            let f = base.activation();
            cx.gated_activation_backward(f, tape.pre.view(), d.view(), d_pre.view_mut());
            cx.give(std::mem::replace(&mut d, d_pre));
        }
    }
    let gradients = InputGradients {
        products: Products { at, sites: IN },
        x: &tape.input,
        d_y: from_mut(&mut d),
        more: None,
    };
    input_backward(cx, Sublayer::Ffn, gradients, flow, grads);
    cx.give(d);
}
