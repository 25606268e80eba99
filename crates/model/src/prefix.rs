//! Prefixes: trained keys and values before those of each sequence (Li and Liang 2021), given
//! directly or made by a small network from trained vectors.

use std::ops::Range;

use budwood_engine::{Activation, Buf, Context, Device};

use crate::gate::Gate;
use crate::linear::TrainedLinear;
use crate::params::Slot;
use crate::tape::{Grads, Save};

/// The prefixes of all layers of an adapter.
pub(crate) struct Prefix {
    /// Rows of each.
    pub(crate) length: usize,
    /// Width of keys and values.
    pub(crate) width: usize,
    /// Whether the positions of a text's tokens follow those of these rows.
    pub(crate) counted: bool,
    /// The layers that have one, in order.
    pub(crate) layers: Vec<usize>,
    pub(crate) source: Source,
    /// A gate for each of these layers, or none.
    pub(crate) gates: Vec<Gate>,
}

/// Where the rows come from.
pub(crate) enum Source {
    /// Parameters `[length, d]` for the keys and for the values of each layer.
    Flat(Vec<[Slot; 2]>),
    /// Made by a network.
    Made(Box<Network>),
}

/// `W2 f(W1 e + b1) + b2` for trained vectors e.
pub(crate) struct Network {
    pub(crate) embedding: Slot,
    pub(crate) inner: TrainedLinear,
    pub(crate) activation: Activation,
    pub(crate) outer: TrainedLinear,
}

impl Prefix {
    /// The columns of a layer's keys and values in [`Prefix::rows`].
    pub(crate) fn columns(&self, layer: usize) -> Option<(Range<usize>, Range<usize>)> {
        let place = 2 * self.layers.iter().position(|&l| l == layer)? * self.width;
        Some((place..place + self.width, place + self.width..place + 2 * self.width))
    }

    /// What opens it in a layer, if anything does.
    pub(crate) fn gate(&self, layer: usize) -> Option<&Gate> {
        self.gates.get(self.layers.iter().position(|&l| l == layer)?)
    }

    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        if let Source::Made(network) = &mut self.source {
            network.inner.refresh(device, params);
            network.outer.refresh(device, params);
        }
        self.gates.iter_mut().for_each(|gate| gate.refresh(device, params));
    }

    /// The rows `[length, 2 d layers]`: for each layer its keys and its values.
    pub(crate) fn rows(&self, cx: &mut Context, params: &[f32], mut save: Save<'_>) -> Buf {
        match &self.source {
            Source::Flat(slots) => {
                let mut rows = cx.take(self.length, 2 * self.width * slots.len());
                for (i, slot) in slots.iter().flatten().enumerate() {
                    let given = cx.upload(&params[slot.clone()], self.width);
                    let columns = i * self.width..(i + 1) * self.width;
                    cx.assign(rows.view_mut().columns(columns), given.view());
                    cx.give(given);
                }
                rows
            }
            Source::Made(network) => {
                let Network { embedding, inner, activation, outer } = &**network;
                let x = cx.upload(&params[embedding.clone()], self.width);
                let pre = inner.forward(cx, params, x.view());
                let mut active = cx.take(pre.rows(), pre.columns());
                cx.activation(*activation, pre.view(), active.view_mut());
                let rows = outer.forward(cx, params, active.view());
                [x, pre, active].into_iter().for_each(|buffer| save.push(cx, buffer));
                rows
            }
        }
    }

    /// Adds the parameters' gradients. Consumes the gradient of [`Prefix::rows`].
    pub(crate) fn backward(&self, cx: &mut Context, d: Buf, grads: &mut Grads<'_>) {
        match &self.source {
            Source::Flat(slots) => {
                let numbers: Vec<u32> = (0..self.length as u32).collect();
                for (i, slot) in slots.iter().flatten().enumerate() {
                    let columns = i * self.width..(i + 1) * self.width;
                    let d = d.view().columns(columns);
                    cx.add_rows_backward(d, &numbers, grads.of(slot));
                }
            }
            Source::Made(network) => {
                let Network { embedding, inner, activation, outer } = &**network;
                let (active, pre, x) = (grads.pop(), grads.pop(), grads.pop());
                let mut d_active = outer.backward(cx, active.view(), d.view(), grads);
                cx.activation_backward(*activation, pre.view(), d_active.view_mut());
                let d_x = inner.backward(cx, x.view(), d_active.view(), grads);
                let numbers: Vec<u32> = (0..self.length as u32).collect();
                cx.add_rows_backward(d_x.view(), &numbers, grads.of(embedding));
                [active, pre, x, d_active, d_x].into_iter().for_each(|buffer| cx.give(buffer));
            }
        }
        cx.give(d);
    }
}
