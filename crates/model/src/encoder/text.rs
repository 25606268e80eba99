//! Embeddings of texts: words, token types and positions, added and normed.

use budwood_base::encoder::{InputSpec, TextInput};
use budwood_engine::{Buf, Context, Spans};

use super::Pass;
use crate::adapter::EmbeddingSlots;
use crate::base::{Embeddings, TextEmbeddings};

/// The tokens of all sequences of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    ids: Vec<u32>,
    types: Vec<u32>,
}

impl Tokens {
    /// Sequences given as `(ids, types)`, and their lengths.
    pub(super) fn new<'a>(
        sequences: impl IntoIterator<Item = (&'a [u32], &'a [u32])>,
    ) -> (Self, Vec<usize>) {
        let (mut ids, mut types, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for (i, t) in sequences {
            assert_eq!(i.len(), t.len(), "a type for each token");
            ids.extend_from_slice(i);
            types.extend_from_slice(t);
            lengths.push(i.len());
        }
        (Self { ids, types }, lengths)
    }
}

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
    mut saved: Option<&mut Vec<Buf>>,
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
                cx.add_rows(rows.again(), &params[slots.word.clone()], words);
                if let Some(slot) = &slots.token_type {
                    cx.add_rows(rows.again(), &params[slot.clone()], types);
                }
                cx.add_rows(rows.again(), &params[slots.position.clone()], positions);
            }
            _ => {
                cx.add_table_rows(rows.again(), &frozen.word, words);
                if let Some(table) = &frozen.token_type {
                    cx.add_table_rows(rows.again(), table, types);
                }
                cx.add_table_rows(rows.again(), &frozen.position, positions);
            }
        }
        if let Some(norm) = part.acting.embedding_norm() {
            norm.forward(cx, rows, saved.as_deref_mut());
        }
    }
}

/// Adds the gradients of trained tables and norm. `d` is the gradient of what [`embed`] gave.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    tokens: &Tokens,
    d: &mut Buf,
    saved: &mut Vec<Buf>,
    gradient: &mut [f32],
) {
    let (spec, _) = of(pass);
    for part in pass.parts.iter().rev() {
        let at = part.tokens.clone();
        if let Some(norm) = part.acting.embedding_norm() {
            norm.backward(cx, d.view_mut().rows(at.clone()), saved, gradient);
        }
        let Some((EmbeddingSlots::Text(slots), _)) = part.acting.embedding_slots() else {
            continue;
        };
        let d = d.view().rows(at.clone());
        cx.add_rows_backward(d, &tokens.ids[at.clone()], &mut gradient[slots.word.clone()]);
        if let Some(slot) = &slots.token_type {
            cx.add_rows_backward(d, &tokens.types[at.clone()], &mut gradient[slot.clone()]);
        }
        let positions = positions(&pass.batch.spans, spec.position_offset);
        cx.add_rows_backward(d, &positions[at], &mut gradient[slots.position.clone()]);
    }
}
