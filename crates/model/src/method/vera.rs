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
    merge: Merge::Weights(merge),
    build: |options, builder| {
        let (base, rank) = (builder.base(), options.count("r"));
        let (spec, device) = (base.spec(), base.device());
        let sites = targets(options);
        let projections = Projections::new(options, sites.iter().map(|&s| spec.site_shape(s)));
        // One packed copy for each size, which all sites of that size share.
        let (mut downs, mut ups) = (BTreeMap::new(), BTreeMap::new());
        let pack = |elements: &[f32], outputs, inputs| {
            Arc::new(Weight::new(device, elements, outputs, inputs, Precision::F32, true))
        };
        for layer in options.layers("leave_out", spec.layers)? {
            for &site in &sites {
                let [outputs, inputs] = spec.site_shape(site);
                let down = || pack(&projections.a(inputs), rank, inputs);
                let down = Arc::clone(downs.entry(inputs).or_insert_with(down));
                let up = || pack(projections.b(outputs), outputs, rank);
                let up = Arc::clone(ups.entry(outputs).or_insert_with(up));
                let d_initial = options.number("d_initial") as f32;
                builder.set_product(layer, site, |builder| {
                    let mut vector = |role, len, value| {
                        let name = parameter_name(layer, site, role);
                        builder.parameter(name, &[len], Init::Constant(value))
                    };
                    Vera {
                        d: vector("d", rank, d_initial),
                        b: vector("b", outputs, 0.0),
                        down,
                        up,
                        dropout: options.number("dropout") as f32,
                    }
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

/// The random matrices at their largest sizes.
struct Projections {
    rank: usize,
    /// Columns of `a`.
    inputs: usize,
    /// A, `[r, inputs]`.
    a: Vec<f32>,
    /// B, `[outputs, r]`.
    b: Vec<f32>,
}

impl Projections {
    /// For sites of these shapes, `[outputs, inputs]`.
    fn new(options: &Options<'_>, shapes: impl Iterator<Item = [usize; 2]>) -> Self {
        let rank = options.count("r");
        let largest = |[o, i]: [usize; 2], [p, j]: [usize; 2]| [o.max(p), i.max(j)];
        let [outputs, inputs] = shapes.fold([0, 0], largest);
        let key = Key::new(options.count("projection_prng_key") as u64).named("vera projections");
        let uniform = |name: &str, len: usize, fan_in: usize| {
            let (stream, bound) = (key.named(name), (6.0 / fan_in as f64).sqrt());
            let numbers = (0..len as u64).map(|i| (bound * (2.0 * stream.uniform(i) - 1.0)) as f32);
            numbers.collect()
        };
        let (a, b) = (uniform("a", rank * inputs, inputs), uniform("b", outputs * rank, rank));
        Self { rank, inputs, a, b }
    }

    /// The first columns of A, `[r, inputs]`.
    fn a(&self, inputs: usize) -> Vec<f32> {
        self.a.chunks(self.inputs).flat_map(|row| &row[..inputs]).copied().collect()
    }

    /// The first rows of B, `[outputs, r]`.
    fn b(&self, outputs: usize) -> &[f32] {
        &self.b[..outputs * self.rank]
    }
}

/// W + diag(b) B diag(d) A.
fn merge(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let (spec, rank) = (merging.encoder(), options.count("r"));
    let sites = targets(options);
    let projections = Projections::new(options, sites.iter().map(|&s| spec.site_shape(s)));
    for layer in options.layers("leave_out", spec.layers)? {
        for &site in &sites {
            let [outputs, inputs] = spec.site_shape(site);
            let d = merging.take(&parameter_name(layer, site, "d"))?;
            let b = merging.take(&parameter_name(layer, site, "b"))?;
            let (down, up) = (projections.a(inputs), projections.b(outputs).to_vec());
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
                cx.dropout(dropout, x.view_mut());
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
        let ProductBackward { d_y, mut d_x, dropout: key, .. } = io;
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
                cx.dropout(dropout, d.view_mut());
                cx.add(d_x.reborrow(), d.view());
                cx.give(d);
            }
            None => cx.linear_backward_input(d_inner.view(), &self.down, d_x, true),
        }
        [d_update, inner, d_inner].into_iter().for_each(|buffer| cx.give(buffer));
    }
}
