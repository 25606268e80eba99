//! Embeddings of images: projected patches after the class token (and DeiT's distillation token), with positions.

use std::ops::Range;

use budwood_base::encoder::{ImageInput, InputSpec};
use budwood_engine::{Buf, Context, Product};

use super::{Part, Pass};
use crate::adapter::EmbeddingSlots;
use crate::base::{Embeddings, ImageEmbeddings};
use crate::positions::positions;

/// The patches of all images of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// `[images * patches, channels * patch * patch]`, patches in reading order.
    patches: Vec<f32>,
    /// Rows and columns of patches in each image.
    grid: (usize, usize),
}

impl Images {
    /// Cuts images `[channels, height, width]` into patches; also gives the number of images.
    pub(super) fn new<'a>(
        spec: &ImageInput,
        (height, width): (usize, usize),
        images: impl IntoIterator<Item = &'a [f32]>,
    ) -> (Self, usize) {
        let grid = spec.grid(height, width).unwrap_or_else(|e| panic!("{e}"));
        let side = spec.patch;
        let (mut patches, mut n) = (Vec::new(), 0);
        for image in images {
            assert_eq!(image.len(), spec.channels * height * width, "an image of another size");
            for (top, left) in
                (0..grid.0).flat_map(|y| (0..grid.1).map(move |x| (y * side, x * side)))
            {
                for plane in image.chunks_exact(height * width) {
                    let line = |y: usize| &plane[(top + y) * width + left..][..side];
                    (0..side).for_each(|y| patches.extend_from_slice(line(y)));
                }
            }
            n += 1;
        }
        (Self { patches, grid }, n)
    }

    /// Tokens of each image.
    pub(super) fn tokens(&self, spec: &ImageInput) -> usize {
        spec.special_tokens() + self.grid.0 * self.grid.1
    }
}

fn of<'a>(pass: &Pass<'a>) -> (&'a ImageInput, &'a ImageEmbeddings) {
    match (&pass.base.spec().input, &pass.base.embeddings) {
        (InputSpec::Image(spec), Embeddings::Image(frozen)) => (spec, frozen),
        _ => panic!("a batch of images for an encoder of texts"),
    }
}

/// For each image of a part: the rows of its first tokens, those of its patches, and its patches in the batch.
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
                &params[slots.position.clone()],
            ),
            _ => (
                &frozen.patch.weight,
                Some(&frozen.patch.bias[..]),
                &frozen.special[..],
                &frozen.position[..],
            ),
        };
        for (first, rows, at) in places(spec, images, part) {
            cx.add_rows(x.view_mut().rows(first.clone()), tokens, &special);
            let out = x.view_mut().rows(rows.clone());
            cx.linear(patches.view().rows(at), &mut [Product { weight, bias, out }]);
            cx.add_mixed_rows(x.view_mut().rows(first.start..rows.end), table, &positions);
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
    gradient: &mut [f32],
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
            cx.add_mixed_rows_backward(all, &positions, &mut gradient[slots.position.clone()]);
            let (x, d_y) = (patches.view().rows(at), d.view().rows(rows));
            slots.patch.add_gradients(cx, x, d_y, gradient);
            let d_special = d.view().rows(first);
            cx.add_rows_backward(d_special, &special, &mut gradient[slots.special.clone()]);
        }
        cx.give(patches);
    }
}
