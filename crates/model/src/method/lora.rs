//! LoRA (Hu et al. 2022): y = W x + b + s B A x at the chosen products, W frozen, s = α / r.
//!
//! A is `[r, inputs]` and starts uniform (Kaiming with a = √5); B is `[outputs, r]` and starts at
//! zero, as in `peft` and `adapters`. Two variants:
//! - rsLoRA (Kalajdzievski 2023): s = α / √r;
//! - DoRA (Liu et al. 2024): y = m (W + s B A) x / ‖W + s B A‖ + b with a learned magnitude m and a
//!   norm for each output. The norm counts as a constant in gradients, as in `peft`.

use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::site::WeightSite;
use budwood_base::tensor::Tensor;
use budwood_engine::{Buf, Context, Device, Dropout, Spans, View, Weight};

use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::error::ModelError;
use crate::gate::Gate;
use crate::linear::TrainedMatrix;
use crate::modules::{Small, UpdateModule};
use crate::params::{Init, Slot};
use crate::site::{InputGradient, ProductBackward, ProductForward, ProductSite};
use crate::tape::{Grads, Save};

pub(super) const METHOD: Method = Method {
    name: "lora",
    title: "LoRA",
    year: 2022,
    url: "https://arxiv.org/abs/2106.09685",
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
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &[
        "lora[r=4]",
        "lora[r=2,targets=[query,key,value,attention_out,ffn_in,ffn_out],rslora=true]",
        "lora[r=3,targets=[value,ffn_in],dora=true]",
        "lora[r=2,dropout=0.3,targets=[value,ffn_out]]",
        "lora[r=2,use_gating=true,targets=[key,ffn_out]]",
    ],
    needs_f32: false,
    merge: Merge::Weights(merge),
    build: |options, builder| {
        let spec = builder.base().spec();
        let (rank, gated) = (options.count("r"), options.flag("use_gating"));
        if gated && options.flag("dora") {
            return Err(options.fault("use_gating", "false where dora is true"));
        }
        // A gate takes the place of the scale.
        let scale = if gated { 1.0 } else { scale(options) };
        let targets = options.words("targets");
        for layer in options.layers("leave_out", spec)? {
            for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
                let [outputs, inputs] = spec.site_shape(site);
                let name = |role: &str| parameter_name(layer, site, role);
                let bound = Init::Uniform(1.0 / (inputs as f64).sqrt());
                let squares = options.flag("dora").then(|| builder.base().row_squares(layer, site));
                builder.set_product_with_input(layer, site, |builder| {
                    let dora = |squares: Vec<f32>| {
                        let norms: Vec<f32> = squares.iter().map(|s| s.sqrt()).collect();
                        let init = Init::Copy(&norms);
                        let magnitude = builder.parameter(name("magnitude"), &[outputs], init)?;
                        Ok::<_, ModelError>(Dora { magnitude, squares })
                    };
                    let dora = squares.map(dora).transpose()?;
                    // The norms of DoRA's rows are made of the elements.
                    let mut matrix = |name, shape, init| match dora {
                        Some(_) => builder.matrix_with_values(name, shape, init),
                        None => builder.matrix(name, shape, init),
                    };
                    let a = matrix(name("a"), [rank, inputs], bound)?;
                    let b = matrix(name("b"), [outputs, rank], Init::Constant(0.0))?;
                    Ok(Lora {
                        scale,
                        dora,
                        dropout: options.number("dropout") as f32,
                        a,
                        b,
                        gate: gated.then(|| builder.gate(&name("gate"), 1, inputs)).transpose()?,
                    })
                })?;
            }
        }
        Ok(())
    },
};

fn parameter_name(layer: usize, site: WeightSite, role: &str) -> String {
    names::in_layer(layer, &format!("{}.lora.{role}", site.name()))
}

/// What the update counts: s.
fn scale(options: &Options<'_>) -> f32 {
    let (rank, alpha) = (options.count("r") as f64, options.number("alpha"));
    (alpha / if options.flag("rslora") { rank.sqrt() } else { rank }) as f32
}

