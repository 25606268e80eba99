//! LoRA (Hu et al. 2022): y = W x + b + (α / r) B A x at the chosen products, W frozen; with rsLoRA's scale
//! α / √r (Kalajdzievski 2023), and with DoRA's learned magnitudes (Liu et al. 2024): y = m (W + ΔW) x / ‖W + ΔW‖ + b
//! with a norm for each output, which counts as a constant in gradients, as in `peft`. A starts uniform (Kaiming with a = √5), B at zero, as in `peft` and `adapters`.

use budwood_base::names;
use budwood_base::random::Key;
use budwood_engine::{Buf, Context, Device, Dropout, Precision, Product, View, Weight};

use super::{Kind, Method, OptionSpec};
use crate::gate::Gate;
use crate::site::{ProductBackward, ProductForward, ProductSite, pop};
use crate::{Init, ModelError, Slot, WeightSite};

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
        OptionSpec {
            name: "dora",
            kind: Kind::Flag,
            default: "false",
            help: "the updated weight's rows are normed and get a learned magnitude",
        },
        OptionSpec {
            name: "dropout",
            kind: Kind::Probability,
            default: "0.0",
            help: "dropout on what the update reads, in training",
        },
        super::USE_GATING,
        super::bottleneck::LEAVE_OUT,
    ],
    build: |options, builder| {
        let spec = builder.base().spec();
        let (rank, alpha) = (options.count("r"), options.number("alpha"));
        let scale = match options.flag("rslora") {
            true => alpha / (rank as f64).sqrt(),
            false => alpha / rank as f64,
        };
        let dropout = options.number("dropout");
        let gated = options.flag("use_gating");
        if gated && options.flag("dora") {
            return Err(options.fault("use_gating", "false where dora is true"));
        }
        // A gate takes the place of the scale.
        let scale = if gated { 1.0 } else { scale };
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
                let squares = options.flag("dora").then(|| builder.base().row_squares(layer, site));
                builder.set_product(layer, site, |builder| {
                    let mut dora = |squares: Vec<f32>| {
                        let norms: Vec<f32> = squares.iter().map(|s| s.sqrt()).collect();
                        let init = Init::Copy(&norms);
                        let magnitude = builder.parameter(name("magnitude"), &[outputs], init)?;
                        Ok::<_, ModelError>(Dora { magnitude, squares })
                    };
                    let gate = |builder: &mut _| Gate::new(builder, &name("gate"), (1, inputs));
                    Ok(Lora {
                        scale: scale as f32,
                        dora: squares.map(&mut dora).transpose()?,
                        dropout: dropout as f32,
                        a: builder.parameter(name("a"), &[rank, inputs], bound)?,
                        b: builder.parameter(name("b"), &[outputs, rank], Init::Constant(0.0))?,
                        gate: gated.then(|| gate(builder)).transpose()?,
                        // Packed only once the parameters are known to be those of the file.
                        a_packed: pack(rank, inputs),
                        b_packed: pack(outputs, rank),
                    })
                })?;
            }
        }
        Ok(())
    },
};

struct Lora {
    scale: f32,
    dropout: f32,
    dora: Option<Dora>,
    gate: Option<Gate>,
    a: Slot,
    b: Slot,
    a_packed: Weight,
    b_packed: Weight,
}

struct Dora {
    magnitude: Slot,
    /// The squared norm of each row of W.
    squares: Vec<f32>,
}

impl Lora {
    /// A x, scaled: what B reads.
    fn inner(&self, cx: &mut Context, x: View<'_>) -> Buf {
        let mut inner = cx.take(x.n_rows(), self.a_packed.outputs());
        let product = Product { weight: &self.a_packed, bias: None, out: inner.view_mut() };
        cx.linear(x, &mut [product]);
        cx.scale(inner.view_mut(), self.scale);
        inner
    }

    /// Dropout on what A reads; none outside training.
    fn dropout(&self, key: Option<Key>) -> Option<Dropout> {
        key.filter(|_| self.dropout > 0.0).map(|key| Dropout::new(self.dropout, key.raw()))
    }

    /// x as A reads it, where that is not x.
    fn dropped(&self, cx: &mut Context, x: View<'_>, key: Option<Key>) -> Option<Buf> {
        let dropout = self.dropout(key)?;
        let mut x = cx.copy(x);
        cx.dropout(dropout, x.view_mut());
        Some(x)
    }
}

