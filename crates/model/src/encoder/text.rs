//! Embeddings of texts: words, token types and positions, added, and the product that makes the
//! hidden width of narrower ones.

use budwood_base::encoder::{InputSpec, TextInput};
use budwood_engine::{Buf, Context, Product};

use super::batch::Tokens;
use super::pass::{Part, Pass};
use crate::base::{Embeddings, TextEmbeddings};
use crate::linear::TrainedLinear;
use crate::sites::{EmbeddingSlots, Prompt};
use crate::tape::{Grads, Save};

/// The position of each token of a part, whose ids these are, counted from the first and what
/// stands before its texts. Where positions begin after the padding's, that stands for padding
/// in a text, which is not counted.
fn positions(part: &Part<'_>, ids: &[u32], spec: &TextInput) -> Vec<u32> {
    let before = part.acting.positions_before();
    let first = (spec.position_offset + before) as u32;
    let padding = spec.position_padding().filter(|_| before == 0);
    let mut positions = Vec::with_capacity(ids.len());
    for rows in part.token_spans().iter() {
        let mut next = first;
        for &id in &ids[rows] {
            let is_padding = padding == Some(id);
            positions.push(if is_padding { id } else { next });
            next += u32::from(!is_padding);
        }
    }
    positions
}

fn of<'a>(pass: &Pass<'a>) -> (&'a TextInput, &'a TextEmbeddings) {
    match (&pass.base.spec().input, &pass.base.embeddings) {
        (InputSpec::Text(spec), Embeddings::Text(frozen)) => (spec, frozen),
        _ => panic!("a batch of tokens for an encoder of images"),
    }
}

/// Adds to `x`, which is zero, the embeddings of each token.
pub(super) fn embed(cx: &mut Context, pass: &Pass<'_>, tokens: &Tokens, x: &mut Buf) {
    let (spec, frozen) = of(pass);
    for part in &pass.parts {
        let at = part.tokens.clone();
        let (words, types) = (&tokens.ids[at.clone()], &tokens.types[at.clone()]);
        let positions = &positions(part, words, spec)[..];
        let mut rows = x.view_mut().rows(at);
        match part.acting.embedding_slots() {
            Some((EmbeddingSlots::Text(slots), params)) => {
                cx.add_rows(rows.reborrow(), &params[slots.word.clone()], words);
                if let Some(slot) = &slots.token_type {
                    cx.add_rows(rows.reborrow(), &params[slot.clone()], types);
                }
                if let Some(slot) = &slots.position {
                    cx.add_rows(rows.reborrow(), &params[slot.clone()], positions);
                }
            }
            _ => {
                cx.add_table_rows(rows.reborrow(), &frozen.word, words);
                if let Some(table) = &frozen.token_type {
                    cx.add_table_rows(rows.reborrow(), table, types);
                }
                if let Some(table) = &frozen.position {
                    cx.add_table_rows(rows.reborrow(), table, positions);
                }
            }
        }
    }
}

/// Adds the gradients of trained tables. `d` is the gradient of what [`embed`] gave.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    tokens: &Tokens,
    d: &Buf,
    grads: &mut Grads<'_>,
) {
    let (spec, _) = of(pass);
    for part in pass.parts.iter().rev() {
        let at = part.tokens.clone();
        let Some((EmbeddingSlots::Text(slots), _)) = part.acting.embedding_slots() else {
            continue;
        };
        let d = d.view().rows(at.clone());
        cx.add_rows_backward(d, &tokens.ids[at.clone()], grads.of(&slots.word));
        if let Some(slot) = &slots.token_type {
            cx.add_rows_backward(d, &tokens.types[at.clone()], grads.of(slot));
        }
        if let Some(slot) = &slots.position {
            let positions = positions(part, &tokens.ids[at.clone()], spec);
            cx.add_rows_backward(d, &positions, grads.of(slot));
        }
    }
}

