//! Embeddings of images: projected patches after the class token (and DeiT's distillation token,
//! and registers), with positions where there is a table of them.

use std::ops::Range;

use budwood_base::encoder::{ImageInput, InputSpec};
use budwood_engine::{Buf, Context, Product};

use super::batch::Images;
use super::pass::{Part, Pass};
use crate::base::{Embeddings, ImageEmbeddings};
use crate::positions::positions;
use crate::sites::EmbeddingSlots;
use crate::tape::Grads;

fn of<'a>(pass: &Pass<'a>) -> (&'a ImageInput, &'a ImageEmbeddings) {
    match (&pass.base.spec().input, &pass.base.embeddings) {
        (InputSpec::Image(spec), Embeddings::Image(frozen)) => (spec, frozen),
        _ => panic!("a batch of images for an encoder of texts"),
    }
}

/// For each image of a part: the rows of its first tokens, those of its patches, and its patches in
/// the batch.
fn places(
    spec: &ImageInput,
    images: &Images,
    part: &Part<'_>,
) -> impl Iterator<Item = (Range<usize>, Range<usize>, Range<usize>)> + use<> {
    let (tokens, special) = (images.tokens(spec), spec.special_tokens());
    let all = part.tokens.start / tokens..part.tokens.end / tokens;
    all.map(move |i| {
        let (start, n) = (i * tokens, tokens - special);
        (start..start + special, start + special..start + tokens, i * n..(i + 1) * n)
    })
}

/// Adds to `x`, which is zero, the embeddings of each token.
pub(super) fn embed(cx: &mut Context, pass: &Pass<'_>, images: &Images, x: &mut Buf) {
    let (spec, frozen) = of(pass);
    let positions = positions(spec, images.grid);
    let patches = cx.upload(&images.patches, spec.patch_elements());
    let special: Vec<u32> = (0..spec.special_tokens() as u32).collect();
    for part in &pass.parts {
        let (weight, bias, tokens, table) = match part.acting.embedding_slots() {
            Some((EmbeddingSlots::Image(slots), params)) => (
                slots.patch.packed(),
                slots.patch.bias_of(params),
                &params[slots.special.clone()],
                slots.position.clone().map(|slot| &params[slot]),
            ),
            _ => (
                &frozen.patch.weight,
                frozen.patch.bias.as_deref(),
                &frozen.special[..],
                frozen.position.as_deref(),
            ),
        };
        for (first, rows, at) in places(spec, images, part) {
            cx.add_rows(x.view_mut().rows(first.clone()), tokens, &special);
            let out = x.view_mut().rows(rows.clone());
            cx.linear(patches.view().rows(at), &mut [Product { weight, bias, out }]);
            if let Some(table) = table {
                cx.add_mixed_rows(x.view_mut().rows(first.start..rows.end), table, &positions);
            }
        }
    }
    cx.give(patches);
}

/// Adds the gradients of trained embeddings. `d` is the gradient of what [`embed`] gave.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    images: &Images,
    d: &Buf,
    grads: &mut Grads<'_>,
) {
    let (spec, _) = of(pass);
    for part in pass.parts.iter().rev() {
        let Some((EmbeddingSlots::Image(slots), _)) = part.acting.embedding_slots() else {
            continue;
        };
        let positions = positions(spec, images.grid);
        let patches = cx.upload(&images.patches, spec.patch_elements());
        let special: Vec<u32> = (0..spec.special_tokens() as u32).collect();
        for (first, rows, at) in places(spec, images, part) {
            let all = d.view().rows(first.start..rows.end);
            if let Some(slot) = &slots.position {
                cx.add_mixed_rows_backward(all, &positions, grads.of(slot));
            }
            let (x, d_y) = (patches.view().rows(at), d.view().rows(rows));
            slots.patch.add_gradients(cx, x, d_y, grads);
            let d_special = d.view().rows(first);
            cx.add_rows_backward(d_special, &special, grads.of(&slots.special));
        }
        cx.give(patches);
    }
}
