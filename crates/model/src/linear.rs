//! A linear layer among the trained parameters.

use budwood_engine::{Buf, Context, Device, Precision, Product, View, Weight};

use crate::{Init, ModelError, Slot};

/// `y = x Wᵀ + b` with W and b in the parameter vector.
pub(crate) struct TrainedLinear {
    weight: Slot,
    bias: Option<Slot>,
    packed: Weight,
}

impl TrainedLinear {
    /// Adds `name.weight`, `[outputs, inputs]`, and with an initial value `name.bias`, through `add`.
    ///
    /// # Errors
    /// Those of `add`.
    pub(crate) fn new(
        device: Device,
        name: &str,
        (outputs, inputs): (usize, usize),
        (weight, bias): (Init<'_>, Option<Init<'_>>),
        add: &mut impl FnMut(String, &[usize], Init<'_>) -> Result<Slot, ModelError>,
    ) -> Result<Self, ModelError> {
        let weight = add(format!("{name}.weight"), &[outputs, inputs], weight)?;
        let bias = bias.map(|init| add(format!("{name}.bias"), &[outputs], init)).transpose()?;
        let zeros = vec![0.0; outputs * inputs];
        let packed = Weight::new(device, &zeros, outputs, inputs, Precision::F32, true);
        Ok(Self { weight, bias, packed })
    }

    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        self.packed.set(device, &params[self.weight.clone()]);
    }

    /// The weight in the form that is multiplied.
    pub(crate) fn packed(&self) -> &Weight {
        &self.packed
    }

    pub(crate) fn bias_of<'a>(&self, params: &'a [f32]) -> Option<&'a [f32]> {
        self.bias.clone().map(|slot| &params[slot])
    }

    pub(crate) fn forward(&self, cx: &mut Context, params: &[f32], x: View<'_>) -> Buf {
        let mut y = cx.take(x.n_rows(), self.packed.outputs());
        let (weight, bias) = (&self.packed, self.bias_of(params));
        cx.linear(x, &mut [Product { weight, bias, out: y.view_mut() }]);
        y
    }

    /// Adds the gradients of weight and bias.
    pub(crate) fn add_gradients(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        gradient: &mut [f32],
    ) {
        cx.linear_backward_weight(d_y, x, &mut gradient[self.weight.clone()]);
        if let Some(bias) = &self.bias {
            cx.linear_backward_bias(d_y, &mut gradient[bias.clone()]);
        }
    }

    /// Returns the gradient of the input.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        gradient: &mut [f32],
    ) -> Buf {
        self.add_gradients(cx, x, d_y, gradient);
        let mut d_x = cx.take(x.n_rows(), self.packed.inputs());
        cx.linear_backward_input(d_y, &self.packed, d_x.view_mut(), false);
        d_x
    }
}
