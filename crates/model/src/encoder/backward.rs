//! From the gradient of the last hidden states to the gradients of what is trained.

use budwood_base::encoder::NormPlacement;
use budwood_engine::{Buf, Context};

use super::{DropoutPlace, Input, LayerTape, Pass, Prefixes, Tape};
use super::{attention, image, prompt, text};
use crate::adapter::LayerSites;
use crate::site::{OutputBackward, ProductBackward, pop};
use crate::{Depth, Sublayer, WeightSite};

/// Adds the gradients of all trained parameters below the head to `gradient`. `d` is the gradient of the
/// hidden states. For a pass of one segment with an adapter.
pub(crate) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    depth: Depth,
    mut d: Buf,
    mut tape: Tape,
    gradient: &mut [f32],
) {
    if depth == Depth::Head {
        cx.give(d);
        tape.free(cx);
        return;
    }
    for part in pass.parts.iter().rev() {
        if let Some(norm) = part.acting.final_norm() {
            let rows = d.view_mut().rows(part.rows.clone());
            norm.backward(cx, rows, &mut tape.end, gradient);
        }
    }
    let prefix = pass.parts[0].acting.prefix();
    let rows = tape.prefixes.rows.first().and_then(Option::as_ref);
    let mut d_prefix = rows.map(|rows| cx.zeros(rows.rows(), rows.columns()));
    let lowest = if let Depth::Layer(layer) = depth { Some(layer) } else { None };
    for layer in (0..pass.base.layers.len()).rev() {
        let Some(saved) = tape.layers.pop() else { break };
        let stop = (lowest == Some(layer)).then(|| pass.parts[0].acting.adapter).flatten();
        let stop = stop.map(|a| a.layer(layer));
        let prefix = (&tape.prefixes, d_prefix.as_mut());
        d = layer_backward(cx, pass, layer, d, saved, stop, prefix, gradient);
    }
    if let (Some(prefix), Some(d_prefix)) = (prefix, d_prefix) {
        prefix.backward(cx, d_prefix, &mut tape.prefixes.saved, gradient);
    }
    if depth == Depth::Embeddings {
        d = prompt::remove(cx, pass, d, gradient);
        let p = pass.base.spec().hidden_dropout;
        cx.dropout(pass.dropout(0, DropoutPlace::Embeddings, p), d.view_mut());
        match &pass.batch.input {
            Input::Tokens(tokens) => {
                text::backward(cx, pass, tokens, &mut d, &mut tape.embeddings, gradient);
            }
            Input::Images(images) => image::backward(cx, pass, images, &d, gradient),
            Input::States(_) => panic!("hidden states do not lead to the embeddings"),
        }
    }
    cx.give(d);
    tape.free(cx);
}

/// One layer: takes the gradient of its output, returns that of its input. With `lowest`, the layer is
/// the lowest that is trained, and the work stops as soon as nothing below is; what is returned then
/// is no gradient of anything.
fn layer_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    mut d: Buf,
    mut tape: LayerTape,
    lowest: Option<&LayerSites>,
    prefix: (&Prefixes, Option<&mut Buf>),
    gradient: &mut [f32],
) -> Buf {
    let spec = pass.base.spec();
    let (rows, width) = (d.rows(), spec.hidden);
    let mut d_residual = cx.take(rows, width);

    unfinish(cx, pass, layer, Sublayer::Ffn, &mut d, &mut d_residual, &mut tape.saved, gradient);
    if lowest.is_some_and(|sites| !sites.acts_before_ffn_output(spec.norm)) {
        cx.give(d_residual);
        tape.free(cx);
        return d;
    }
    let mut d_ffn = cx.take(rows, spec.intermediate);
    let x = tape.ffn_active.take();
    let mut d_out = [d];
    product_backward(
        cx,
        pass,
        layer,
        &[WeightSite::FfnOut],
        x.as_ref(),
        &mut d_out,
        &mut d_ffn,
        false,
        &mut tape.saved,
        gradient,
    );
    let [mut d] = d_out;
    cx.activation_backward(pass.base.activation(), tape.ffn_pre.view(), d_ffn.view_mut());
    let input = tape.ffn_in.take();
    let mut d_in = [d_ffn];
    into_input(
        cx,
        pass,
        layer,
        Sublayer::Ffn,
        &[WeightSite::FfnIn],
        input.as_ref(),
        &mut d_in,
        None,
        &mut d_residual,
        &mut d,
        &mut tape.saved,
        gradient,
    );
    d_in.into_iter().for_each(|buffer| cx.give(buffer));
    [x, input].into_iter().flatten().for_each(|buffer| cx.give(buffer));
    std::mem::swap(&mut d, &mut d_residual);

    unfinish(
        cx,
        pass,
        layer,
        Sublayer::Attention,
        &mut d,
        &mut d_residual,
        &mut tape.saved,
        gradient,
    );
    if lowest.is_some_and(|sites| !sites.acts_before_attention_output(spec.norm)) {
        cx.give(d_residual);
        tape.free(cx);
        return d;
    }
    let mut d_context = cx.take(rows, width);
    let x = tape.context.take();
    let mut d_out = [d];
    product_backward(
        cx,
        pass,
        layer,
        &[WeightSite::AttentionOut],
        x.as_ref(),
        &mut d_out,
        &mut d_context,
        false,
        &mut tape.saved,
        gradient,
    );
    let [mut d] = d_out;
    let (mut d_qkv, d_gates) = attention::backward(cx, pass, layer, &tape, &d_context, prefix);
    cx.give(d_context);
    let input = tape.attention_in.take();
    let gates_in = d_gates.zip(input.as_ref()).and_then(|(d_gates, x)| {
        let part = &pass.parts[0];
        let gate = part.acting.prefix_gate(layer)?;
        let saved = &mut tape.gates.saved;
        Some(gate.backward(cx, x.view(), &part.spans, d_gates, saved, gradient))
    });
    let three = [WeightSite::Query, WeightSite::Key, WeightSite::Value];
    into_input(
        cx,
        pass,
        layer,
        Sublayer::Attention,
        &three,
        input.as_ref(),
        &mut d_qkv,
        gates_in,
        &mut d_residual,
        &mut d,
        &mut tape.saved,
        gradient,
    );
    d_qkv.into_iter().for_each(|buffer| cx.give(buffer));
    [x, input].into_iter().flatten().for_each(|buffer| cx.give(buffer));
    cx.give(d);
    tape.free(cx);
    d_residual
}

