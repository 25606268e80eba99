//! Full fine-tuning and the paper's variable fine-tuning (Houlsby et al. 2019, section 3.2), which trains the top layers only:
//! the model's own weights are trained, without adapters. What is saved are the changed tensors, by their names in the model.

use budwood_base::names;
use budwood_engine::{Buf, Context, Device, Product};

use super::{Kind, Method, OptionSpec};
use crate::adapter::Builder;
use crate::linear::TrainedLinear;
use crate::site::{ProductBackward, ProductForward, ProductSite};
use crate::{Init, ModelError, WeightSite};

pub(super) const FULL: Method = Method {
    name: "full",
    aliases: &["full_fine_tuning"],
    summary: "All weights of the model are trained: full fine-tuning.",
    options: &[],
    build: |_, builder| {
        builder.train_embeddings()?;
        builder.train_embedding_norm()?;
        let layers = builder.base().spec().layers;
        top(builder, layers)
    },
};

pub(super) const TOP_K: Method = Method {
    name: "top_k",
    aliases: &["variable_fine_tuning"],
    summary: "All weights of the top layers are trained (Houlsby et al. 2019, section 3.2).",
    options: &[OptionSpec {
        name: "layers",
        kind: Kind::Count,
        default: "1",
        help: "number of layers, counted from the top",
    }],
    build: |options, builder| {
        let (k, all) = (options.count("layers"), builder.base().spec().layers);
        if k > all {
            return Err(ModelError::OptionValue {
                method: "top_k".into(),
                option: "layers".into(),
                value: k.to_string(),
                expected: format!("at most the number of the model's layers, {all}"),
            });
        }
        top(builder, k)
    },
};

/// Trains the last `k` layers and what is above them.
fn top(builder: &mut Builder<'_>, k: usize) -> Result<(), ModelError> {
    let base = builder.base();
    let spec = base.spec();
    for layer in spec.layers - k..spec.layers {
        for site in WeightSite::ALL {
            let weight = base.elements(layer, site).ok_or_else(in_bytes)?;
            let name = names::in_layer(layer, site.name());
            let init = (Init::Copy(&weight), Some(Init::Copy(base.linear_bias(layer, site))));
            let shape = site.shape(spec.hidden, spec.intermediate);
            builder.set_product(layer, site, |builder| {
                let mut add =
                    |name, shape: &[usize], init: Init<'_>| builder.parameter(name, shape, init);
                TrainedLinear::new(base.device(), &name, shape, init, &mut add).map(Whole)
            })?;
        }
        builder.train_layer_norms(layer)?;
        builder.train_layer_scales(layer)?;
    }
    builder.train_final_norm()?;
    builder.train_pooler()
}

/// The error of a base whose weights are held in bytes.
pub(crate) fn in_bytes() -> ModelError {
    let message = "this method trains the model's own weights, which are held in int8; use --base-precision f32";
    ModelError::Base(message.into())
}

/// A product that is trained as a whole, in place of the frozen one.
struct Whole(TrainedLinear);

impl ProductSite for Whole {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        _: Option<&mut Vec<Buf>>,
    ) {
        let (weight, bias) = (self.0.packed(), self.0.bias_of(params));
        cx.linear(io.x, &mut [Product { weight, bias, out: io.y }]);
    }

    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: ProductBackward<'_>,
        _: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        if let Some(x) = io.x {
            self.0.add_gradients(cx, x, io.d_y.read(), gradient);
        }
        cx.linear_backward_input(io.d_y.read(), self.0.packed(), io.d_x, true);
    }

    fn needs_input(&self) -> bool {
        true
    }

    fn replaces(&self) -> bool {
        true
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.0.refresh(device, params);
    }
}
