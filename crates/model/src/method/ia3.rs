//! (IA)³ (Liu et al. 2022): keys, values and the inside of the feed-forward network are multiplied
//! by learned vectors that start at one. As `adapters` 1.3 (`IA3Config`): the products' results are
//! scaled. With `inputs` also what products read, as `peft` does for its feed-forward modules:
//! there the scale stands behind the activation.

use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_engine::{Buf, Context, Device, Product, View};

use super::common::LEAVE_OUT;
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::error::ModelError;
use crate::modules::{Small, UpdateModule};
use crate::params::{Init, Slot};
use crate::site::{InputGradient, OutputGradient, ProductBackward, ProductForward, ProductSite};
use crate::tape::{Grads, Save};

pub(super) const METHOD: Method = Method {
    name: "ia3",
    title: "(IA)³",
    year: 2022,
    url: "https://arxiv.org/abs/2205.05638",
    aliases: &[],
    summary: "Learned scales of keys, values and the feed-forward network's inside (Liu et al. 2022).",
    options: &[
        OptionSpec {
            name: "targets",
            kind: Kind::Words(&names::WEIGHT_SITES),
            default: r#"["key","value","ffn_in"]"#,
            help: "products whose results are scaled",
        },
        OptionSpec {
            name: "inputs",
            kind: Kind::FurtherWords(&names::WEIGHT_SITES),
            default: "[]",
            help: "products of which what they read is scaled instead",
        },
        LEAVE_OUT,
    ],
    examples: &[
        "ia3",
        "ia3[targets=[query,attention_out,ffn_out],leave_out=[0]]",
        "ia3[targets=[key,value],inputs=[ffn_out,attention_out]]",
    ],
    needs_f32: false,
    merge: Merge::Weights(merge),
    build: |options, builder| {
        let spec = builder.base().spec();
        let (targets, inputs) = (options.words("targets"), options.words("inputs"));
        if targets.iter().any(|target| inputs.contains(target)) {
            return Err(options.fault("inputs", "products that are not among targets"));
        }
        for layer in options.layers("leave_out", spec)? {
            for site in WeightSite::ALL {
                let [results, columns] = spec.site_shape(site);
                if targets.contains(&site.name()) {
                    builder.set_product(layer, site, |builder| {
                        let name = scale_name(layer, site);
                        let scale = builder.parameter(name, &[results], Init::Constant(1.0))?;
                        Ok(OfResult { scale })
                    })?;
                } else if inputs.contains(&site.name()) {
                    builder.set_product_with_input(layer, site, |builder| {
                        let name = input_name(layer, site);
                        let scale = builder.parameter(name, &[columns], Init::Constant(1.0))?;
                        Ok(OfInput { scale })
                    })?;
                }
            }
        }
        Ok(())
    },
};

fn scale_name(layer: usize, site: WeightSite) -> String {
    names::in_layer(layer, &format!("{}.ia3.scale", site.name()))
}

fn input_name(layer: usize, site: WeightSite) -> String {
    names::in_layer(layer, &format!("{}.ia3.input", site.name()))
}

/// The scales multiply the rows of weights and biases, or the columns of weights.
fn merge(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let (targets, inputs) = (options.words("targets"), options.words("inputs"));
    let encoder = merging.encoder();
    for layer in options.layers("leave_out", encoder)? {
        for site in WeightSite::ALL.into_iter().filter(|s| inputs.contains(&s.name())) {
            let scale = merging.take(&input_name(layer, site))?;
            if merging.small == Small::Kept {
                let update = UpdateModule::ScaleInput(scale);
                merging.modules.updates.insert((layer, site), update);
                continue;
            }
            let name = names::in_layer(layer, &format!("{}.weight", site.name()));
            merging.update(name, move |weight| {
                for row in weight.data.chunks_mut(scale.len()) {
                    row.iter_mut().zip(&scale.data).for_each(|(x, factor)| *x *= factor);
                }
            });
        }
        for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
            let scale = merging.take(&scale_name(layer, site))?;
            if merging.small == Small::Kept {
                merging.modules.updates.insert((layer, site), UpdateModule::Scale(scale));
                continue;
            }
            let roles = ["weight", "bias"].into_iter();
            for role in roles.filter(|role| *role == "weight" || encoder.has_bias(site)) {
                let name = names::in_layer(layer, &format!("{}.{role}", site.name()));
                let scale = scale.clone();
                merging.update(name, move |values| {
                    let columns = values.len() / scale.len();
                    for (row, factor) in values.data.chunks_mut(columns).zip(&scale.data) {
                        row.iter_mut().for_each(|x| *x *= factor);
                    }
                });
            }
        }
    }
    Ok(())
}

/// `l * (W x + b)`
struct OfResult {
    scale: Slot,
}

impl ProductSite for OfResult {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        mut save: Save<'_>,
    ) {
        let mut y = io.y;
        save.push_copy(cx, y.read());
        cx.multiply_row(y.reborrow(), &params[self.scale.clone()]);
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

impl OutputGradient for OfResult {
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        let y = grads.pop();
        let mut d_y = io.d_y;
        cx.add_column_dots(y.view(), d_y.read(), grads.of(&self.scale));
        cx.multiply_row(d_y.reborrow(), &params[self.scale.clone()]);
        cx.give(y);
    }
}

/// `W (l * x) + b`
struct OfInput {
    scale: Slot,
}

impl OfInput {
    /// `l * x`; to be given back.
    fn scaled(&self, cx: &mut Context, params: &[f32], x: View<'_>) -> Buf {
        let mut scaled = cx.copy(x);
        cx.multiply_row(scaled.view_mut(), &params[self.scale.clone()]);
        scaled
    }
}

impl ProductSite for OfInput {
    fn forward(&self, cx: &mut Context, params: &[f32], io: ProductForward<'_>, _: Save<'_>) {
        let x = self.scaled(cx, params, io.x);
        let (weight, bias) = (&io.base.weight, io.base.bias.as_deref());
        cx.linear(x.view(), &mut [Product { weight, bias, out: io.y }]);
        cx.give(x);
    }

    fn replaces(&self) -> bool {
        true
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

impl InputGradient for OfInput {
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: View<'_>,
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        let mut d = cx.take(x.n_rows(), io.base.weight.inputs());
        cx.linear_backward_input(io.d_y.read(), &io.base.weight, d.view_mut(), false);
        cx.add_column_dots(x, d.view(), grads.of(&self.scale));
        cx.multiply_row(d.view_mut(), &params[self.scale.clone()]);
        cx.add(io.d_x, d.view());
        cx.give(d);
    }
}