/// The rows `[length, d]` that the frozen embeddings make of a prompt's vectors, which stand where
/// words do before a text. Without dropout: the vectors are few, and all of them are trained.
pub(super) fn embed_prompt(
    cx: &mut Context,
    pass: &Pass<'_>,
    part: &Part<'_>,
    prompt: &Prompt,
    save: Save<'_>,
) -> Buf {
    let (spec, frozen) = of(pass);
    let mut x = cx.zeros(prompt.length, pass.base.spec().embedding_width());
    cx.add_rows(x.view_mut(), &part.acting.params()[prompt.slot.clone()], &prompt.numbers);
    if let Some(table) = &frozen.token_type {
        cx.add_table_rows(x.view_mut(), table, &vec![0; prompt.length]);
    }
    if let Some(table) = &frozen.position {
        let first = spec.position_offset as u32;
        let positions: Vec<u32> = prompt.numbers.iter().map(|i| i + first).collect();
        cx.add_table_rows(x.view_mut(), table, &positions);
    }
    if let Some(norm) = part.acting.embedding_norm() {
        norm.forward(cx, x.view_mut(), save);
    }
    let Some(projection) = &frozen.projection else { return x };
    let mut y = cx.take(x.rows(), projection.weight.outputs());
    let (weight, bias) = (&projection.weight, projection.bias.as_deref());
    cx.linear(x.view(), &mut [Product { weight, bias, out: y.view_mut() }]);
    cx.give(x);
    y
}

/// Adds the gradient of a prompt's vectors. `d` is that of what [`embed_prompt`] gave, and is
/// consumed.
pub(super) fn embed_prompt_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    part: &Part<'_>,
    prompt: &Prompt,
    mut d: Buf,
    grads: &mut Grads<'_>,
) {
    let (_, frozen) = of(pass);
    if let Some(projection) = &frozen.projection {
        let mut d_x = cx.take(d.rows(), projection.weight.inputs());
        cx.linear_backward_input(d.view(), &projection.weight, d_x.view_mut(), false);
        cx.give(std::mem::replace(&mut d, d_x));
    }
    if let Some(norm) = part.acting.embedding_norm() {
        norm.backward(cx, d.view_mut(), grads);
    }
    cx.add_rows_backward(d.view(), &prompt.numbers, grads.of(&prompt.slot));
    cx.give(d);
}

/// A part's product that makes the hidden width, where the adapter trains it.
fn trained_projection<'a>(part: &Part<'a>) -> Option<(&'a TrainedLinear, &'a [f32])> {
    match part.acting.embedding_slots()? {
        (EmbeddingSlots::Text(slots), params) => Some((slots.projection.as_ref()?, params)),
        (EmbeddingSlots::Image(_), _) => None,
    }
}

/// The embeddings `[T, d]` of narrower ones. Consumes `x`.
pub(super) fn widen(cx: &mut Context, pass: &Pass<'_>, x: Buf, mut save: Save<'_>) -> Buf {
    let Embeddings::Text(TextEmbeddings { projection: Some(frozen), .. }) = &pass.base.embeddings
    else {
        return x;
    };
    let mut y = cx.take(x.rows(), frozen.weight.outputs());
    for part in &pass.parts {
        let (weight, bias) = match trained_projection(part) {
            Some((trained, params)) => (trained.packed(), trained.bias_of(params)),
            None => (&frozen.weight, frozen.bias.as_deref()),
        };
        let out = y.view_mut().rows(part.tokens.clone());
        cx.linear(x.view().rows(part.tokens.clone()), &mut [Product { weight, bias, out }]);
    }
    save.push(cx, x);
    y
}

/// The gradient of what [`widen`] read; adds those of a trained product. Consumes `d`.
pub(super) fn widen_backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    d: Buf,
    grads: &mut Grads<'_>,
) -> Buf {
    let Embeddings::Text(TextEmbeddings { projection: Some(frozen), .. }) = &pass.base.embeddings
    else {
        return d;
    };
    let x = grads.pop();
    let mut d_x = cx.take(x.rows(), x.columns());
    for part in &pass.parts {
        let rows = part.tokens.clone();
        let d_y = d.view().rows(rows.clone());
        let weight = match trained_projection(part) {
            Some((trained, _)) => {
                trained.add_gradients(cx, x.view().rows(rows.clone()), d_y, grads);
                trained.packed()
            }
            None => &frozen.weight,
        };
        cx.linear_backward_input(d_y, weight, d_x.view_mut().rows(rows), false);
    }
    cx.give(x);
    cx.give(d);
    d_x
}
