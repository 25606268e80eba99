//! From tokens or pixels to the last hidden states.

use budwood_base::encoder::NormPlacement;
use budwood_engine::{Buf, Context, Product, View};

use super::{DropoutPlace, Input, LayerTape, Part, Pass, Prefixes, Tape};
use super::{attention, image, prompt, text};
use crate::site::{OutputForward, ProductForward};
use crate::{Depth, Sublayer, WeightSite};

/// Hidden states `[T, d]` after the last layer (and the final norm of pre-norm encoders). With `tape`,
/// saves what [`super::backward`] needs to reach `depth`.
pub(crate) fn forward(
    cx: &mut Context,
    pass: &Pass<'_>,
    depth: Depth,
    mut tape: Option<&mut Tape>,
) -> Buf {
    let save_embeddings = depth == Depth::Embeddings;
    let embeddings_saved =
        tape.as_deref_mut().filter(|_| save_embeddings).map(|t| &mut t.embeddings);
    let (first, mut x) = match &pass.batch.input {
        Input::States(states) => (states.layers, cx.upload(&states.rows, pass.base.spec().hidden)),
        _ => (0, embed(cx, pass, embeddings_saved)),
    };
    let lowest = match depth {
        Depth::Embeddings => 0,
        Depth::Layer(layer) => layer,
        Depth::Head => usize::MAX,
    };
    let prefixes = prefixes(cx, pass, tape.is_some());
    for layer in first..pass.base.layers.len() {
        match tape.as_deref_mut().filter(|_| layer >= lowest) {
            Some(tape) => {
                let (y, saved) = layer_forward(cx, pass, layer, x, &prefixes, true);
                tape.layers.extend(saved);
                x = y;
            }
            None => x = layer_forward(cx, pass, layer, x, &prefixes, false).0,
        }
    }
    match tape.as_deref_mut() {
        Some(tape) => tape.prefixes = prefixes,
        None => prefixes.free(cx),
    }
    let mut end = tape.filter(|_| depth != Depth::Head).map(|tape| &mut tape.end);
    for part in &pass.parts {
        if let Some(norm) = part.acting.final_norm() {
            norm.forward(cx, x.view_mut().rows(part.rows.clone()), end.as_deref_mut());
        }
    }
    x
}

/// Hidden states `[T, d]` after the lowest `layers` layers, of a pass without prefixes.
pub(crate) fn lowest(cx: &mut Context, pass: &Pass<'_>, layers: usize) -> Buf {
    let none = Prefixes::default();
    let x = embed(cx, pass, None);
    (0..layers).fold(x, |x, layer| layer_forward(cx, pass, layer, x, &none, false).0)
}

/// What the prefixes of all parts put before the sequences' keys and values.
fn prefixes(cx: &mut Context, pass: &Pass<'_>, save: bool) -> Prefixes {
    let mut saved = Vec::new();
    let make = |part: &Part<'_>| {
        let (prefix, params) = (part.acting.prefix()?, part.acting.params());
        Some(prefix.rows(cx, params, save.then_some(&mut saved)))
    };
    let rows = pass.parts.iter().map(make).collect();
    Prefixes { rows, saved }
}

/// The embedded input with dropout and prompts.
fn embed(cx: &mut Context, pass: &Pass<'_>, saved: Option<&mut Vec<Buf>>) -> Buf {
    let spec = pass.base.spec();
    let mut x = cx.zeros(pass.batch.tokens(), spec.hidden);
    match &pass.batch.input {
        Input::Tokens(tokens) => text::embed(cx, pass, tokens, &mut x, saved),
        Input::Images(images) => image::embed(cx, pass, images, &mut x),
        Input::States(_) => panic!("hidden states are past the embeddings"),
    }
    cx.dropout(pass.dropout(0, DropoutPlace::Embeddings, spec.hidden_dropout), x.view_mut());
    prompt::insert(cx, pass, x)
}

/// One layer. `x` is its input and is consumed.
fn layer_forward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    x: Buf,
    prefixes: &Prefixes,
    save: bool,
) -> (Buf, Option<LayerTape>) {
    let mut saved = save.then(Vec::new);
    let spec = pass.base.spec();
    let (rows, d) = (x.rows(), spec.hidden);

    let normed = pre_norm(cx, pass, layer, Sublayer::Attention, &x, saved.as_mut());
    let input = normed.as_ref().unwrap_or(&x);
    let mut qkv = [cx.take(rows, d), cx.take(rows, d), cx.take(rows, d)];
    let three = [WeightSite::Query, WeightSite::Key, WeightSite::Value];
    products(cx, pass, layer, &three, input.view(), &mut qkv, saved.as_mut());
    let gates = attention::prefix_gates(cx, pass, layer, input.view(), save);
    let (context, probabilities) = attention::forward(cx, pass, layer, &qkv, prefixes, &gates);

    let mut h = [cx.take(rows, d)];
    let out = [WeightSite::AttentionOut];
    products(cx, pass, layer, &out, context.view(), &mut h, saved.as_mut());
    let [mut h] = h;
    finish(cx, pass, layer, Sublayer::Attention, &mut h, &x, saved.as_mut());
    let input = given_or(cx, normed, x);
    let attention_in = keep(cx, pass, layer, save, &three, input);
    let y = h;

    let normed = pre_norm(cx, pass, layer, Sublayer::Ffn, &y, saved.as_mut());
    let input = normed.as_ref().unwrap_or(&y);
    let mut pre = [cx.take(rows, spec.intermediate)];
    let ffn_in_site = [WeightSite::FfnIn];
    products(cx, pass, layer, &ffn_in_site, input.view(), &mut pre, saved.as_mut());
    let [pre] = pre;
    let mut active = cx.take(rows, spec.intermediate);
    cx.activation(pass.base.activation(), pre.view(), active.view_mut());
    // The context's buffer is free now and has the size of the output.
    let keep_context = save && pass.needs_input(layer, &out);
    let (context, h) =
        if keep_context { (Some(context), cx.take(rows, d)) } else { (None, context) };
    let mut h = [h];
    let ffn_out_site = [WeightSite::FfnOut];
    products(cx, pass, layer, &ffn_out_site, active.view(), &mut h, saved.as_mut());
    let [mut h] = h;
    finish(cx, pass, layer, Sublayer::Ffn, &mut h, &y, saved.as_mut());
    let input = given_or(cx, normed, y);
    let ffn_in = keep(cx, pass, layer, save, &ffn_in_site, input);
    let ffn_active = keep(cx, pass, layer, save, &ffn_out_site, active);
    match saved {
        Some(saved) => {
            let tape = LayerTape {
                qkv,
                probabilities,
                gates,
                ffn_pre: pre,
                attention_in,
                context,
                ffn_in,
                ffn_active,
                saved,
            };
            (h, Some(tape))
        }
        None => {
            qkv.into_iter().chain([probabilities, pre]).for_each(|buffer| cx.give(buffer));
            gates.free(cx);
            (h, None)
        }
    }
}

