//! Layer norms, the base's or an adapter's own.

use budwood_engine::{Context, ViewMut};

use crate::params::Slot;
use crate::tape::{Grads, Save};

/// Where a trained norm stands in the parameter vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormSlots {
    pub(crate) gamma: Slot,
    /// None where the encoder's norms have no bias.
    pub(crate) beta: Option<Slot>,
}

/// A layer norm to apply.
#[derive(Clone, Copy)]
pub(crate) struct NormRef<'a> {
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: &'a [f32],
    pub(crate) eps: f32,
    /// Where its gradients go; `None` for a frozen norm.
    pub(crate) slots: Option<&'a NormSlots>,
}

impl NormRef<'_> {
    /// Normalises `x` in place.
    pub(crate) fn forward(&self, cx: &mut Context, x: ViewMut<'_>, mut save: Save<'_>) {
        if save.is_on() {
            let (normal, rstd) = cx.norm(x, self.gamma, self.beta, self.eps);
            save.push(cx, normal);
            save.push(cx, rstd);
        } else {
            cx.norm_in_place(x, self.gamma, self.beta, self.eps);
        }
    }

    /// Turns dy into dx in place and adds the gradients of a trained norm.
    pub(crate) fn backward(&self, cx: &mut Context, d: ViewMut<'_>, grads: &mut Grads<'_>) {
        let rstd = grads.pop();
        let normal = grads.pop();
        if let Some(slots) = self.slots {
            match &slots.beta {
                Some(beta) => {
                    let (d_gamma, d_beta) = grads.of_two(&slots.gamma, beta);
                    cx.norm_backward_parameters(normal.view(), d.read(), d_gamma, d_beta);
                }
                None => cx.add_column_dots(normal.view(), d.read(), grads.of(&slots.gamma)),
            }
        }
        cx.norm_backward_input(self.gamma, (normal.view(), rstd.view()), d);
        cx.give(normal);
        cx.give(rstd);
    }
}