impl ProductSite for Lora {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        mut saved: Option<&mut Vec<Buf>>,
    ) {
        let mut y = io.y;
        let dropped = self.dropped(cx, io.x, io.dropout);
        let inner = self.inner(cx, dropped.as_ref().map_or(io.x, Buf::view));
        dropped.into_iter().for_each(|buffer| cx.give(buffer));
        let mut update = cx.take(io.x.n_rows(), self.b_packed.outputs());
        let product = Product { weight: &self.b_packed, bias: None, out: update.view_mut() };
        cx.linear(inner.view(), &mut [product]);
        let mut kept = Vec::new();
        if let Some(gate) = &self.gate {
            let open = gate.forward(cx, params, io.x, io.spans, saved.as_deref_mut());
            kept.push(cx.copy(update.view()));
            cx.scale_spans(update.view_mut(), io.spans, open.view());
            kept.push(open);
        }
        cx.add(y.again(), update.view());
        cx.give(update);
        if let Some(dora) = &self.dora {
            let (a, b) = ((&params[self.a.clone()], &self.a_packed), &params[self.b.clone()]);
            let w = (&io.base.weight, &dora.squares[..]);
            let inverse = cx.inverse_norms_of_update(w, a, b, self.scale);
            cx.add_scaled_row(y.again(), -1.0, &io.base.bias);
            kept.push(cx.copy(y.read()));
            cx.multiply_row(y.again(), &params[dora.magnitude.clone()]);
            cx.multiply_by_row(y.again(), inverse.view());
            cx.add_row(y, &io.base.bias);
            kept.push(inverse);
        }
        match saved {
            Some(saved) => {
                saved.push(inner);
                saved.extend(kept);
            }
            None => {
                cx.give(inner);
                kept.into_iter().for_each(|buffer| cx.give(buffer));
            }
        }
    }

    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        let mut d_y = io.d_y;
        if let Some(dora) = &self.dora {
            let inverse = pop(saved);
            let plain = pop(saved);
            cx.multiply_by_row(d_y.again(), inverse.view());
            cx.add_column_dots(plain.view(), d_y.read(), &mut gradient[dora.magnitude.clone()]);
            cx.multiply_row(d_y.again(), &params[dora.magnitude.clone()]);
            cx.give(inverse);
            cx.give(plain);
        }
        let Some(x) = io.x else { panic!("LoRA's gradient needs the product's input") };
        let mut d_x = io.d_x;
        let mut d_update = cx.copy(d_y.read());
        let mut d_open = None;
        if self.gate.is_some() {
            let open = pop(saved);
            let update = pop(saved);
            let mut d = cx.take(io.spans.len(), 1);
            cx.span_dots(update.view(), d_update.view(), io.spans, d.view_mut());
            d_open = Some(d);
            cx.scale_spans(d_update.view_mut(), io.spans, open.view());
            [open, update].into_iter().for_each(|buffer| cx.give(buffer));
        }
        let inner = pop(saved);
        cx.linear_backward_weight(d_update.view(), inner.view(), &mut gradient[self.b.clone()]);
        let mut d_inner = inner;
        cx.linear_backward_input(d_update.view(), &self.b_packed, d_inner.view_mut(), false);
        cx.give(d_update);
        cx.scale(d_inner.view_mut(), self.scale);
        let dropped = self.dropped(cx, x, io.dropout);
        let read = dropped.as_ref().map_or(x, Buf::view);
        cx.linear_backward_weight(d_inner.view(), read, &mut gradient[self.a.clone()]);
        match (dropped, self.dropout(io.dropout)) {
            (Some(mut d), Some(dropout)) => {
                cx.linear_backward_input(d_inner.view(), &self.a_packed, d.view_mut(), false);
                cx.dropout(dropout, d.view_mut());
                cx.add(d_x.again(), d.view());
                cx.give(d);
            }
            _ => cx.linear_backward_input(d_inner.view(), &self.a_packed, d_x.again(), true),
        }
        cx.give(d_inner);
        if let (Some(gate), Some(d_open)) = (&self.gate, d_open) {
            let d = gate.backward(cx, x, io.spans, d_open, saved, gradient);
            cx.add(d_x, d.view());
            cx.give(d);
        }
    }

    fn needs_input(&self) -> bool {
        true
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.a_packed.set(device, &params[self.a.clone()]);
        self.b_packed.set(device, &params[self.b.clone()]);
        if let Some(gate) = &mut self.gate {
            gate.refresh(device, params);
        }
    }
}
