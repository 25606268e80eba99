//! All layers: from tokens or pixels to the last hidden states, and from their gradient to the
//! gradients of what is trained.

use budwood_engine::{Buf, Context, Precision};

use super::batch::Input;
use super::kept::{KeptLayer, Prefixes, Tape};
use super::pass::{At, DropoutPlace, Pass};
use super::prefixes::{self, PrefixGradient};
use super::{image, layer, prompt, text};
use crate::sites::Depth;
use crate::tape::{Grads, Save};

/// Hidden states `[T, d]` after the last layer (and the final norm of pre-norm encoders), of the
/// rows of [`Pass::ending`]. With `tape`, saves what [`backward`] needs to reach `depth`.
pub(crate) fn forward(
    cx: &mut Context,
    pass: &Pass<'_>,
    depth: Depth,
    mut tape: Option<&mut Tape>,
) -> Buf {
    let to_embeddings = depth == Depth::Embeddings;
    let saved = tape.as_deref_mut().filter(|_| to_embeddings).map(|t| &mut t.embeddings);
    let (first, mut x) = match &pass.batch.input {
        Input::States(states) => (states.layers, cx.upload(&states.rows, pass.base.spec().hidden)),
        _ => (0, embed(cx, pass, Save::on_any(saved))),
    };
    let lowest = match depth {
        Depth::Embeddings => 0,
        Depth::Layer(layer) => layer,
        Depth::Head => usize::MAX,
    };
    let prefixes = prefixes::make(cx, pass, tape.is_some());
    for layer in first..pass.base.spec().layers {
        let at = At { pass, layer };
        x = match tape.as_deref_mut().filter(|_| layer >= lowest) {
            Some(tape) => kept_forward(cx, at, x, &prefixes, tape),
            None => layer::forward(cx, at, x, &prefixes),
        };
    }
    match tape.as_deref_mut() {
        Some(tape) => tape.prefixes = prefixes,
        None => prefixes.free(cx),
    }
    let end = tape.filter(|_| depth != Depth::Head).map(|tape| &mut tape.end);
    let mut save = Save::on_any(end);
    for part in &pass.ending().parts {
        if let Some(norm) = part.acting.final_norm() {
            norm.forward(cx, x.view_mut().rows(part.rows.clone()), save.reborrow());
        }
    }
    x
}

/// Rows of a chunk from which on its tape takes more memory than the weights of most models. Chunks
/// of several sequences have fewer: to them the caches matter more.
const LONG: usize = 1024;

/// Whether a layer's tape rests in bf16 until backward comes.
fn rests_narrow(pass: &Pass<'_>) -> bool {
    pass.base.precision() == Precision::Int8 && pass.spans.rows() > LONG
}

/// Whether the next layer keeps its input alone: the tapes of a long chunk may take a third of
/// the memory of the layers' weights.
fn is_made_again(pass: &Pass<'_>, tape: &mut Tape) -> bool {
    if pass.base.precision() != Precision::F32 || pass.spans.rows() <= LONG {
        return false;
    }
    3 * tape.elements_with_another() > pass.base.spec().multiplications()
}

/// One layer's output. What backward needs goes on the tape.
fn kept_forward(cx: &mut Context, at: At<'_>, x: Buf, prefixes: &Prefixes, tape: &mut Tape) -> Buf {
    if is_made_again(at.pass, tape) {
        tape.layers.push(KeptLayer::Input(cx.copy(x.view())));
        return layer::forward(cx, at, x, prefixes);
    }
    let (y, mut kept) = layer::forward_kept(cx, at, x, prefixes);
    if rests_narrow(at.pass) {
        kept.narrow(cx);
    }
    tape.layers.push(KeptLayer::Whole(Box::new(kept)));
    y
}

/// Hidden states `[T, d]` after the lowest `layers` layers, of a pass without prefixes.
pub(crate) fn lowest(cx: &mut Context, pass: &Pass<'_>, layers: usize) -> Buf {
    let none = Prefixes::default();
    let x = embed(cx, pass, Save::nothing());
    (0..layers).fold(x, |x, layer| layer::forward(cx, At { pass, layer }, x, &none))
}

