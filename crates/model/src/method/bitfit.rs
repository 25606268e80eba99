//! BitFit (Ben Zaken et al. 2022), without the biases of the norms: the biases of the six products are trained.

use budwood_base::names;
use budwood_engine::{Buf, Context, Device};

use super::{Method, bottleneck};
use crate::site::{ProductBackward, ProductForward, ProductSite};
use crate::{Init, ModelError, Slot, WeightSite};

pub(super) const METHOD: Method = Method {
    name: "bitfit",
    aliases: &[],
    summary: "Only the biases of the layers' products and the head are trained (after Ben Zaken et al. 2022).",
    options: &[bottleneck::LEAVE_OUT],
    build: |options, builder| -> Result<(), ModelError> {
        let base = builder.base();
        for layer in options.layers("leave_out", base.spec().layers)? {
            for site in WeightSite::ALL {
                let frozen = base.linear_bias(layer, site);
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
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        _: Option<&mut Vec<Buf>>,
    ) {
        // The product has the frozen bias already: add what the trained one has more.
        let trained = &params[self.bias.clone()];
        let more: Vec<f32> = trained.iter().zip(&io.base.bias).map(|(t, f)| t - f).collect();
        cx.add_row(io.y, &more);
    }

    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: ProductBackward<'_>,
        _: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        cx.linear_backward_bias(io.d_y.read(), &mut gradient[self.bias.clone()]);
    }

    fn needs_input(&self) -> bool {
        false
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}
