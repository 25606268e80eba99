//! What distances between tokens add to the scores of attention: biases by distance (MPNet, T5) and
//! the two terms of disentangled attention (DeBERTa).
//!
//! With x the table's rows after their norm, disentangled attention's score of a query q and a key
//! k at a distance with row r is scaled `q k + q (Wk x)[r] + k (Wq x)[r]`, where the products are
//! the layer's own for keys and queries or products of their own. Where nothing in them is trained,
//! [`crate::Base`] holds their results; else they are made for each pass, with what methods do at
//! them, of the rows that its distances reach. Dropout on the rows, which DeBERTa has in training,
//! is left out.

use std::borrow::Cow;
use std::ops::Range;

use budwood_base::encoder::{Disentangled, Positions};
use budwood_base::site::WeightSite;
use budwood_engine::{
    AttentionBias, AttentionBiasGradient, Buf, Context, Product, Spans, View, ViewMut,
};

use super::pass::{At, Part};
use crate::base::Relative;
use crate::distance::by_distance_backward;
use crate::linear::TrainedLinear;
use crate::norm::NormRef;
use crate::site::{AtProduct, ProductBackward, ProductForward};
use crate::sites::RelativeSlots;
use crate::tape::{Grads, Save};

/// The products that make the terms: what queries meet, and what keys meet.
const SITES: [WeightSite; 2] = [WeightSite::Key, WeightSite::Query];

/// Sequences whose attention reads the same tables.
pub(super) struct Group {
    pub(super) sequences: Range<usize>,
    /// The first of the parts that they belong to.
    part: usize,
}

/// The sequences of a pass in groups: all in one, or those of each part where some part makes
/// tables of its own.
pub(super) fn groups(at: At<'_>) -> Vec<Group> {
    let parts = &at.pass.parts;
    if !parts.iter().any(|part| makes_own(at, part)) {
        return vec![whole(at)];
    }
    let mut next = 0;
    let group = |(i, part): (usize, &Part<'_>)| {
        let sequences = next..next + part.spans.len();
        next = sequences.end;
        Group { sequences, part: i }
    };
    parts.iter().enumerate().map(group).collect()
}

/// All sequences of a pass of one part.
pub(super) fn whole(at: At<'_>) -> Group {
    Group { sequences: 0..at.pass.spans.len(), part: 0 }
}

fn disentangled(at: At<'_>) -> Option<&Disentangled> {
    match &at.pass.base.spec().axes.positions {
        Positions::Disentangled(spec) => Some(spec),
        _ => None,
    }
}

/// Whether a part's tables are not the base's.
fn makes_own(at: At<'_>, part: &Part<'_>) -> bool {
    part.acting.relative_slots().is_some()
        || disentangled(at).is_some()
            && (0..2).any(|i| Maker::new(at, part, i).is_some_and(|maker| maker.is_adapted()))
}

/// What makes one term for a part.
struct Maker<'a> {
    site: WeightSite,
    method: Option<&'a AtProduct>,
    trained: Option<&'a TrainedLinear>,
    states_trained: bool,
}

impl<'a> Maker<'a> {
    /// Of term `i`; none where the encoder has no such term.
    fn new(at: At<'a>, part: &Part<'a>, i: usize) -> Option<Self> {
        let spec = disentangled(at)?;
        [spec.keys, spec.queries][i].then(|| Self {
            site: SITES[i],
            method: at.product(part, SITES[i]).filter(|_| spec.shared),
            trained: part.acting.trained_relative(at.layer, i).filter(|_| !spec.shared),
            states_trained: part.acting.relative_slots().is_some(),
        })
    }

    fn is_adapted(&self) -> bool {
        self.method.is_some() || self.trained.is_some() || self.states_trained
    }

    /// Whether what it makes of a row of the table depends on all its rows.
    fn reads_all(&self) -> bool {
        self.method.is_some_and(|method| method.forward_site().reads_sequences())
    }
}

/// The terms that a part makes itself.
#[derive(Default)]
pub(crate) struct Made {
    terms: [Option<Buf>; 2],
    /// The rows of the table that they are of.
    rows: Range<usize>,
}

impl Made {
    pub(super) fn free(self, cx: &mut Context) {
        self.terms.into_iter().flatten().for_each(|buffer| cx.give(buffer));
    }
}

/// The longest of some sequences.
fn longest(at: At<'_>, group: &Group) -> usize {
    group.sequences.clone().map(|i| at.pass.spans.get(i).len()).max().unwrap_or(0)
}

/// The part of a list by distance that sequences of this length reach.
fn reached<T>(by_distance: &[T], longest: usize) -> &[T] {
    let middle = by_distance.len() / 2;
    let reach = middle.min(longest.saturating_sub(1));
    &by_distance[middle - reach..=middle + reach]
}

