//! Gates (Mao et al. 2022, as `adapters` 1.3 has them): σ(w x + b), averaged over the rows of a
//! sequence, scales what a method adds to that sequence.

use budwood_engine::{Activation, Buf, Context, Device, Spans, View};

use crate::linear::TrainedLinear;
use crate::tape::{Grads, Save};

/// One gate, or several of one input: one for each output of a linear layer.
pub(crate) struct Gate {
    linear: TrainedLinear,
}

impl Gate {
    /// A gate over a linear layer.
    pub(crate) fn new(linear: TrainedLinear) -> Self {
        Self { linear }
    }

    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        self.linear.refresh(device, params);
    }

    /// `[sequences, outputs]` from the rows `x` of the sequences.
    pub(crate) fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: View<'_>,
        spans: &Spans,
        mut save: Save<'_>,
    ) -> Buf {
        let pre = self.linear.forward(cx, params, x);
        let mut open = cx.take(pre.rows(), pre.columns());
        cx.activation(Activation::Sigmoid, pre.view(), open.view_mut());
        let mut gates = cx.take(spans.len(), pre.columns());
        cx.mean_rows(open.view(), (spans, 0), gates.view_mut());
        cx.give(open);
        save.push(cx, pre);
        gates
    }

    /// Adds the parameters' gradients and returns that of `x`; consumes the gradient of the result.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        x: View<'_>,
        spans: &Spans,
        d_gates: Buf,
        grads: &mut Grads<'_>,
    ) -> Buf {
        let pre = grads.pop();
        let mut d = cx.take(pre.rows(), pre.columns());
        cx.mean_rows_backward(d_gates.view(), (spans, 0), d.view_mut());
        cx.give(d_gates);
        cx.activation_backward(Activation::Sigmoid, pre.view(), d.view_mut());
        cx.give(pre);
        let d_x = self.linear.backward(cx, x, d.view(), grads);
        cx.give(d);
        d_x
    }
}
