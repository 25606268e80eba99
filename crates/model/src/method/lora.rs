//! LoRA (Hu et al. 2022): y = W x + b + (α / r) B A x at the chosen products, W frozen; with rsLoRA's scale
//! α / √r (Kalajdzievski 2023). A starts uniform (Kaiming with a = √5), B at zero, as in `peft` and `adapters`.

use budwood_base::names;
use budwood_engine::{Buf, Context, Device, Precision, Product, Weight};

use super::{Kind, Method, OptionSpec};
use crate::site::{ProductBackward, ProductForward, ProductSite, pop};
use crate::{Init, Slot, WeightSite};

pub(super) const METHOD: Method = Method {
    name: "lora",
    aliases: &[],
    summary: "Low-rank updates of frozen products (Hu et al. 2022).",
    options: &[
        OptionSpec { name: "r", kind: Kind::Count, default: "8", help: "rank" },
        OptionSpec {
            name: "alpha",
            kind: Kind::Number,
            default: "8",
            help: "the update counts alpha / r",
        },
        OptionSpec {
            name: "targets",
            kind: Kind::Words(&names::WEIGHT_SITES),
            default: r#"["query","value"]"#,
            help: "products that are updated",
        },
        OptionSpec {
            name: "rslora",
            kind: Kind::Flag,
            default: "false",
            help: "the update counts alpha / sqrt(r) instead",
        },
        super::bottleneck::LEAVE_OUT,
    ],
    build: |options, builder| {
        let spec = builder.base().spec();
        let (rank, alpha) = (options.count("r"), options.number("alpha"));
        let scale = match options.flag("rslora") {
            true => alpha / (rank as f64).sqrt(),
            false => alpha / rank as f64,
        };
        let targets = options.words("targets");
        for layer in options.layers("leave_out", spec.layers)? {
            for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
                let (outputs, inputs) = site.shape(spec.hidden, spec.intermediate);
                let device = builder.base().device();
                let pack = |rows: usize, columns: usize| {
                    Weight::new(
                        device,
                        &vec![0.0; rows * columns],
                        rows,
                        columns,
                        Precision::F32,
                        true,
                    )
                };
                let name =
                    |role: &str| names::in_layer(layer, &format!("{}.lora.{role}", site.name()));
                let bound = Init::Uniform(1.0 / (inputs as f64).sqrt());
                builder.set_product(layer, site, |builder| Lora {
                    scale: scale as f32,
                    a: builder.parameter(name("a"), &[rank, inputs], bound),
                    b: builder.parameter(name("b"), &[outputs, rank], Init::Constant(0.0)),
                    a_packed: pack(rank, inputs),
                    b_packed: pack(outputs, rank),
                })?;
            }
        }
        Ok(())
    },
};

struct Lora {
    scale: f32,
    a: Slot,
    b: Slot,
    a_packed: Weight,
    b_packed: Weight,
}

impl Lora {
    /// A x, scaled: what B reads.
    fn inner(&self, cx: &mut Context, x: budwood_engine::View<'_>) -> Buf {
        let mut inner = cx.take(x.n_rows(), self.a_packed.outputs());
        let product = Product { weight: &self.a_packed, bias: None, out: inner.view_mut() };
        cx.linear(x, &mut [product]);
        cx.scale(inner.view_mut(), self.scale);
        inner
    }
}

impl ProductSite for Lora {
    fn forward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: ProductForward<'_>,
        saved: Option<&mut Vec<Buf>>,
    ) {
        let inner = self.inner(cx, io.x);
        let mut update = cx.take(io.x.n_rows(), self.b_packed.outputs());
        let product = Product { weight: &self.b_packed, bias: None, out: update.view_mut() };
        cx.linear(inner.view(), &mut [product]);
        cx.add(io.y, update.view());
        cx.give(update);
        match saved {
            Some(saved) => saved.push(inner),
            None => cx.give(inner),
        }
    }

    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: ProductBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        let inner = pop(saved);
        cx.linear_backward_weight(io.d_y.read(), inner.view(), &mut gradient[self.b.clone()]);
        let mut d_inner = inner;
        cx.linear_backward_input(io.d_y.read(), &self.b_packed, d_inner.view_mut(), false);
        cx.scale(d_inner.view_mut(), self.scale);
        if let Some(x) = io.x {
            cx.linear_backward_weight(d_inner.view(), x, &mut gradient[self.a.clone()]);
        }
        cx.linear_backward_input(d_inner.view(), &self.a_packed, io.d_x, true);
        cx.give(d_inner);
    }

    fn needs_input(&self) -> bool {
        true
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.a_packed.set(device, &params[self.a.clone()]);
        self.b_packed.set(device, &params[self.b.clone()]);
    }
}
