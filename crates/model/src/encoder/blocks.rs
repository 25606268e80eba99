//! A layer of one long sequence in blocks of rows, where nothing is kept for backward.
//!
//! ```text
//! T rows, b of a block; x is the layer's input and becomes its output
//!
//! for each block    x[b] -> norm -> K, V                                          k, v  [T, d]
//! for each block    x[b] -> norm -> Q -> attention to k, v -> out, site           y     [b, d]
//!                   y    -> feed-forward network, site                            x[b]  [b, d]
//! ```
//!
//! Three matrices of all rows are held, where a layer as a whole holds seven. Only keys and values
//! need all rows; every other row of the layer is a function of the row below it, and is the same
//! to the bit in any block.

use std::slice::from_mut;

use budwood_base::site::{Sublayer, WeightSite};
use budwood_engine::{Buf, Context, Turn, View};

use super::attention::{attention, turn};
use super::ffn;
use super::pass::{At, Part};
use super::products::Products;
use super::relative::{self, Bias};
use super::sublayer::{input_forward, output_forward};
use crate::tape::Save;

/// Rows of a block: whole tiles of attention, and enough of them to share what is packed of keys.
const BLOCK: usize = 504;

/// Whether a layer of so many rows goes in blocks: one sequence, long enough for smaller products
/// to cost nothing, nothing random, no places in two dimensions, and nothing that reads several of
/// its rows but attention without a prefix.
pub(super) fn fit(at: At<'_>, rows: usize) -> bool {
    let pass = at.pass;
    let [Part { acting, .. }] = &pass.parts[..] else { return false };
    rows > 2 * BLOCK
        && pass.spans.len() == 1
        && pass.dropout.is_none()
        && pass.patches.is_none()
        && acting.prefix_columns(at.layer).is_none()
        && !acting.reads_sequences(at.layer, &WeightSite::ALL)
}

/// The layer's output, of a layer that [`fit`]s. `x` is its input and is consumed.
pub(super) fn forward(cx: &mut Context, at: At<'_>, mut x: Buf) -> Buf {
    let (rows, spec) = (x.rows(), at.pass.base.spec());
    // Idle threads share the heads of a block: where there are more of them, it is longer.
    let most = BLOCK * (1 + 2 * (cx.threads() / spec.heads));
    let size = rows.div_ceil(rows.div_ceil(most));
    let blocks = (0..rows).step_by(size).map(|start| start..rows.min(start + size));
    let [mut k, mut v] = [cx.take(rows, spec.hidden), cx.take(rows, spec.hidden)];
    for rows in blocks.clone() {
        let pass = at.pass.of_rows(rows.len());
        let at = At { pass: &pass, ..at };
        let sites = &[WeightSite::Key, WeightSite::Value];
        let mut own = products(cx, at, sites, x.view().rows(rows.clone()));
        turn(cx, at, &mut own[..1], rows.start, Turn::Forward);
        for (own, all) in own.into_iter().zip([&mut k, &mut v]) {
            cx.assign(all.view_mut().rows(rows.clone()), own.view());
            cx.give(own);
        }
    }
    let group = relative::whole(at);
    let made = relative::make(cx, at, &group, Save::nothing());
    let bias = Bias::new(at, &group, &made);
    let attention = attention(at, &bias);
    // Queries of the rows that go on: all, or the first.
    let ending = at.past_attention().pass.spans.rows();
    for block in blocks.map(|b| b.start..b.end.min(ending)).take_while(|b| !b.is_empty()) {
        let pass = at.pass.of_rows(block.len());
        let at = At { pass: &pass, ..at };
        let own = x.view().rows(block.clone());
        let [mut q] = products(cx, at, &[WeightSite::Query], own);
        turn(cx, at, from_mut(&mut q), block.start, Turn::Forward);
        let mut context = cx.take(block.len(), spec.hidden);
        let (qkv, places) = ([q.view(), k.view(), v.view()], (block.clone(), rows));
        cx.attention_of_rows(&attention, qkv, places, context.view_mut());
        // What the heads gave becomes that of the last product, in the place of the queries.
        let sites = &[WeightSite::AttentionOut];
        Products { at, sites }.forward(cx, context.view(), from_mut(&mut q), Save::nothing());
        cx.give(context);
        output_forward(cx, at, Sublayer::Attention, &mut q, own, Save::nothing());
        let y = ffn::forward(cx, at, q);
        cx.assign(x.view_mut().rows(block), y.view());
        cx.give(y);
    }
    drop(bias);
    made.free(cx);
    [k, v].into_iter().for_each(|buffer| cx.give(buffer));
    if ending < rows {
        let firsts = cx.copy(x.view().rows(0..ending));
        cx.give(std::mem::replace(&mut x, firsts));
    }
    x
}

/// Products of attention's input: of these rows through their norm.
fn products<const N: usize>(
    cx: &mut Context,
    at: At<'_>,
    sites: &[WeightSite; N],
    x: View<'_>,
) -> [Buf; N] {
    let normed = input_forward(cx, at, Sublayer::Attention, x, Save::nothing());
    let mut out = [(); N].map(|()| cx.take(x.n_rows(), at.pass.base.spec().hidden));
    let input = normed.as_ref().map_or(x, Buf::view);
    Products { at, sites }.forward(cx, input, &mut out, Save::nothing());
    normed.into_iter().for_each(|normed| cx.give(normed));
    out
}
