//! Embeddings of texts: words, token types and positions, added and normed.

use budwood_base::encoder::{InputSpec, TextInput};
use budwood_engine::{Buf, Context, Spans};

use super::batch::Tokens;
use super::pass::Pass;
use crate::base::{Embeddings, TextEmbeddings};
use crate::sites::EmbeddingSlots;
use crate::tape::{Grads, Save};

/// The position of each token in its sequence, counted from `offset`.
fn positions(spans: &Spans, offset: usize) -> Vec<u32> {
    let places = spans.iter().flat_map(|rows| 0..rows.len());
    places.map(|i| (i + offset) as u32).collect()
}

fn of<'a>(pass: &Pass<'a>) -> (&'a TextInput, &'a TextEmbeddings) {
    match (&pass.base.spec().input, &pass.base.embeddings) {
        (InputSpec::Text(spec), Embeddings::Text(frozen)) => (spec, frozen),
        _ => panic!("a batch of tokens for an encoder of images"),
    }
}

/// Adds to `x`, which is zero, the embeddings of each token, and norms them.
pub(super) fn embed(
    cx: &mut Context,
    pass: &Pass<'_>,
    tokens: &Tokens,
    x: &mut Buf,
    mut save: Save<'_>,
) {
    let (spec, frozen) = of(pass);
    let positions = positions(&pass.batch.spans, spec.position_offset);
    for part in &pass.parts {
        let at = part.tokens.clone();
        let (words, types) = (&tokens.ids[at.clone()], &tokens.types[at.clone()]);
        let positions = &positions[at.clone()];
        let mut rows = x.view_mut().rows(at);
        match part.acting.embedding_slots() {
            Some((EmbeddingSlots::Text(slots), params)) => {
                cx.add_rows(rows.reborrow(), &params[slots.word.clone()], words);
                if let Some(slot) = &slots.token_type {
                    cx.add_rows(rows.reborrow(), &params[slot.clone()], types);
                }
                cx.add_rows(rows.reborrow(), &params[slots.position.clone()], positions);
            }
            _ => {
                cx.add_table_rows(rows.reborrow(), &frozen.word, words);
                if let Some(table) = &frozen.token_type {
                    cx.add_table_rows(rows.reborrow(), table, types);
                }
                cx.add_table_rows(rows.reborrow(), &frozen.position, positions);
            }
        }
        if let Some(norm) = part.acting.embedding_norm() {
            norm.forward(cx, rows, save.reborrow());
        }
    }
}

/// Adds the gradients of trained tables and norm. `d` is the gradient of what [`embed`] gave.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    tokens: &Tokens,
    d: &mut Buf,
    grads: &mut Grads<'_>,
) {
    let (spec, _) = of(pass);
    for part in pass.parts.iter().rev() {
        let at = part.tokens.clone();
        if let Some(norm) = part.acting.embedding_norm() {
            norm.backward(cx, d.view_mut().rows(at.clone()), grads);
        }
        let Some((EmbeddingSlots::Text(slots), _)) = part.acting.embedding_slots() else {
            continue;
        };
        let d = d.view().rows(at.clone());
        cx.add_rows_backward(d, &tokens.ids[at.clone()], grads.of(&slots.word));
        if let Some(slot) = &slots.token_type {
            cx.add_rows_backward(d, &tokens.types[at.clone()], grads.of(slot));
        }
        let positions = positions(&pass.batch.spans, spec.position_offset);
        cx.add_rows_backward(d, &positions[at], grads.of(&slots.position));
    }
}
