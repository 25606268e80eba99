//! Frozen products of one input, with what methods do at them.

use budwood_base::site::WeightSite;
use budwood_engine::{Buf, Context, Product, View};

use super::kept::KeptInput;
use super::pass::{At, Part};
use crate::site::{AtProduct, ProductBackward, ProductForward};
use crate::tape::{Grads, Save};

/// Products in one layer that read the same input.
#[derive(Clone, Copy)]
pub(super) struct Products<'a> {
    pub(super) at: At<'a>,
    pub(super) sites: &'a [WeightSite],
}

/// What becomes of the gradient that was in the buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    /// It is overwritten.
    Write,
    /// It is added to.
    Add,
}

impl<'a> Products<'a> {
    /// Each product of `x`, `[T, inputs]`, into its own buffer, `[T, outputs]`.
    pub(super) fn forward(
        self,
        cx: &mut Context,
        x: View<'_>,
        out: &mut [Buf],
        mut save: Save<'_>,
    ) {
        let Self { at, sites } = self;
        let layer = at.pass.base.layer(at.layer);
        let mut shared = Vec::with_capacity(sites.len());
        for (&site, out) in sites.iter().zip(out.iter_mut()) {
            let linear = layer.linear(site);
            if !at.replaced(site) {
                let (weight, bias) = (&linear.weight, linear.bias.as_deref());
                shared.push(Product { weight, bias, out: out.view_mut() });
            }
        }
        if !shared.is_empty() {
            cx.linear(x, &mut shared);
        }
        drop(shared);
        for part in &at.pass.parts {
            for (&site, out) in sites.iter().zip(out.iter_mut()) {
                let Some(method) = at.product(part, site) else { continue };
                let io = ProductForward {
                    base: layer.linear(site),
                    x: x.rows(part.rows.clone()),
                    y: out.view_mut().rows(part.rows.clone()),
                    spans: &part.spans,
                    dropout: at.product_dropout(site),
                };
                method.forward_site().forward(cx, part.acting.params(), io, save.reborrow());
            }
        }
    }

    /// From the gradients of the products' results to that of their input. Adds the gradients of
    /// what methods train; `x` is what they read.
    pub(super) fn backward(
        self,
        cx: &mut Context,
        x: &KeptInput,
        d_y: &mut [Buf],
        d_x: &mut Buf,
        into: Into,
        grads: &mut Grads<'_>,
    ) {
        let Self { at, sites } = self;
        let mut add = into == Into::Add;
        if self.any_acts() && !add {
            let zero = cx.zeros(d_x.rows(), d_x.columns());
            cx.give(std::mem::replace(d_x, zero));
            add = true;
        }
        for part in at.pass.parts.iter().rev() {
            for (&site, d_y) in sites.iter().zip(d_y.iter_mut()).rev() {
                let Some(method) = at.product(part, site) else { continue };
                let io = ProductBackward {
                    base: at.pass.base.layer(at.layer).linear(site),
                    d_y: d_y.view_mut().rows(part.rows.clone()),
                    d_x: d_x.view_mut().rows(part.rows.clone()),
                    spans: &part.spans,
                    dropout: at.product_dropout(site),
                };
                let params = part.acting.params();
                match method {
                    AtProduct::Output(site) => site.backward(cx, params, io, grads),
                    AtProduct::Input(site) => {
                        let x = x.view().rows(part.rows.clone());
                        site.backward(cx, params, x, io, grads);
                    }
                }
            }
        }
        for (&site, d_y) in sites.iter().zip(d_y.iter()) {
            if !at.replaced(site) {
                let weight = &at.pass.base.layer(at.layer).linear(site).weight;
                cx.linear_backward_input(d_y.view(), weight, d_x.view_mut(), add);
                add = true;
            }
        }
    }

    /// Whether a method acts at any of them.
    pub(super) fn any_acts(self) -> bool {
        let acts = |part: &Part<'a>| self.sites.iter().any(|&s| self.at.product(part, s).is_some());
        self.at.pass.parts.iter().any(acts)
    }
}
