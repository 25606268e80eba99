//! Attention of each sequence by itself, with the keys and values that prefixes put before its own,
//! between its products.

use std::slice::from_mut;

use budwood_base::site::{Sublayer, WeightSite};
use budwood_engine::{
    Attention, AttentionBiasGradient, AttentionGradients, Buf, Context, Sequences,
};

use super::kept::{AttentionTape, KeptHeads, KeptInput, PrefixGates, Prefixes};
use super::pass::{At, DropoutPlace};
use super::prefixes::{self, PrefixGradient};
use super::products::{Into, Products};
use super::sublayer::{
    Flow, InputGradients, input_backward, input_forward, keep_input, output_forward,
};
use crate::tape::{Grads, Save};

const IN: &[WeightSite] = &WeightSite::ATTENTION_INPUTS;
const OUT: &[WeightSite] = &[WeightSite::AttentionOut];

/// The sub-layer's result `[T, d]` from its input, which is consumed.
pub(super) fn forward(
    cx: &mut Context,
    at: At<'_>,
    x: Buf,
    prefixes: &Prefixes,
    mut save: Save<'_>,
) -> (Buf, AttentionTape) {
    let (rows, d) = (x.rows(), at.pass.base.spec().hidden);
    let keep = save.is_on();
    let normed = input_forward(cx, at, Sublayer::Attention, &x, save.reborrow());
    let input = normed.as_ref().unwrap_or(&x).view();
    let mut qkv = [cx.take(rows, d), cx.take(rows, d), cx.take(rows, d)];
    Products { at, sites: IN }.forward(cx, input, &mut qkv, save.reborrow());
    let gates = prefixes::gates(cx, at, input, keep);
    let (context, kept) = heads_forward(cx, at, &qkv, prefixes, &gates, keep);
    let mut h = cx.take(rows, d);
    Products { at, sites: OUT }.forward(cx, context.view(), from_mut(&mut h), save.reborrow());
    output_forward(cx, at, Sublayer::Attention, &mut h, &x, save);
    let input = keep_input(cx, keep && at.needs_input(IN), normed, x);
    let reads_context = at.needs_input(OUT) || kept.as_ref().is_some_and(|k| k.reads_context);
    let context = KeptInput::new(cx, keep && reads_context, context);
    (h, AttentionTape { input, qkv, kept, gates, context })
}

/// From the gradient of the last product's result to that of the sub-layer's input, in `flow.d`.
pub(super) fn backward(
    cx: &mut Context,
    at: At<'_>,
    tape: &mut AttentionTape,
    prefix: PrefixGradient<'_>,
    flow: &mut Flow,
    grads: &mut Grads<'_>,
) {
    let mut d_context = cx.take(flow.d.rows(), at.pass.base.spec().hidden);
    let d_out = from_mut(&mut flow.d);
    let out = Products { at, sites: OUT };
    out.backward(cx, &tape.context, d_out, &mut d_context, Into::Write, grads);
    let (mut d_qkv, d_gates) = heads_backward(cx, at, tape, &d_context, prefix);
    cx.give(d_context);
    let more = d_gates.and_then(|d_gates| {
        let part = &at.pass.parts[0];
        let gate = part.acting.prefix_gate(at.layer)?;
        let mut grads = Grads { saved: &mut tape.gates.saved, gradient: &mut *grads.gradient };
        Some(gate.backward(cx, tape.input.view(), &part.spans, d_gates, &mut grads))
    });
    let gradients = InputGradients {
        products: Products { at, sites: IN },
        x: &tape.input,
        d_y: &mut d_qkv,
        more,
    };
    input_backward(cx, Sublayer::Attention, gradients, flow, grads);
    d_qkv.into_iter().for_each(|buffer| cx.give(buffer));
}

/// The attention of a layer.
fn attention(at: At<'_>) -> Attention<'_> {
    let spec = at.pass.base.spec();
    Attention::plain(spec.heads, spec.hidden / spec.heads)
}

/// Context rows `[T, d]`; with `keep` also what backward needs.
fn heads_forward(
    cx: &mut Context,
    at: At<'_>,
    [q, k, v]: &[Buf; 3],
    prefixes: &Prefixes,
    gates: &PrefixGates,
    keep: bool,
) -> (Buf, Option<KeptHeads>) {
    let spec = at.pass.base.spec();
    let longer = prefixes::extended(cx, at, (k, v), prefixes, gates);
    let (k, v, keys) = match &longer {
        Some(longer) => (&longer.k, &longer.v, &longer.spans),
        None => (k, v, &at.pass.spans),
    };
    let (attention, sequences) = (attention(at), Sequences { queries: &at.pass.spans, keys });
    let mut saved = keep.then(|| cx.take(1, sequences.saved(&attention)));
    let mut context = cx.take(q.rows(), spec.hidden);
    cx.attention(
        &attention,
        [q.view(), k.view(), v.view()],
        sequences,
        at.dropout(DropoutPlace::Probabilities, spec.attention_dropout),
        saved.as_mut().map(Buf::view_mut),
        context.view_mut(),
    );
    let reads_context = sequences.backward_reads_out(&attention);
    let kept = saved.map(|saved| KeptHeads { saved, reads_context });
    if let Some(longer) = longer {
        longer.free(cx);
    }
    (context, kept)
}

/// Gradients of queries, keys and values, and of the prefix's gates where it has some; adds those
/// of the prefix.
fn heads_backward(
    cx: &mut Context,
    at: At<'_>,
    tape: &AttentionTape,
    d_context: &Buf,
    prefix: PrefixGradient<'_>,
) -> ([Buf; 3], Option<Buf>) {
    let spec = at.pass.base.spec();
    let [q, k, v] = &tape.qkv;
    let longer = prefixes::extended(cx, at, (k, v), prefix.made, &tape.gates);
    let (k, v, keys) = match &longer {
        Some(longer) => (&longer.k, &longer.v, &longer.spans),
        None => (k, v, &at.pass.spans),
    };
    let mut d_q = cx.take(d_context.rows(), spec.hidden);
    let (mut d_k, mut d_v) = (cx.take(k.rows(), spec.hidden), cx.take(k.rows(), spec.hidden));
    cx.attention_backward(
        &attention(at),
        [q.view(), k.view(), v.view()],
        Sequences { queries: &at.pass.spans, keys },
        at.dropout(DropoutPlace::Probabilities, spec.attention_dropout),
        (tape.context.get(), tape.saved()),
        d_context.view(),
        AttentionGradients {
            qkv: [d_q.view_mut(), d_k.view_mut(), d_v.view_mut()],
            bias: AttentionBiasGradient::None,
        },
    );
    let Some(longer) = longer else { return ([d_q, d_k, d_v], None) };
    let d_gates = prefix.add(cx, at, &longer.spans, &tape.gates, [&mut d_k, &mut d_v]);
    let own = |cx: &mut Context, d| prefixes::own_rows(cx, at, &longer.spans, d);
    let (d_k, d_v) = (own(cx, d_k), own(cx, d_v));
    longer.free(cx);
    ([d_q, d_k, d_v], d_gates)
}
