//! BitFit (Ben Zaken et al. 2022), without the biases of the norms: the biases of the six products
//! are trained.

use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_engine::{Context, Device};

use super::common::LEAVE_OUT;
use super::definition::Method;
use super::merging::OWN_TENSORS;
use crate::error::ModelError;
use crate::params::{Init, Slot};
use crate::site::{OutputGradient, ProductBackward, ProductForward, ProductSite};
use crate::tape::{Grads, Save};

pub(super) const METHOD: Method = Method {
    name: "bitfit",
    title: "BitFit",
    year: 2022,
    url: "https://arxiv.org/abs/2106.10199",
    aliases: &[],
    summary: "Only the biases of the layers' products and the head are trained (after Ben Zaken et al. 2022).",
    options: &[LEAVE_OUT],
    examples: &["bitfit"],
    needs_f32: false,
    merge: OWN_TENSORS,
    build: |options, builder| -> Result<(), ModelError> {
        let base = builder.base();
        if !WeightSite::ALL.into_iter().any(|site| base.spec().has_bias(site)) {
            return Err(ModelError::NothingToTrain {
                method: METHOD.name.into(),
                what: "biases of products".into(),
                family: base.spec().family.clone(),
            });
        }
        for layer in options.layers("leave_out", base.spec())? {
            for site in WeightSite::ALL {
                let Some(frozen) = base.linear_bias(layer, site) else { continue };
                let name = names::in_layer(layer, &format!("{}.bias", site.name()));
                builder.set_product(layer, site, |builder| {
                    let bias = builder.parameter(name, &[frozen.len()], Init::Copy(frozen))?;
                    Ok(BitFit { bias })
                })?;
            }
        }
        Ok(())
    },
};

struct BitFit {
    bias: Slot,
}

impl ProductSite for BitFit {
    fn forward(&self, cx: &mut Context, params: &[f32], io: ProductForward<'_>, _: Save<'_>) {
        // The product has the frozen bias already: add what the trained one has more.
        let trained = &params[self.bias.clone()];
        let frozen = io.base.bias.as_deref().unwrap_or_default();
        let more: Vec<f32> = trained.iter().zip(frozen).map(|(t, f)| t - f).collect();
        cx.add_row(io.y, &more);
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

impl OutputGradient for BitFit {
    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        cx.linear_backward_bias(io.d_y.read(), grads.of(&self.bias));
    }
}