/// Why a gated update is not merged.
pub(crate) fn gates_stay() -> ModelError {
    ModelError::CannotMerge {
        method: METHOD.name.into(),
        reason: "its gate depends on the input, which a weight cannot (use_gating=true)".into(),
    }
}

/// The update is added to weights. A gate depends on the input, which no weight can: gated updates
/// stay.
fn merge(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let (targets, scale) = (options.words("targets"), scale(options));
    for layer in options.layers("leave_out", merging.encoder())? {
        for site in WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())) {
            let mut take = |role: &str| merging.take(&parameter_name(layer, site, role));
            let (a, b) = (take("a")?, take("b")?);
            let magnitude = options.flag("dora").then(|| take("magnitude")).transpose()?;
            let gated = options.flag("use_gating");
            if gated || (merging.small == Small::Kept && magnitude.is_none()) {
                let name = parameter_name(layer, site, "gate");
                let gate = gated.then(|| merging.affine(&name)).transpose()?;
                // A gate takes the place of the scale.
                let scale = if gated { 1.0 } else { scale };
                let b = Tensor::new(b.shape, b.data.iter().map(|x| x * scale).collect());
                let update = UpdateModule::LowRank { a, b, gate };
                merging.modules.updates.insert((layer, site), update);
                continue;
            }
            let name = names::in_layer(layer, &format!("{}.weight", site.name()));
            merging.update(name, move |w| add_update(w, &a, &b, scale, magnitude.as_ref()));
        }
    }
    Ok(())
}

