//! Full fine-tuning and the paper's variable fine-tuning (Houlsby et al. 2019, section 3.2), which
//! trains the top layers only: the model's own weights are trained, without adapters. What is saved
//! are the changed tensors, by their names in the model.

use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_engine::{Context, Device, Product, View};

use super::definition::Method;
use super::merging::OWN_TENSORS;
use super::options::{Kind, OptionSpec};
use crate::builder::Builder;
use crate::error::ModelError;
use crate::linear::TrainedLinear;
use crate::params::Init;
use crate::site::{InputGradient, ProductBackward, ProductForward, ProductSite};
use crate::tape::{Grads, Save};

pub(super) const FULL: Method = Method {
    name: "full",
    title: "Full fine-tuning",
    year: 2018,
    url: "",
    aliases: &["full_fine_tuning"],
    summary: "All weights of the model are trained: full fine-tuning.",
    options: &[],
    examples: &["full"],
    needs_f32: true,
    merge: OWN_TENSORS,
    build: |_, builder| {
        builder.train_embeddings()?;
        builder.train_embedding_norm()?;
        builder.train_relative()?;
        let layers = builder.base().spec().own_layers();
        top(builder, layers)
    },
};

pub(super) const TOP_K: Method = Method {
    name: "top_k",
    title: "Variable fine-tuning",
    year: 2019,
    url: "https://arxiv.org/abs/1902.00751",
    aliases: &["variable_fine_tuning"],
    summary: "All weights of the top layers are trained (Houlsby et al. 2019, section 3.2).",
    options: &[OptionSpec {
        name: "layers",
        kind: Kind::Count,
        default: "1",
        help: "number of layers, counted from the top",
    }],
    examples: &["top_k[layers=1]"],
    needs_f32: true,
    merge: OWN_TENSORS,
    build: |options, builder| {
        let (k, all) = (options.count("layers"), builder.base().spec().own_layers());
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
    for layer in spec.own_layers() - k..spec.own_layers() {
        for site in WeightSite::ALL {
            let weight = base.elements(layer, site).ok_or_else(ModelError::in_bytes)?;
            let name = names::in_layer(layer, site.name());
            let (shape, bias) =
                (spec.site_shape(site), base.linear_bias(layer, site).map(Init::Copy));
            builder.set_product_with_input(layer, site, |builder| {
                builder.linear(&name, shape, Init::Copy(&weight), bias).map(Whole)
            })?;
        }
        builder.train_relative_products(layer)?;
        builder.train_layer_norms(layer)?;
        builder.train_layer_scales(layer)?;
    }
    builder.train_final_norm()?;
    builder.train_pooler()
}

/// A product that is trained as a whole, in place of the frozen one.
struct Whole(TrainedLinear);

impl ProductSite for Whole {
    fn forward(&self, cx: &mut Context, params: &[f32], io: ProductForward<'_>, _: Save<'_>) {
        let (weight, bias) = (self.0.packed(), self.0.bias_of(params));
        cx.linear(io.x, &mut [Product { weight, bias, out: io.y }]);
    }

    fn replaces(&self) -> bool {
        true
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.0.refresh(device, params);
    }
}

impl InputGradient for Whole {
    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        x: View<'_>,
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        self.0.add_gradients(cx, x, io.d_y.read(), grads);
        cx.linear_backward_input(io.d_y.read(), self.0.packed(), io.d_x, true);
    }
}
