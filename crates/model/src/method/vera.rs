//! VeRA (Kopiczko et al. 2024): y = W x + bias + b ∘ (B (d ∘ (A x))) at the chosen products.
//!
//! | | shape | |
//! |---|---|---|
//! | A | `[r, inputs]` | random and frozen |
//! | B | `[outputs, r]` | random and frozen |
//! | d | `[r]` | trained, starts at `d_initial` |
//! | b | `[outputs]` | trained, starts at zero |
//!
//! As in `peft` (`VeraConfig`), all sites share one pair of projections of the largest sizes among
//! them, uniform with the bound √(6 / fan-in), and a site reads A's first columns and B's first
//! rows. The projections are a function of `projection_prng_key` and their sizes alone, so that an
//! adapter's file holds d and b only. They are not the numbers that PyTorch's generator would give
//! for the same key.

use std::collections::BTreeMap;
use std::sync::Arc;

use budwood_base::encoder::EncoderSpec;
use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::site::WeightSite;
use budwood_base::tensor::Tensor;
use budwood_engine::{Buf, Context, Device, Dropout, Precision, Product, View, Weight};

use super::common::LEAVE_OUT;
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::error::ModelError;
use crate::params::{Init, Slot};
use crate::site::{OutputGradient, ProductBackward, ProductForward, ProductSite};
use crate::tape::{Grads, Save};

pub(super) const METHOD: Method = Method {
    name: "vera",
    title: "VeRA",
    year: 2024,
    url: "https://arxiv.org/abs/2310.11454",
    aliases: &[],
    summary: "Trained vectors around random projections that all products share (Kopiczko et al. 2024).",
    options: &[
        OptionSpec {
            name: "r",
            kind: Kind::Count,
            default: "256",
            help: "rank of the projections",
        },
        OptionSpec {
            name: "d_initial",
            kind: Kind::Number,
            default: "0.1",
            help: "initial value of the inner vector",
        },
        OptionSpec {
            name: "projection_prng_key",
            kind: Kind::Whole,
            default: "0",
            help: "seed of the projections, which are not saved",
        },
        OptionSpec {
            name: "targets",
            kind: Kind::Words(&names::WEIGHT_SITES),
            default: r#"["query","value"]"#,
            help: "products that are updated",
        },
        OptionSpec {
            name: "dropout",
            kind: Kind::Probability,
            default: "0.0",
            help: "dropout on what the update reads, in training",
        },
        LEAVE_OUT,
    ],
    examples: &[
        "vera[r=5]",
        "vera[r=3,d_initial=0.5,targets=[query,attention_out,ffn_in,ffn_out],leave_out=[0]]",
        "vera[r=4,dropout=0.3,projection_prng_key=7,targets=[value,ffn_out]]",
    ],
    needs_f32: false,
    merge: Merge::Weights(merge),
    build: |options, builder| {
        let (base, rank) = (builder.base(), options.count("r"));
        let (spec, device) = (base.spec(), base.device());
        let sites = targets(options);
        let projections = Projections::new(options, spec, &sites)?;
        // One packed copy for each size, which all sites of that size share.
        let (mut downs, mut ups) = (BTreeMap::new(), BTreeMap::new());
        let pack = |elements: &[f32], outputs, inputs| {
            Arc::new(Weight::new(device, elements, outputs, inputs, Precision::F32, true))
        };
        for layer in options.layers("leave_out", spec)? {
            for &site in &sites {
                let [outputs, inputs] = spec.site_shape(site);
                let d_initial = options.number("d_initial") as f32;
                let (downs, ups) = (&mut downs, &mut ups);
                builder.set_product(layer, site, |builder| {
                    let mut vector = |role, len, value| {
                        let name = parameter_name(layer, site, role);
                        builder.parameter(name, &[len], Init::Constant(value))
                    };
                    let (d, b) = (vector("d", rank, d_initial)?, vector("b", outputs, 0.0)?);
                    // Made only once the vectors are known to be those of the file.
                    let down = || pack(&projections.a(inputs), rank, inputs);
                    let down = Arc::clone(downs.entry(inputs).or_insert_with(down));
                    let up = || pack(&projections.b(outputs), outputs, rank);
                    let up = Arc::clone(ups.entry(outputs).or_insert_with(up));
                    Ok(Vera { d, b, down, up, dropout: options.number("dropout") as f32 })
                })?;
            }
        }
        Ok(())
    },
};

fn parameter_name(layer: usize, site: WeightSite, role: &str) -> String {
    names::in_layer(layer, &format!("{}.vera.{role}", site.name()))
}

fn targets(options: &Options<'_>) -> Vec<WeightSite> {
    let targets = options.words("targets");
    WeightSite::ALL.into_iter().filter(|s| targets.contains(&s.name())).collect()
}

/// Elements of the projections that are not much beside any model: 16 megabytes.
const ELEMENTS_FEW: usize = 1 << 22;

/// The random matrices, of which every element is a function of its place at their largest sizes.
struct Projections {
    rank: usize,
    /// Columns of A.
    inputs: usize,
    key: Key,
}