/// W + s B A; with DoRA's magnitudes, its rows at those lengths.
fn add_update(w: &mut Tensor, a: &Tensor, b: &Tensor, scale: f32, magnitude: Option<&Tensor>) {
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    for (o, row) in w.data.chunks_mut(inputs).enumerate() {
        for r in 0..rank {
            let factor = scale * b.data[o * rank + r];
            let a_row = &a.data[r * inputs..][..inputs];
            row.iter_mut().zip(a_row).for_each(|(w, a)| *w += factor * a);
        }
        if let Some(magnitude) = magnitude {
            let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let factor = (f64::from(magnitude.data[o]) / norm) as f32;
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
}

struct Lora {
    scale: f32,
    dropout: f32,
    dora: Option<Dora>,
    gate: Option<Gate>,
    a: TrainedMatrix,
    b: TrainedMatrix,
}

struct Dora {
    magnitude: Slot,
    /// The squared norm of each row of W.
    squares: Vec<f32>,
}

impl Lora {
    /// A x, scaled: what B reads, `[T, r]`.
    fn inner(&self, cx: &mut Context, x: View<'_>) -> Buf {
        let mut inner = self.a.forward(cx, x);
        cx.scale(inner.view_mut(), self.scale);
        inner
    }

    /// `1 / ‖W + s B A‖` for each output, `[1, outputs]`.
    fn inverse_norms(&self, cx: &mut Context, params: &[f32], dora: &Dora, w: &Weight) -> Buf {
        let (a, b) = ((self.a.values(params), self.a.packed()), self.b.values(params));
        cx.inverse_norms_of_update((w, &dora.squares), a, b, self.scale)
    }

    /// Dropout on what A reads; none outside training.
    fn dropout(&self, key: Option<Key>) -> Option<Dropout> {
        key.filter(|_| self.dropout > 0.0).map(|key| Dropout::new(self.dropout, key.raw()))
    }

    /// x as A reads it, where that is not x.
    fn dropped(
        &self,
        cx: &mut Context,
        x: View<'_>,
        (spans, key): (&Spans, Option<Key>),
    ) -> Option<Buf> {
        let dropout = self.dropout(key)?;
        let mut x = cx.copy(x);
        cx.dropout_rows(dropout, spans, x.view_mut());
        Some(x)
    }
}

impl ProductSite for Lora {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        mut save: Save<'_>,
    ) {
        let mut y = io.y;
        let dropped = self.dropped(cx, io.x, (io.spans, io.dropout));
        let inner = self.inner(cx, dropped.as_ref().map_or(io.x, Buf::view));
        dropped.into_iter().for_each(|buffer| cx.give(buffer));
        let mut update = self.b.forward(cx, inner.view());
        let mut kept = Vec::new();
        if let Some(gate) = &self.gate {
            let open = gate.forward(cx, params, io.x, io.spans, save.reborrow());
            kept.push(cx.copy(update.view()));
            cx.scale_spans(update.view_mut(), io.spans, open.view());
            kept.push(open);
        }
        cx.add(y.reborrow(), update.view());
        cx.give(update);
        if let Some(dora) = &self.dora {
            let inverse = self.inverse_norms(cx, params, dora, &io.base.weight);
            if let Some(bias) = &io.base.bias {
                cx.add_scaled_row(y.reborrow(), -1.0, bias);
            }
            kept.push(cx.copy(y.read()));
            cx.multiply_row(y.reborrow(), &params[dora.magnitude.clone()]);
            cx.multiply_by_row(y.reborrow(), inverse.view());
            if let Some(bias) = &io.base.bias {
                cx.add_row(y, bias);
            }
            kept.push(inverse);
        }
        save.push(cx, inner);
        kept.into_iter().for_each(|buffer| save.push(cx, buffer));
    }

    fn reads_sequences(&self) -> bool {
        self.gate.is_some()
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.a.refresh(device, params);
        self.b.refresh(device, params);
        if let Some(gate) = &mut self.gate {
            gate.refresh(device, params);
        }
    }
}

impl InputGradient for Lora {
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: View<'_>,
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        let ProductBackward { mut d_y, mut d_x, spans, dropout: key, .. } = io;
        if let Some(dora) = &self.dora {
            let inverse = grads.pop();
            let plain = grads.pop();
            cx.multiply_by_row(d_y.reborrow(), inverse.view());
            cx.add_column_dots(plain.view(), d_y.read(), grads.of(&dora.magnitude));
            cx.multiply_row(d_y.reborrow(), &params[dora.magnitude.clone()]);
            cx.give(inverse);
            cx.give(plain);
        }
        let mut d_update = cx.copy(d_y.read());
        let d_open = self.gate.is_some().then(|| {
            let open = grads.pop();
            let update = grads.pop();
            let mut d = cx.take(spans.len(), 1);
            cx.span_dots(update.view(), d_update.view(), spans, d.view_mut());
            cx.scale_spans(d_update.view_mut(), spans, open.view());
            [open, update].into_iter().for_each(|buffer| cx.give(buffer));
            d
        });
        let inner = grads.pop();
        self.b.add_gradient(cx, inner.view(), d_update.view(), grads);
        let mut d_inner = inner;
        cx.linear_backward_input(d_update.view(), self.b.packed(), d_inner.view_mut(), false);
        cx.give(d_update);
        cx.scale(d_inner.view_mut(), self.scale);
        let dropped = self.dropped(cx, x, (spans, key));
        let read = dropped.as_ref().map_or(x, Buf::view);
        self.a.add_gradient(cx, read, d_inner.view(), grads);
        match (dropped, self.dropout(key)) {
            (Some(mut d), Some(dropout)) => {
                cx.linear_backward_input(d_inner.view(), self.a.packed(), d.view_mut(), false);
                cx.dropout_rows(dropout, spans, d.view_mut());
                cx.add(d_x.reborrow(), d.view());
                cx.give(d);
            }
            _ => cx.linear_backward_input(d_inner.view(), self.a.packed(), d_x.reborrow(), true),
        }
        cx.give(d_inner);
        if let (Some(gate), Some(d_open)) = (&self.gate, d_open) {
            let d = gate.backward(cx, x, spans, d_open, grads);
            cx.add(d_x, d.view());
            cx.give(d);
        }
    }
}
