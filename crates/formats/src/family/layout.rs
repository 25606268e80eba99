//! Which rows of our tensors each tensor of a checkpoint holds.

use std::collections::BTreeMap;
use std::ops::Range;

use budwood_base::encoder::{EncoderSpec, TensorSpec};
use budwood_base::names;

use super::definition::Family;

/// A tensor of a checkpoint: rows of ours, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name, prefix included.
    pub name: String,
    /// What it holds.
    pub pieces: Vec<Piece>,
}

/// Rows of one of our tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Our tensor.
    pub tensor: TensorSpec,
    /// The rows of it.
    pub rows: Range<usize>,
}

impl Stored {
    /// Its shape, where its tensors have as many dimensions there as here.
    pub fn shape(&self) -> Vec<usize> {
        let rows = self.pieces.iter().map(|piece| piece.rows.len()).sum();
        let columns = self.pieces.first().map_or(&[][..], |piece| &piece.tensor.shape[1..]);
        [&[rows], columns].concat()
    }

    /// Our tensor, if it is this one as a whole.
    pub fn whole(&self) -> Option<&TensorSpec> {
        match &self.pieces[..] {
            [one] if one.rows.len() == one.tensor.shape[0] => Some(&one.tensor),
            _ => None,
        }
    }
}

impl Family {
    /// The tensors of a checkpoint of an encoder, in the order of the encoder's own.
    pub fn layout(&self, spec: &EncoderSpec) -> Vec<Stored> {
        let mut all: Vec<Stored> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for tensor in spec.tensors() {
            let rows = tensor.shape[0];
            let names = self.stored_names(&tensor.name);
            let part = rows / names.len();
            for (i, name) in names.into_iter().enumerate() {
                let piece = Piece { tensor: tensor.clone(), rows: i * part..(i + 1) * part };
                let place = *places.entry(name.clone()).or_insert(all.len());
                match all.get_mut(place) {
                    Some(stored) => stored.pieces.push(piece),
                    None => all.push(Stored { name, pieces: vec![piece] }),
                }
            }
        }
        all
    }

    /// The tensors of a checkpoint that hold one of ours: the rows of ours in order.
    fn stored_names(&self, canonical: &str) -> Vec<String> {
        if let Some((layer, rest)) = names::split_layer(canonical)
            && let Some((site, role)) = rest.split_once('.')
        {
            let full = |module: &str| {
                format!("{}.{}.{module}.{role}", self.prefix, self.layer_name(layer))
            };
            if let Some((module, _)) = self.fused.iter().find(|(_, ours)| ours.contains(&site)) {
                return vec![full(module)];
            }
            if let Some((_, modules)) = self.parted.iter().find(|(ours, _)| *ours == site) {
                return modules.iter().map(|module| full(module)).collect();
            }
        }
        vec![self.checkpoint_name(canonical).unwrap_or_else(|| canonical.into())]
    }
}
