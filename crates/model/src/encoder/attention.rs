//! Attention of each sequence by itself, with the keys and values that prefixes put before its own,
//! between its products.

use std::slice::from_mut;

use budwood_base::encoder::Positions;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_engine::{Attention, AttentionGradients, Buf, Context, Sequences, Turn, View};

use super::kept::{AttentionTape, KeptHeads, KeptInput, PrefixGates, Prefixes};
use super::pass::{At, DropoutPlace};
use super::prefixes::{self, PrefixGradient};
use super::products::{Into, Products};
use super::relative::{self, Bias, BiasGradient};
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
    let normed = input_forward(cx, at, Sublayer::Attention, x.view(), save.reborrow());
    let input = normed.as_ref().unwrap_or(&x).view();
    let mut qkv = [cx.take(rows, d), cx.take(rows, d), cx.take(rows, d)];
    Products { at, sites: IN }.forward(cx, input, &mut qkv, save.reborrow());
    turn(cx, at, &mut qkv[..2], 0, Turn::Forward);
    let gates = prefixes::gates(cx, at, input, keep);
    let (context, kept) = heads_forward(cx, at, &qkv, prefixes, &gates, save.reborrow());
    let end = at.past_attention();
    let firsts = at.narrows().then(|| [&context, &x].map(|all| firsts(cx, at, all.view())));
    let [read, residual] = firsts.as_ref().map_or([&context, &x], |[read, x]| [read, x]);
    let mut h = cx.take(read.rows(), d);
    Products { at: end, sites: OUT }.forward(cx, read.view(), from_mut(&mut h), save.reborrow());
    output_forward(cx, end, Sublayer::Attention, &mut h, residual.view(), save);
    firsts.into_iter().flatten().for_each(|buffer| cx.give(buffer));
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
    let out = Products { at: at.past_attention(), sites: OUT };
    if at.narrows() {
        let read = tape.context.get().map(|all| firsts(cx, at, all));
        let read = KeptInput::of(read);
        out.backward(cx, &read, d_out, &mut d_context, Into::Write, grads);
        read.free(cx);
        let d = cx.take(at.pass.spans.rows(), d_context.columns());
        cx.give(std::mem::replace(&mut flow.d, d));
        [&mut d_context, &mut flow.residual].into_iter().for_each(|d| spread(cx, at, d));
    } else {
        out.backward(cx, &tape.context, d_out, &mut d_context, Into::Write, grads);
    }
    let (mut d_qkv, d_gates) = heads_backward(cx, at, tape, &d_context, prefix, grads);
    cx.give(d_context);
    turn(cx, at, &mut d_qkv[..2], 0, Turn::Back);
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

/// The first row of each sequence.
fn firsts(cx: &mut Context, at: At<'_>, all: View<'_>) -> Buf {
    let mut firsts = cx.take(at.pass.spans.len(), all.n_columns());
    cx.first_rows(all, &at.pass.spans, firsts.view_mut());
    firsts
}

/// From the gradient of each sequence's first row to that of all rows; the others have none.
fn spread(cx: &mut Context, at: At<'_>, d: &mut Buf) {
    let mut all = cx.take(at.pass.spans.rows(), d.columns());
    cx.first_rows_backward(d.view(), &at.pass.spans, all.view_mut());
    cx.give(std::mem::replace(d, all));
}

/// The attention of a layer.
pub(super) fn attention<'a>(at: At<'a>, bias: &'a Bias<'_>) -> Attention<'a> {
    let spec = at.pass.base.spec();
    let (window, bias) = (spec.window(at.layer), bias.of_attention());
    let terms = match &spec.axes.positions {
        Positions::Disentangled(of) => usize::from(of.keys) + usize::from(of.queries),
        _ => 0,
    };
    let scale = 1.0 / ((spec.head_dim() * (1 + terms)) as f32).sqrt();
    Attention { window, bias, scale, ..Attention::plain(spec.heads, spec.head_dim()) }
}

/// Turns queries or keys by their places in their sequences, of which the first row has the place
/// `first`, where the layer's positions are rotary.
pub(super) fn turn(cx: &mut Context, at: At<'_>, rows: &mut [Buf], first: usize, turn: Turn) {
    let spans = &at.pass.spans;
    for x in rows {
        if let Some(patches) = &at.pass.patches {
            cx.rotate_patches(x.view_mut(), spans, patches, turn);
        } else if let Some(rotary) = at.pass.base.rotary(at.layer) {
            let dim = at.pass.base.spec().head_dim();
            cx.rotate(x.view_mut(), dim, (spans, first), rotary, turn);
        }
    }
}

/// Context rows `[T, d]`; with `keep` also what backward needs.
fn heads_forward(
    cx: &mut Context,
    at: At<'_>,
    [q, k, v]: &[Buf; 3],
    prefixes: &Prefixes,
    gates: &PrefixGates,
    mut save: Save<'_>,
) -> (Buf, Option<KeptHeads>) {
    let spec = at.pass.base.spec();
    let longer = prefixes::extended(cx, at, (k, v), prefixes, gates);
    let (k, v, keys) = match &longer {
        Some(longer) => (&longer.k, &longer.v, &longer.spans),
        None => (k, v, &at.pass.spans),
    };
    let mut context = cx.take(q.rows(), spec.hidden);
    let mut kept = None;
    for group in relative::groups(at) {
        let made = relative::make(cx, at, &group, save.reborrow());
        let bias = Bias::new(at, &group, &made);
        let attention = attention(at, &bias);
        let (queries, keys) = (at.pass.spans.part(&group.sequences), keys.part(&group.sequences));
        let sequences = Sequences { queries: &queries.1, keys: &keys.1 };
        let mut saved = save.is_on().then(|| cx.take(1, sequences.saved(&attention)));
        cx.attention(
            &attention,
            [
                q.view().rows(queries.0.clone()),
                k.view().rows(keys.0.clone()),
                v.view().rows(keys.0),
            ],
            sequences,
            at.dropout(DropoutPlace::Probabilities, spec.attention_dropout),
            saved.as_mut().map(Buf::view_mut),
            context.view_mut().rows(queries.0),
        );
        let reads_context = sequences.backward_reads_out(&attention);
        drop(bias);
        match saved {
            // A pass that backward follows has one part, and so one group.
            Some(saved) => kept = Some(KeptHeads { saved, reads_context, made }),
            None => made.free(cx),
        }
    }
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
    grads: &mut Grads<'_>,
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
    let kept = tape.heads();
    let group = relative::whole(at);
    let bias = Bias::new(at, &group, &kept.made);
    let mut d_bias = BiasGradient::new(cx, at, &kept.made);
    cx.attention_backward(
        &attention(at, &bias),
        [q.view(), k.view(), v.view()],
        Sequences { queries: &at.pass.spans, keys },
        at.dropout(DropoutPlace::Probabilities, spec.attention_dropout),
        (tape.context.get(), kept.saved.view()),
        d_context.view(),
        AttentionGradients {
            qkv: [d_q.view_mut(), d_k.view_mut(), d_v.view_mut()],
            bias: d_bias.of_attention(),
        },
    );
    d_bias.add(cx, at, &kept.made, grads);
    let Some(longer) = longer else { return ([d_q, d_k, d_v], None) };
    let d_gates = prefix.add(cx, at, &longer.spans, &tape.gates, [&mut d_k, &mut d_v]);
    let own = |cx: &mut Context, d| prefixes::own_rows(cx, at, &longer.spans, d);
    let (d_k, d_v) = (own(cx, d_k), own(cx, d_v));
    longer.free(cx);
    ([d_q, d_k, d_v], d_gates)
}
