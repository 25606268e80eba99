//! (IA)³ (Liu et al. 2022): keys, values and the inside of the feed-forward network are multiplied by learned
//! vectors that start at one. As `adapters` 1.3 (`IA3Config`): the products' results are scaled.

use budwood_base::names;
use budwood_engine::{Buf, Context, Device};

use super::{Kind, Method, OptionSpec};
use crate::site::{ProductBackward, ProductForward, ProductSite, pop};
use crate::{Init, Slot, WeightSite};

pub(super) const METHOD: Method = Method {
    name: "ia3",
    aliases: &[],
    summary: "Learned scales of keys, values and the feed-forward network's inside (Liu et al. 2022).",
    options: &[
        OptionSpec {
            name: "targets",
            kind: Kind::Words(&names::WEIGHT_SITES),
            default: r#"["key","value","ffn_in"]"#,
            help: "products whose results are scaled",
        },
        super::bottleneck::LEAVE_OUT,
    ],
    build: |options, builder| {
        let spec = builder.base().spec();
        let targets = options.words("targets");
        for layer in options.layers("leave_out", spec.layers)? {
            for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
                let (outputs, _) = site.shape(spec.hidden, spec.intermediate);
                let name = names::in_layer(layer, &format!("{}.ia3.scale", site.name()));
                builder.set_product(layer, site, |builder| {
                    let scale = builder.parameter(name, &[outputs], Init::Constant(1.0))?;
                    Ok(Ia3 { scale })
                })?;
            }
        }
        Ok(())
    },
};

struct Ia3 {
    scale: Slot,
}

impl ProductSite for Ia3 {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        saved: Option<&mut Vec<Buf>>,
    ) {
        let mut y = io.y;
        if let Some(saved) = saved {
            saved.push(cx.copy(y.read()));
        }
        cx.multiply_row(y.again(), &params[self.scale.clone()]);
    }

    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        let y = pop(saved);
        let mut d_y = io.d_y;
        cx.add_column_dots(y.view(), d_y.read(), &mut gradient[self.scale.clone()]);
        cx.multiply_row(d_y.again(), &params[self.scale.clone()]);
        cx.give(y);
    }

    fn needs_input(&self) -> bool {
        false
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}
