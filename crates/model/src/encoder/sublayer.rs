//! What both halves of a layer have around their products: the norm before them (pre-norm
//! encoders), and after them layer scale, dropout, stochastic depth, the residual sum and the norm
//! (post-norm encoders).
//!
//! ```text
//! x ──┬─ input_forward: norm ── products ── output_forward: scale, dropout, drop path ── site ── y
//!     └────────────────────────────── residual ─────────────────────────────────────────┘
//! ```
//! The site makes y = norm(h + x), or h + x in pre-norm encoders, and what a method adds.

use budwood_base::encoder::NormPlacement;
use budwood_base::site::Sublayer;
use budwood_engine::{Buf, Context, View};

use super::kept::KeptInput;
use super::pass::{At, DropoutPlace};
use super::products::{Into, Products};
use crate::site::{OutputBackward, OutputForward};
use crate::tape::{Grads, Save};

/// The two gradients on their way down through a sub-layer, both `[T, d]`.
pub(super) struct Flow {
    /// Of what the step at hand gave: first of the sub-layer's result, last of its input.
    pub(super) d: Buf,
    /// Of the sub-layer's input along the residual.
    pub(super) residual: Buf,
}

/// The gradient of the products' results, and what they read.
pub(super) struct InputGradients<'a> {
    pub(super) products: Products<'a>,
    pub(super) x: &'a KeptInput,
    pub(super) d_y: &'a mut [Buf],
    /// A gradient of `x` that came another way.
    pub(super) more: Option<Buf>,
}

/// Whether a sub-layer's products read its input through a norm.
fn has_norm_before(at: At<'_>, sublayer: Sublayer) -> bool {
    let spec = at.pass.base.spec();
    spec.norm == NormPlacement::Pre && spec.has_norm(at.layer, sublayer)
}

/// The normed input of a sub-layer, where products read it through a norm.
pub(super) fn input_forward(
    cx: &mut Context,
    at: At<'_>,
    sublayer: Sublayer,
    x: View<'_>,
    mut save: Save<'_>,
) -> Option<Buf> {
    if !has_norm_before(at, sublayer) {
        return None;
    }
    let mut normed = cx.copy(x);
    for part in &at.pass.parts {
        let Some(norm) = part.acting.norm(at.layer, sublayer) else { continue };
        norm.forward(cx, normed.view_mut().rows(part.rows.clone()), save.reborrow());
    }
    Some(normed)
}

/// What the products read: the normed input where there is one, else the input. Keeps it if
/// backward reads it; all else is given back.
pub(super) fn keep_input(cx: &mut Context, needed: bool, normed: Option<Buf>, x: Buf) -> KeptInput {
    let input = match normed {
        Some(normed) => {
            cx.give(x);
            normed
        }
        None => x,
    };
    KeptInput::new(cx, needed, input)
}

/// Through the products at a sub-layer's beginning and, in pre-norm encoders, its norm: `flow.d`,
/// whose content is of no use any more, becomes the gradient of the sub-layer's input.
pub(super) fn input_backward(
    cx: &mut Context,
    sublayer: Sublayer,
    gradients: InputGradients<'_>,
    flow: &mut Flow,
    grads: &mut Grads<'_>,
) {
    let InputGradients { products, x, d_y, more } = gradients;
    let at = products.at;
    let pre = has_norm_before(at, sublayer);
    let (d_x, into) = match pre {
        true => (&mut flow.d, Into::Write),
        false => (&mut flow.residual, Into::Add),
    };
    products.backward(cx, x, d_y, d_x, into, grads);
    if let Some(more) = more {
        cx.add(d_x.view_mut(), more.view());
        cx.give(more);
    }
    if pre {
        for part in at.pass.parts.iter().rev() {
            let Some(norm) = part.acting.norm(at.layer, sublayer) else { continue };
            norm.backward(cx, flow.d.view_mut().rows(part.rows.clone()), grads);
        }
        cx.add(flow.residual.view_mut(), flow.d.view());
    }
    std::mem::swap(&mut flow.d, &mut flow.residual);
}

/// Layer scale, dropout and the output site: `h` becomes the sub-layer's result.
pub(super) fn output_forward(
    cx: &mut Context,
    at: At<'_>,
    sublayer: Sublayer,
    h: &mut Buf,
    residual: View<'_>,
    mut save: Save<'_>,
) {
    let spec = at.pass.base.spec();
    for part in &at.pass.parts {
        let Some((scale, trained)) = part.acting.scale(at.layer, sublayer) else { continue };
        let mut rows = h.view_mut().rows(part.rows.clone());
        if trained.is_some() {
            save.push_copy(cx, rows.read());
        }
        cx.multiply_row(rows.reborrow(), scale);
    }
    let dropout = at.dropout(DropoutPlace::after(sublayer), spec.hidden_dropout);
    cx.dropout_rows(dropout, &at.pass.spans, h.view_mut());
    at.drop_path(cx, sublayer, h);
    for part in &at.pass.parts {
        let post = spec.norm == NormPlacement::Post;
        let io = OutputForward {
            out: h.view_mut().rows(part.rows.clone()),
            residual: residual.rows(part.rows.clone()),
            norm: part.acting.norm(at.layer, sublayer).filter(|_| post),
            spans: &part.spans,
            dropout: at.output_dropout(sublayer),
        };
        let site = part.acting.output(at.layer, sublayer);
        site.forward(cx, part.acting.params(), io, save.reborrow());
    }
}

/// Through the output site, dropout and layer scale. `flow.d` becomes the gradient of the last
/// product's result, `flow.residual` that of the sub-layer's input along the residual.
pub(super) fn output_backward(
    cx: &mut Context,
    at: At<'_>,
    sublayer: Sublayer,
    flow: &mut Flow,
    grads: &mut Grads<'_>,
) {
    let spec = at.pass.base.spec();
    for part in at.pass.parts.iter().rev() {
        let post = spec.norm == NormPlacement::Post;
        let io = OutputBackward {
            d: flow.d.view_mut().rows(part.rows.clone()),
            d_residual: flow.residual.view_mut().rows(part.rows.clone()),
            norm: part.acting.norm(at.layer, sublayer).filter(|_| post),
            spans: &part.spans,
            dropout: at.output_dropout(sublayer),
        };
        let site = part.acting.output(at.layer, sublayer);
        site.backward(cx, part.acting.params(), io, grads);
    }
    at.drop_path(cx, sublayer, &mut flow.d);
    let dropout = at.dropout(DropoutPlace::after(sublayer), spec.hidden_dropout);
    cx.dropout_rows(dropout, &at.pass.spans, flow.d.view_mut());
    for part in at.pass.parts.iter().rev() {
        let Some((scale, trained)) = part.acting.scale(at.layer, sublayer) else { continue };
        let mut rows = flow.d.view_mut().rows(part.rows.clone());
        if let Some(slot) = trained {
            let before = grads.pop();
            cx.add_column_dots(before.view(), rows.read(), grads.of(slot));
            cx.give(before);
        }
        cx.multiply_row(rows.reborrow(), scale);
    }
}
