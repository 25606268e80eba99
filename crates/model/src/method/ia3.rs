//! (IA)³ (Liu et al. 2022): keys, values and the inside of the feed-forward network are multiplied
//! by learned vectors that start at one. As `adapters` 1.3 (`IA3Config`): the products' results are
//! scaled.

use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_engine::{Context, Device};

use super::common::LEAVE_OUT;
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::error::ModelError;
use crate::modules::{Small, UpdateModule};
use crate::params::{Init, Slot};
use crate::site::{OutputGradient, ProductBackward, ProductForward, ProductSite};
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
        LEAVE_OUT,
    ],
    examples: &["ia3", "ia3[targets=[query,attention_out,ffn_out],leave_out=[0]]"],
    merge: Merge::Weights(merge),
    build: |options, builder| {
        let spec = builder.base().spec();
        let targets = options.words("targets");
        for layer in options.layers("leave_out", spec)? {
            for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
                let [outputs, _] = spec.site_shape(site);
                let name = scale_name(layer, site);
                builder.set_product(layer, site, |builder| {
                    let scale = builder.parameter(name, &[outputs], Init::Constant(1.0))?;
                    Ok(Ia3 { scale })
                })?;
            }
        }
        Ok(())
    },
};

fn scale_name(layer: usize, site: WeightSite) -> String {
    names::in_layer(layer, &format!("{}.ia3.scale", site.name()))
}

/// The scales multiply the rows of weights and biases.
fn merge(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let targets = options.words("targets");
    let encoder = merging.encoder();
    for layer in options.layers("leave_out", encoder)? {
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

struct Ia3 {
    scale: Slot,
}

impl ProductSite for Ia3 {
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

impl OutputGradient for Ia3 {
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