/// Through the products at a sub-layer's beginning and, in pre-norm encoders, its norm: adds to
/// `d_residual`. `more` is a gradient of the products' input that came another way; `work` is a free buffer of its size.
fn into_input(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sublayer: Sublayer,
    sites: &[WeightSite],
    input: Option<&Buf>,
    d_out: &mut [Buf],
    more: Option<Buf>,
    d_residual: &mut Buf,
    work: &mut Buf,
    saved: &mut Vec<Buf>,
    gradient: &mut [f32],
) {
    if pass.base.spec().norm == NormPlacement::Post {
        let add = true;
        product_backward(cx, pass, layer, sites, input, d_out, d_residual, add, saved, gradient);
        add_and_give(cx, d_residual, more);
        return;
    }
    product_backward(cx, pass, layer, sites, input, d_out, work, false, saved, gradient);
    add_and_give(cx, work, more);
    for part in pass.parts.iter().rev() {
        let norm = part.acting.norm(layer, sublayer);
        norm.backward(cx, work.view_mut().rows(part.rows.clone()), saved, gradient);
    }
    cx.add(d_residual.view_mut(), work.view());
}

fn add_and_give(cx: &mut Context, d: &mut Buf, more: Option<Buf>) {
    if let Some(more) = more {
        cx.add(d.view_mut(), more.view());
        cx.give(more);
    }
}

/// Through the output site, dropout and layer scale. `d` becomes the gradient of the product's result,
/// `d_residual` that of the sub-layer's input past the product.
fn unfinish(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sublayer: Sublayer,
    d: &mut Buf,
    d_residual: &mut Buf,
    saved: &mut Vec<Buf>,
    gradient: &mut [f32],
) {
    let spec = pass.base.spec();
    for part in pass.parts.iter().rev() {
        let post = spec.norm == NormPlacement::Post;
        let io = OutputBackward {
            d: d.view_mut().rows(part.rows.clone()),
            d_residual: d_residual.view_mut().rows(part.rows.clone()),
            norm: post.then(|| part.acting.norm(layer, sublayer)),
            spans: &part.spans,
            dropout: pass.output_dropout(layer, sublayer),
        };
        let site = part.acting.output(layer, sublayer);
        site.backward(cx, part.acting.params(), io, saved, gradient);
    }
    let place = match sublayer {
        Sublayer::Attention => DropoutPlace::AttentionOut,
        Sublayer::Ffn => DropoutPlace::FfnOut,
    };
    pass.pass_by(cx, layer, place, d);
    cx.dropout(pass.dropout(layer, place, spec.hidden_dropout), d.view_mut());
    for part in pass.parts.iter().rev() {
        let Some((scale, trained)) = part.acting.scale(layer, sublayer) else { continue };
        let mut rows = d.view_mut().rows(part.rows.clone());
        if let Some(slot) = trained {
            let before = pop(saved);
            cx.add_column_dots(before.view(), rows.read(), &mut gradient[slot.clone()]);
            cx.give(before);
        }
        cx.multiply_row(rows.again(), scale);
    }
}

/// Through products of one input, which stand beside each other in `d_y`: writes `d_x`, or adds to it.
fn product_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sites: &[WeightSite],
    x: Option<&Buf>,
    d_y: &mut [Buf],
    d_x: &mut Buf,
    add: bool,
    saved: &mut Vec<Buf>,
    gradient: &mut [f32],
) {
    let base_layer = &pass.base.layers[layer];
    let acts = |p: &super::Part<'_>| sites.iter().any(|&s| p.acting.product(layer, s).is_some());
    let any = pass.parts.iter().any(acts);
    let mut add = add;
    if any && !add {
        let zero = cx.zeros(d_x.rows(), d_x.columns());
        cx.give(std::mem::replace(d_x, zero));
        add = true;
    }
    for part in pass.parts.iter().rev() {
        for (&site, d_y) in sites.iter().zip(d_y.iter_mut()).rev() {
            let Some(method) = part.acting.product(layer, site) else { continue };
            let io = ProductBackward {
                x: x.map(|x| x.view().rows(part.rows.clone())),
                d_y: d_y.view_mut().rows(part.rows.clone()),
                d_x: d_x.view_mut().rows(part.rows.clone()),
                spans: &part.spans,
                dropout: pass.product_dropout(layer, site),
            };
            method.backward(cx, part.acting.params(), io, saved, gradient);
        }
    }
    for (&site, d_y) in sites.iter().zip(d_y.iter()) {
        if !pass.replaced(layer, site) {
            let weight = &base_layer.linear(site).weight;
            cx.linear_backward_input(d_y.view(), weight, d_x.view_mut(), add);
            add = true;
        }
    }
}
