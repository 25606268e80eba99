//! Matrices and linear layers among the trained parameters.

use budwood_engine::{Buf, Context, Device, Product, View, Weight};

use crate::params::Slot;
use crate::tape::Grads;

/// `x Wᵀ + b`, `[rows, outputs]`, in a buffer of its own.
pub(crate) fn product(cx: &mut Context, x: View<'_>, weight: &Weight, bias: Option<&[f32]>) -> Buf {
    let mut y = cx.take(x.n_rows(), weight.outputs());
    cx.linear(x, &mut [Product { weight, bias, out: y.view_mut() }]);
    y
}

/// The gradient of the input of [`product`], `[rows, inputs]`.
pub(crate) fn input_gradient(cx: &mut Context, d_y: View<'_>, weight: &Weight) -> Buf {
    let mut d_x = cx.take(d_y.n_rows(), weight.inputs());
    cx.linear_backward_input(d_y, weight, d_x.view_mut(), false);
    d_x
}

/// A trained matrix `[outputs, inputs]` with the packed copy that is multiplied.
pub(crate) struct TrainedMatrix {
    /// Empty where the packed copy is all that is held.
    slot: Slot,
    packed: Weight,
}

impl TrainedMatrix {
    /// The matrix at `slot`, to be packed by [`TrainedMatrix::refresh`] before use; with an empty
    /// `slot` one that is packed already.
    pub(crate) fn new(slot: Slot, packed: Weight) -> Self {
        Self { slot, packed }
    }

    /// Packs the values again after they have changed.
    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        if !self.slot.is_empty() {
            self.packed.set(device, &params[self.slot.clone()]);
        }
    }

    /// The packed copy.
    pub(crate) fn packed(&self) -> &Weight {
        &self.packed
    }

    /// Its elements, row by row; none where they are held packed alone.
    pub(crate) fn values<'a>(&self, params: &'a [f32]) -> &'a [f32] {
        &params[self.slot.clone()]
    }

    /// `x Wᵀ`, `[rows, outputs]`.
    pub(crate) fn forward(&self, cx: &mut Context, x: View<'_>) -> Buf {
        product(cx, x, &self.packed, None)
    }

    /// Adds the gradient of the matrix.
    pub(crate) fn add_gradient(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        grads: &mut Grads<'_>,
    ) {
        cx.linear_backward_weight(d_y, x, grads.of(&self.slot));
    }
}

/// `y = x Wᵀ + b` with W and b in the parameter vector.
pub(crate) struct TrainedLinear {
    matrix: TrainedMatrix,
    bias: Option<Slot>,
}

impl TrainedLinear {
    /// A linear layer over parameters that are there.
    pub(crate) fn new(matrix: TrainedMatrix, bias: Option<Slot>) -> Self {
        Self { matrix, bias }
    }

    /// Packs the values again after they have changed.
    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        self.matrix.refresh(device, params);
    }

    /// The weight in the form that is multiplied.
    pub(crate) fn packed(&self) -> &Weight {
        &self.matrix.packed
    }

    /// Its bias, `[outputs]`.
    pub(crate) fn bias_of<'a>(&self, params: &'a [f32]) -> Option<&'a [f32]> {
        self.bias.clone().map(|slot| &params[slot])
    }

    /// `[rows, outputs]` from `[rows, inputs]`.
    pub(crate) fn forward(&self, cx: &mut Context, params: &[f32], x: View<'_>) -> Buf {
        product(cx, x, self.packed(), self.bias_of(params))
    }

    /// Adds the gradients of weight and bias.
    pub(crate) fn add_gradients(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        grads: &mut Grads<'_>,
    ) {
        self.matrix.add_gradient(cx, x, d_y, grads);
        if let Some(bias) = &self.bias {
            cx.linear_backward_bias(d_y, grads.of(bias));
        }
    }

    /// Adds the gradients of weight and bias and returns that of the input.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        grads: &mut Grads<'_>,
    ) -> Buf {
        self.add_gradients(cx, x, d_y, grads);
        input_gradient(cx, d_y, self.packed())
    }
}
