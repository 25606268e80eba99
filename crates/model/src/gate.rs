//! Gates (Mao et al. 2022, as `adapters` 1.3 has them): σ(w x + b), averaged over the rows of a sequence, scales
//! what a method adds to that sequence.

use budwood_engine::{Activation, Buf, Context, Device, Spans, View};

use crate::adapter::Builder;
use crate::linear::TrainedLinear;
use crate::site::pop;
use crate::{Init, ModelError, Slot};

/// One gate, or several of one input.
pub(crate) struct Gate {
    linear: TrainedLinear,
}

impl Gate {
    /// Adds `name.weight [outputs, d]`, normal with a deviation of 0.02, and `name.bias`, zero.
    pub(crate) fn new(
        builder: &mut Builder<'_>,
        name: &str,
        (outputs, inputs): (usize, usize),
    ) -> Result<Self, ModelError> {
        let device = builder.base().device();
        let init = (Init::Normal(0.02), Some(Init::Constant(0.0)));
        let mut add = |name: String, shape: &[usize], init: Init<'_>| -> Result<Slot, ModelError> {
            builder.parameter(name, shape, init)
        };
        let linear = TrainedLinear::new(device, name, (outputs, inputs), init, &mut add)?;
        Ok(Self { linear })
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
        saved: Option<&mut Vec<Buf>>,
    ) -> Buf {
        let pre = self.linear.forward(cx, params, x);
        let mut open = cx.take(pre.rows(), pre.columns());
        cx.activation(Activation::Sigmoid, pre.view(), open.view_mut());
        let mut gates = cx.take(spans.len(), pre.columns());
        cx.mean_rows(open.view(), (spans, 0), gates.view_mut());
        cx.give(open);
        match saved {
            Some(saved) => saved.push(pre),
            None => cx.give(pre),
        }
        gates
    }

    /// Adds the parameters' gradients and returns that of `x`; consumes the gradient of the result.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        x: View<'_>,
        spans: &Spans,
        d_gates: Buf,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) -> Buf {
        let pre = pop(saved);
        let mut d = cx.take(pre.rows(), pre.columns());
        cx.mean_rows_backward(d_gates.view(), (spans, 0), d.view_mut());
        cx.give(d_gates);
        cx.activation_backward(Activation::Sigmoid, pre.view(), d.view_mut());
        cx.give(pre);
        let d_x = self.linear.backward(cx, x, d.view(), gradient);
        cx.give(d);
        d_x
    }
}