/// The embedded input with its norm, dropout and prompts.
fn embed(cx: &mut Context, pass: &Pass<'_>, mut save: Save<'_>) -> Buf {
    let spec = pass.base.spec();
    let mut x = cx.zeros(pass.batch.tokens(), spec.embedding_width());
    match &pass.batch.input {
        Input::Tokens(tokens) => text::embed(cx, pass, tokens, &mut x),
        Input::Images(images) => image::embed(cx, pass, images, &mut x),
        Input::States(_) => panic!("hidden states are past the embeddings"),
    }
    for part in &pass.parts {
        let Some(norm) = part.acting.embedding_norm() else { continue };
        norm.forward(cx, x.view_mut().rows(part.tokens.clone()), save.reborrow());
    }
    cx.dropout(pass.dropout(0, DropoutPlace::Embeddings, spec.hidden_dropout), x.view_mut());
    let x = text::widen(cx, pass, x, save.reborrow());
    prompt::insert(cx, pass, x, save)
}

/// Adds the gradients of all trained parameters below the head to `gradient`. `d` is the gradient
/// of the hidden states. For a pass of one segment with an adapter.
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
    for part in pass.ending().parts.iter().rev() {
        if let Some(norm) = part.acting.final_norm() {
            let rows = d.view_mut().rows(part.rows.clone());
            norm.backward(cx, rows, &mut Grads { saved: &mut tape.end, gradient });
        }
    }
    d = layers_backward(cx, pass, depth, d, &mut tape, gradient);
    if depth == Depth::Embeddings {
        d = embed_backward(cx, pass, d, &mut tape.embeddings, gradient);
    }
    cx.give(d);
    tape.free(cx);
}

/// Through the layers from the last to the lowest that is trained, and into the prefixes.
fn layers_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    depth: Depth,
    mut d: Buf,
    tape: &mut Tape,
    gradient: &mut [f32],
) -> Buf {
    let acting = &pass.parts[0].acting;
    let rows = tape.prefixes.rows.first().and_then(Option::as_ref);
    let mut d_prefix = rows.map(|rows| cx.zeros(rows.rows(), rows.columns()));
    for layer in (0..pass.base.spec().layers).rev() {
        let Some(kept) = tape.layers.pop() else { break };
        let at = At { pass, layer };
        let kept = match kept {
            KeptLayer::Whole(mut kept) => {
                if rests_narrow(pass) {
                    kept.widen(cx);
                }
                *kept
            }
            KeptLayer::Input(x) => {
                let (y, kept) = layer::forward_kept(cx, at, x, &tape.prefixes);
                cx.give(y);
                kept
            }
        };
        let is_lowest = depth == Depth::Layer(layer);
        let lowest = acting.trained_in(layer).filter(|_| is_lowest);
        let prefix = PrefixGradient { made: &tape.prefixes, d: d_prefix.as_mut() };
        d = layer::backward(cx, at, d, kept, lowest, prefix, gradient);
    }
    if let (Some(prefix), Some(d_prefix)) = (acting.prefix(), d_prefix) {
        let saved = &mut tape.prefixes.saved;
        prefix.backward(cx, d_prefix, &mut Grads { saved, gradient });
    }
    d
}

/// Through prompts, dropout and norm into trained embeddings. Returns a buffer to give back.
fn embed_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    d: Buf,
    saved: &mut Vec<Buf>,
    gradient: &mut [f32],
) -> Buf {
    let mut grads = Grads { saved, gradient };
    let d = prompt::remove(cx, pass, d, &mut grads);
    let mut d = text::widen_backward(cx, pass, d, &mut grads);
    let p = pass.base.spec().hidden_dropout;
    cx.dropout(pass.dropout(0, DropoutPlace::Embeddings, p), d.view_mut());
    for part in pass.parts.iter().rev() {
        let Some(norm) = part.acting.embedding_norm() else { continue };
        norm.backward(cx, d.view_mut().rows(part.tokens.clone()), &mut grads);
    }
    match &pass.batch.input {
        Input::Tokens(tokens) => text::backward(cx, pass, tokens, &d, &mut grads),
        Input::Images(images) => image::backward(cx, pass, images, &d, &mut grads),
        Input::States(_) => panic!("hidden states do not lead to the embeddings"),
    }
    d
}
