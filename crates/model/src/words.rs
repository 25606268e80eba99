//! The last layer of a masked language model: a product with the encoder's table of words. Where
//! that table is trained (`full`), it is the same tensor here, and gets both gradients.

use std::sync::Arc;

use budwood_engine::{Buf, Context, Device, View, Weight};

use crate::builder::Builder;
use crate::error::ModelError;
use crate::linear::{TrainedMatrix, input_gradient, product};
use crate::params::{Init, Slot};
use crate::tape::Grads;

/// `y = x Eᵀ + b` with the table of words E, `[vocabulary, width]`.
pub(crate) struct Words {
    table: Table,
    bias: Option<Slot>,
}

enum Table {
    /// The base's, shared by all adapters.
    Frozen(Arc<Weight>),
    Trained(Box<TrainedMatrix>),
}

impl Words {
    /// Over the table that a method trains, else over the base's; with an initial value `bias`
    /// adds `head.out.bias`.
    pub(crate) fn new(
        builder: &mut Builder<'_>,
        bias: Option<Init<'_>>,
    ) -> Result<Self, ModelError> {
        let table = match builder.trained_words() {
            Some(trained) => Table::Trained(Box::new(trained)),
            None => Table::Frozen(builder.base().words()),
        };
        let rows = table.weight().outputs();
        let bias = bias.map(|init| builder.parameter("head.out.bias".into(), &[rows], init));
        Ok(Self { table, bias: bias.transpose()? })
    }

    /// Packs a trained table again after its values have changed.
    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        if let Table::Trained(trained) = &mut self.table {
            trained.refresh(device, params);
        }
    }

    /// `[rows, vocabulary]` from `[rows, width]`.
    pub(crate) fn forward(&self, cx: &mut Context, params: &[f32], x: View<'_>) -> Buf {
        let bias = self.bias.clone().map(|slot| &params[slot]);
        product(cx, x, self.table.weight(), bias)
    }

    /// Adds the gradients of bias and trained table and returns that of the input.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        x: View<'_>,
        d_y: View<'_>,
        grads: &mut Grads<'_>,
    ) -> Buf {
        if let Table::Trained(trained) = &self.table {
            trained.add_gradient(cx, x, d_y, grads);
        }
        if let Some(bias) = &self.bias {
            cx.linear_backward_bias(d_y, grads.of(bias));
        }
        input_gradient(cx, d_y, self.table.weight())
    }
}

impl Table {
    fn weight(&self) -> &Weight {
        match self {
            Self::Frozen(weight) => weight,
            Self::Trained(trained) => trained.packed(),
        }
    }
}