/// The normed input where there is one, else the input itself; the other is given back.
fn given_or(cx: &mut Context, normed: Option<Buf>, x: Buf) -> Buf {
    match normed {
        Some(normed) => {
            cx.give(x);
            normed
        }
        None => x,
    }
}

/// The buffer, if a method's gradient at these products needs it.
fn keep(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    save: bool,
    sites: &[WeightSite],
    buffer: Buf,
) -> Option<Buf> {
    if save && pass.needs_input(layer, sites) {
        return Some(buffer);
    }
    cx.give(buffer);
    None
}

/// The normed input of a sub-layer in pre-norm encoders.
fn pre_norm(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sublayer: Sublayer,
    x: &Buf,
    mut saved: Option<&mut Vec<Buf>>,
) -> Option<Buf> {
    if pass.base.spec().norm == NormPlacement::Post {
        return None;
    }
    let mut normed = cx.copy(x.view());
    for part in &pass.parts {
        let norm = part.acting.norm(layer, sublayer);
        norm.forward(cx, normed.view_mut().rows(part.rows.clone()), saved.as_deref_mut());
    }
    Some(normed)
}

/// Products of one input, each into its own buffer, with what methods do at them.
fn products(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sites: &[WeightSite],
    x: View<'_>,
    out: &mut [Buf],
    mut saved: Option<&mut Vec<Buf>>,
) {
    let base_layer = &pass.base.layers[layer];
    let mut shared = Vec::with_capacity(sites.len());
    for (&site, out) in sites.iter().zip(out.iter_mut()) {
        let linear = base_layer.linear(site);
        if !pass.replaced(layer, site) {
            let (weight, bias) = (&linear.weight, Some(&linear.bias[..]));
            shared.push(Product { weight, bias, out: out.view_mut() });
        }
    }
    if !shared.is_empty() {
        cx.linear(x, &mut shared);
    }
    drop(shared);
    for part in &pass.parts {
        for (&site, out) in sites.iter().zip(out.iter_mut()) {
            let Some(method) = part.acting.product(layer, site) else { continue };
            let io = ProductForward {
                base: base_layer.linear(site),
                x: x.rows(part.rows.clone()),
                y: out.view_mut().rows(part.rows.clone()),
                spans: &part.spans,
                dropout: pass.product_dropout(layer, site),
            };
            method.forward(cx, part.acting.params(), io, saved.as_deref_mut());
        }
    }
}

/// Dropout, layer scale and the output site: `h` becomes the sub-layer's result.
fn finish(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    sublayer: Sublayer,
    h: &mut Buf,
    residual: &Buf,
    mut saved: Option<&mut Vec<Buf>>,
) {
    let spec = pass.base.spec();
    let place = match sublayer {
        Sublayer::Attention => DropoutPlace::AttentionOut,
        Sublayer::Ffn => DropoutPlace::FfnOut,
    };
    for part in &pass.parts {
        let Some((scale, trained)) = part.acting.scale(layer, sublayer) else { continue };
        let mut rows = h.view_mut().rows(part.rows.clone());
        if let (Some(_), Some(saved)) = (trained, saved.as_deref_mut()) {
            saved.push(cx.copy(rows.read()));
        }
        cx.multiply_row(rows.again(), scale);
    }
    cx.dropout(pass.dropout(layer, place, spec.hidden_dropout), h.view_mut());
    pass.pass_by(cx, layer, place, h);
    for part in &pass.parts {
        let post = spec.norm == NormPlacement::Post;
        let io = OutputForward {
            out: h.view_mut().rows(part.rows.clone()),
            residual: residual.view().rows(part.rows.clone()),
            norm: post.then(|| part.acting.norm(layer, sublayer)),
            spans: &part.spans,
            dropout: pass.output_dropout(layer, sublayer),
        };
        let site = part.acting.output(layer, sublayer);
        site.forward(cx, part.acting.params(), io, saved.as_deref_mut());
    }
}