/// The rows from the first to the last of some.
fn bounds(rows: &[u16]) -> Range<usize> {
    let (first, last) = (rows.iter().min(), rows.iter().max());
    first.map_or(0, |&row| row.into())..last.map_or(0, |&row| usize::from(row) + 1)
}

/// Makes the terms that a group does not have from the base.
pub(super) fn make(cx: &mut Context, at: At<'_>, group: &Group, mut save: Save<'_>) -> Made {
    let base = at.pass.base;
    let Some(Relative::Disentangled { states, rows, .. }) = &base.relative else {
        return Made::default();
    };
    let part = &at.pass.parts[group.part];
    let makers = [0, 1].map(|i| Maker::new(at, part, i).filter(Maker::is_adapted));
    if makers.iter().all(Option::is_none) {
        return Made::default();
    }
    let rows = match makers.iter().flatten().any(Maker::reads_all) {
        true => 0..states.rows(),
        false => bounds(reached(rows, longest(at, group))),
    };
    let x = match part.acting.relative_slots() {
        Some((RelativeSlots::Disentangled { table, .. }, params)) => {
            let d = states.columns();
            let table = &params[table.clone()][rows.start * d..rows.end * d];
            let mut x = cx.upload(table, d);
            if let Some(norm) = part.acting.relative_norm() {
                norm.forward(cx, x.view_mut(), save.reborrow());
            }
            x
        }
        _ => cx.copy(states.view().rows(rows.clone())),
    };
    let one = Spans::from_lengths([rows.len()]);
    let mut made = |i: usize| {
        let maker = makers[i].as_ref()?;
        let (layer, params) = (base.layer(at.layer), part.acting.params());
        let frozen = layer.relative(i).unwrap_or(layer.linear(maker.site));
        let mut y = cx.take(rows.len(), states.columns());
        let out = y.view_mut();
        match maker.trained {
            Some(trained) => {
                let (weight, bias) = (trained.packed(), trained.bias_of(params));
                cx.linear(x.view(), &mut [Product { weight, bias, out }]);
            }
            None if maker.method.is_some_and(|m| m.forward_site().replaces()) => {}
            None => {
                let (weight, bias) = (&frozen.weight, frozen.bias.as_deref());
                cx.linear(x.view(), &mut [Product { weight, bias, out }]);
            }
        }
        if let Some(method) = maker.method {
            let dropout = at.product_dropout(maker.site).map(|key| key.named("distances"));
            let (x, y) = (x.view(), y.view_mut());
            let io = ProductForward { base: frozen, x, y, spans: &one, dropout };
            method.forward_site().forward(cx, params, io, save.reborrow());
        }
        Some(y)
    };
    let terms = [made(0), made(1)];
    save.push(cx, x);
    Made { terms, rows }
}

/// What distances add to the scores of a group.
pub(super) struct Bias<'a> {
    terms: [Option<View<'a>>; 2],
    rows: Cow<'a, [u16]>,
    by_distance: Option<&'a [f32]>,
}

impl<'a> Bias<'a> {
    pub(super) fn new(at: At<'a>, group: &Group, made: &'a Made) -> Self {
        let base = at.pass.base;
        let none = Self { terms: [None, None], rows: Cow::Borrowed(&[]), by_distance: None };
        match &base.relative {
            None => none,
            Some(Relative::Bias { by_distance, .. }) => {
                let slots = at.pass.parts[group.part].acting.relative_slots();
                let by_distance = match slots {
                    Some((RelativeSlots::Bias { by_distance, .. }, _)) => by_distance,
                    _ => by_distance,
                };
                Self { by_distance: Some(by_distance), ..none }
            }
            Some(Relative::Disentangled { rows, .. }) => {
                let own = made.terms.iter().any(Option::is_some);
                let layer = base.layer(at.layer);
                let term = |i: usize| match &made.terms[i] {
                    Some(made) => Some(made.view()),
                    None => {
                        let frozen = layer.term(i)?.view();
                        Some(if own { frozen.rows(made.rows.clone()) } else { frozen })
                    }
                };
                let rows = match own {
                    true => {
                        let reached = reached(rows, longest(at, group)).iter();
                        Cow::Owned(reached.map(|row| row - made.rows.start as u16).collect())
                    }
                    false => Cow::Borrowed(&rows[..]),
                };
                Self { terms: [term(0), term(1)], rows, ..none }
            }
        }
    }

    pub(super) fn of_attention(&self) -> AttentionBias<'_> {
        match (self.by_distance, self.terms) {
            (Some(table), _) => AttentionBias::Distance { table },
            (None, [None, None]) => AttentionBias::None,
            (None, [c2p, p2c]) => AttentionBias::Disentangled { c2p, p2c, rows: &self.rows },
        }
    }
}