impl Projections {
    /// For these products of an encoder.
    ///
    /// # Errors
    /// If the rank makes them larger than the encoder.
    fn new(
        options: &Options<'_>,
        encoder: &EncoderSpec,
        sites: &[WeightSite],
    ) -> Result<Self, ModelError> {
        let rank = options.count("r");
        let largest = |[o, i]: [usize; 2], [p, j]: [usize; 2]| [o.max(p), i.max(j)];
        let shapes = sites.iter().map(|&site| encoder.site_shape(site));
        let [outputs, inputs] = shapes.fold([0, 0], largest);
        let most = encoder.parameters().max(ELEMENTS_FEW) / (outputs + inputs).max(1);
        if rank > most {
            let expected =
                format!("at most {most}, as the projections are no larger than the model");
            return Err(options.fault("r", &expected));
        }
        let key = Key::new(options.count("projection_prng_key") as u64).named("vera projections");
        Ok(Self { rank, inputs, key })
    }

    /// Uniform numbers of one matrix at these places.
    fn uniform(&self, name: &str, fan_in: usize, places: impl Iterator<Item = usize>) -> Vec<f32> {
        let (stream, bound) = (self.key.named(name), (6.0 / fan_in as f64).sqrt());
        places.map(|i| (bound * (2.0 * stream.uniform(i as u64) - 1.0)) as f32).collect()
    }

    /// The first columns of A, `[r, inputs]`.
    fn a(&self, inputs: usize) -> Vec<f32> {
        let row = |r: usize| r * self.inputs..r * self.inputs + inputs;
        self.uniform("a", self.inputs, (0..self.rank).flat_map(row))
    }

    /// The first rows of B, `[outputs, r]`.
    fn b(&self, outputs: usize) -> Vec<f32> {
        self.uniform("b", self.rank, 0..outputs * self.rank)
    }
}

/// W + diag(b) B diag(d) A.
fn merge(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let (spec, rank) = (merging.encoder(), options.count("r"));
    let sites = targets(options);
    let projections = Projections::new(options, spec, &sites)?;
    for layer in options.layers("leave_out", spec)? {
        for &site in &sites {
            let [outputs, inputs] = spec.site_shape(site);
            let d = merging.take(&parameter_name(layer, site, "d"))?;
            let b = merging.take(&parameter_name(layer, site, "b"))?;
            let (down, up) = (projections.a(inputs), projections.b(outputs));
            let name = names::in_layer(layer, &format!("{}.weight", site.name()));
            merging.update(name, move |w: &mut Tensor| {
                let rows = w.data.chunks_mut(inputs).zip(up.chunks(rank)).zip(&b.data);
                for ((row, up), b) in rows {
                    for ((up, d), a) in up.iter().zip(&d.data).zip(down.chunks(inputs)) {
                        let factor = b * up * d;
                        row.iter_mut().zip(a).for_each(|(w, a)| *w += factor * a);
                    }
                }
            });
        }
    }
    Ok(())
}

struct Vera {
    d: Slot,
    b: Slot,
    /// A.
    down: Arc<Weight>,
    /// B.
    up: Arc<Weight>,
    dropout: f32,
}

impl Vera {
    fn dropout(&self, key: Option<Key>) -> Option<Dropout> {
        key.filter(|_| self.dropout > 0.0).map(|key| Dropout::new(self.dropout, key.raw()))
    }
}

fn product(cx: &mut Context, weight: &Weight, x: View<'_>) -> Buf {
    let mut y = cx.take(x.n_rows(), weight.outputs());
    cx.linear(x, &mut [Product { weight, bias: None, out: y.view_mut() }]);
    y
}

impl ProductSite for Vera {
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        mut save: Save<'_>,
    ) {
        let mut inner = match self.dropout(io.dropout) {
            Some(dropout) => {
                let mut x = cx.copy(io.x);
                cx.dropout_rows(dropout, io.spans, x.view_mut());
                let inner = product(cx, &self.down, x.view());
                cx.give(x);
                inner
            }
            None => product(cx, &self.down, io.x),
        };
        save.push_copy(cx, inner.view());
        cx.multiply_row(inner.view_mut(), &params[self.d.clone()]);
        let mut update = product(cx, &self.up, inner.view());
        cx.give(inner);
        save.push_copy(cx, update.view());
        cx.multiply_row(update.view_mut(), &params[self.b.clone()]);
        cx.add(io.y, update.view());
        cx.give(update);
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

impl OutputGradient for Vera {
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        let ProductBackward { d_y, mut d_x, spans, dropout: key, .. } = io;
        let (update, inner) = (grads.pop(), grads.pop());
        cx.add_column_dots(update.view(), d_y.read(), grads.of(&self.b));
        let mut d_update = update;
        cx.assign(d_update.view_mut(), d_y.read());
        cx.multiply_row(d_update.view_mut(), &params[self.b.clone()]);
        let mut d_inner = cx.take(inner.rows(), inner.columns());
        cx.linear_backward_input(d_update.view(), &self.up, d_inner.view_mut(), false);
        cx.add_column_dots(inner.view(), d_inner.view(), grads.of(&self.d));
        cx.multiply_row(d_inner.view_mut(), &params[self.d.clone()]);
        match self.dropout(key) {
            Some(dropout) => {
                let mut d = cx.take(d_inner.rows(), self.down.inputs());
                cx.linear_backward_input(d_inner.view(), &self.down, d.view_mut(), false);
                cx.dropout_rows(dropout, spans, d.view_mut());
                cx.add(d_x.reborrow(), d.view());
                cx.give(d);
            }
            None => cx.linear_backward_input(d_inner.view(), &self.down, d_x, true),
        }
        [d_update, inner, d_inner].into_iter().for_each(|buffer| cx.give(buffer));
    }
}
