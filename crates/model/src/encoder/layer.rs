//! One layer: attention and the feed-forward network.

use budwood_base::site::Sublayer;
use budwood_engine::{Buf, Context};

use super::kept::{LayerTape, Prefixes};
use super::pass::At;
use super::prefixes::PrefixGradient;
use super::sublayer::{Flow, output_backward};
use super::{attention, blocks, ffn};
use crate::sites::LayerSites;
use crate::tape::{Grads, Save};

/// The layer's output. `x` is its input and is consumed.
pub(super) fn forward(cx: &mut Context, at: At<'_>, x: Buf, prefixes: &Prefixes) -> Buf {
    if blocks::fit(at, x.rows()) {
        return blocks::forward(cx, at, x);
    }
    let (y, attention) = attention::forward(cx, at, x, prefixes, Save::nothing());
    attention.free(cx);
    ffn::forward(cx, at.past_attention(), y)
}

/// The layer's output, and all that backward needs.
pub(super) fn forward_kept(
    cx: &mut Context,
    at: At<'_>,
    x: Buf,
    prefixes: &Prefixes,
) -> (Buf, LayerTape) {
    let mut saved = Vec::new();
    let (y, attention) = attention::forward(cx, at, x, prefixes, Save::on(&mut saved));
    let (y, ffn) = ffn::forward_kept(cx, at.past_attention(), y, Save::on(&mut saved));
    (y, LayerTape { attention, ffn, saved })
}

/// From the gradient of the layer's output to that of its input. With `lowest`, nothing below this
/// layer is trained, and the work stops as soon as nothing below in the layer is; what is returned
/// then has no meaning.
pub(super) fn backward(
    cx: &mut Context,
    at: At<'_>,
    d: Buf,
    tape: LayerTape,
    lowest: Option<&LayerSites>,
    prefix: PrefixGradient<'_>,
    gradient: &mut [f32],
) -> Buf {
    let norm = at.pass.base.spec().norm;
    let LayerTape { mut attention, ffn, mut saved } = tape;
    let mut grads = Grads { saved: &mut saved, gradient };
    let residual = cx.take(d.rows(), d.columns());
    let (mut flow, end) = (Flow { d, residual }, at.past_attention());
    output_backward(cx, end, Sublayer::Ffn, &mut flow, &mut grads);
    if lowest.is_none_or(|sites| sites.acts_before_ffn_output(norm)) {
        ffn::backward(cx, end, &ffn, &mut flow, &mut grads);
        output_backward(cx, end, Sublayer::Attention, &mut flow, &mut grads);
        if lowest.is_none_or(|sites| sites.acts_before_attention_output(norm)) {
            attention::backward(cx, at, &mut attention, prefix, &mut flow, &mut grads);
        }
    }
    cx.give(flow.residual);
    LayerTape { attention, ffn, saved }.free(cx);
    flow.d
}