/// The gradients of what distances add, for a pass of one part.
pub(super) struct BiasGradient {
    terms: [Option<Buf>; 2],
    by_distance: Option<Vec<f32>>,
}

impl BiasGradient {
    /// Zeros for what is trained.
    pub(super) fn new(cx: &mut Context, at: At<'_>, made: &Made) -> Self {
        let mut zeros = |i: usize| {
            let made = made.terms[i].as_ref()?;
            Some(cx.zeros(made.rows(), made.columns()))
        };
        let terms = [zeros(0), zeros(1)];
        let by_distance = match at.pass.parts[0].acting.relative_slots() {
            Some((RelativeSlots::Bias { by_distance, .. }, _)) => {
                Some(vec![0.0; by_distance.len()])
            }
            _ => None,
        };
        Self { terms, by_distance }
    }

    pub(super) fn of_attention(&mut self) -> AttentionBiasGradient<'_> {
        let [c2p, p2c] = &mut self.terms;
        match &mut self.by_distance {
            Some(by_distance) => AttentionBiasGradient::Distance(by_distance),
            None if c2p.is_none() && p2c.is_none() => AttentionBiasGradient::None,
            None => AttentionBiasGradient::Disentangled {
                c2p: c2p.as_mut().map(Buf::view_mut),
                p2c: p2c.as_mut().map(Buf::view_mut),
            },
        }
    }

    /// Adds the gradients of what is trained: through the tables by distance, and back through
    /// [`make`].
    pub(super) fn add(self, cx: &mut Context, at: At<'_>, made: &Made, grads: &mut Grads<'_>) {
        let part = &at.pass.parts[0];
        if let (Some(d), Some((RelativeSlots::Bias { table, .. }, _)), Some(buckets)) =
            (self.by_distance, part.acting.relative_slots(), at.pass.base.bias_buckets())
        {
            by_distance_backward(&d, at.pass.base.spec().heads, buckets, grads.of(table));
        }
        if self.terms.iter().all(Option::is_none) {
            return;
        }
        let x = grads.pop();
        let mut d_x = cx.zeros(x.rows(), x.columns());
        for (i, d_y) in self.terms.into_iter().enumerate().rev() {
            let (Some(mut d_y), Some(maker)) = (d_y, Maker::new(at, part, i)) else { continue };
            term_backward(cx, at, (part, &maker, i), x.view(), d_y.view_mut(), &mut d_x, grads);
            cx.give(d_y);
        }
        if let Some((RelativeSlots::Disentangled { table, .. }, _)) = part.acting.relative_slots() {
            if let Some(norm) = part.acting.relative_norm() {
                NormRef::backward(&norm, cx, d_x.view_mut(), grads);
            }
            let rows: Vec<u32> = made.rows.clone().map(|row| row as u32).collect();
            cx.add_rows_backward(d_x.view(), &rows, grads.of(table));
        }
        [x, d_x].into_iter().for_each(|buffer| cx.give(buffer));
    }
}

/// From the gradient of a term to that of the table's rows, which is added to `d_x`.
fn term_backward(
    cx: &mut Context,
    at: At<'_>,
    (part, maker, i): (&Part<'_>, &Maker<'_>, usize),
    x: View<'_>,
    mut d_y: ViewMut<'_>,
    d_x: &mut Buf,
    grads: &mut Grads<'_>,
) {
    if let Some(method) = maker.method {
        let one = Spans::from_lengths([x.n_rows()]);
        let dropout = at.product_dropout(maker.site).map(|key| key.named("distances"));
        let layer = at.pass.base.layer(at.layer);
        let base = layer.relative(i).unwrap_or(layer.linear(maker.site));
        let (d_y, d_x) = (d_y.reborrow(), d_x.view_mut());
        let io = ProductBackward { base, d_y, d_x, spans: &one, dropout };
        match method {
            AtProduct::Output(site) => site.backward(cx, part.acting.params(), io, grads),
            AtProduct::Input(site) => site.backward(cx, part.acting.params(), x, io, grads),
        }
        if method.forward_site().replaces() {
            return;
        }
    }
    if let Some(trained) = maker.trained {
        trained.add_gradients(cx, x, d_y.read(), grads);
    }
    if maker.states_trained {
        let layer = at.pass.base.layer(at.layer);
        let frozen = layer.relative(i).unwrap_or(layer.linear(maker.site));
        let weight = maker.trained.map_or(&frozen.weight, TrainedLinear::packed);
        cx.linear_backward_input(d_y.read(), weight, d_x.view_mut(), true);
    }
}
