//! How what a method trained becomes weights of the model.
//!
//! A method's hook takes the tensors that are its own out of the adapter and says what each of them
//! does to which tensor of the model. What no hook takes is an error, so nothing is left out in
//! silence.

use budwood_base::encoder::EncoderSpec;
use budwood_base::tensor::{Tensor, TensorMap};

use super::options::Options;
use crate::error::ModelError;

/// What a method says about merging.
pub(crate) enum Merge {
    /// It changes weights: the hook takes its tensors and notes the changes.
    Weights(fn(&Options<'_>, &mut Merging<'_>) -> Result<(), ModelError>),
    /// It is not a change of weights, for this reason.
    Never(&'static str),
}

/// The reason of all methods that put bottlenecks into the encoder.
pub(super) const BOTTLENECKS: Merge =
    Merge::Never("a bottleneck and its non-linearity are layers of their own");

/// Of all methods that train the model's own tensors: they take the place of the old ones.
pub(super) const OWN_TENSORS: Merge = Merge::Weights(|_, merging| merging.take_own_tensors());

/// Tensors of an adapter on their way into a model's weights.
pub(crate) struct Merging<'a> {
    encoder: &'a EncoderSpec,
    /// What no method has taken yet.
    left: TensorMap,
    changes: Vec<Change>,
}

/// What happens to one tensor of the model.
struct Change {
    name: String,
    kind: ChangeKind,
}

enum ChangeKind {
    Replace(Tensor),
    Update(Box<dyn FnOnce(&mut Tensor)>),
}

impl<'a> Merging<'a> {
    /// Everything that an adapter of this encoder holds but its head.
    pub(crate) fn new(encoder: &'a EncoderSpec, tensors: &TensorMap) -> Self {
        let left = tensors.iter().filter(|(name, _)| !name.starts_with("head."));
        let left = left.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Self { encoder, left, changes: Vec::new() }
    }

    /// The encoder that the adapter is for.
    pub(crate) fn encoder(&self) -> &'a EncoderSpec {
        self.encoder
    }

    /// Takes a tensor of the adapter.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn take(&mut self, name: &str) -> Result<Tensor, ModelError> {
        self.left.remove(name).ok_or_else(|| ModelError::Missing { name: name.into() })
    }

    /// Changes a tensor of the model.
    pub(crate) fn update(&mut self, name: String, change: impl FnOnce(&mut Tensor) + 'static) {
        self.changes.push(Change { name, kind: ChangeKind::Update(Box::new(change)) });
    }

    /// Takes all tensors that bear names of the model's own, to replace those.
    fn take_own_tensors(&mut self) -> Result<(), ModelError> {
        for tensor in self.encoder.tensors() {
            if let Some(trained) = self.left.remove(&tensor.name) {
                let kind = ChangeKind::Replace(trained);
                self.changes.push(Change { name: tensor.name, kind });
            }
        }
        Ok(())
    }

    /// The changed tensors of the model; `base` gives those that it has.
    ///
    /// # Errors
    /// If no method took some tensor, or `base` cannot give one.
    pub(crate) fn apply<E: From<ModelError>>(
        self,
        mut base: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<TensorMap, E> {
        if let Some(first) = self.left.keys().next() {
            let (count, first) = (self.left.len(), first.clone());
            return Err(ModelError::Extra { count, first }.into());
        }
        let mut changed = TensorMap::new();
        for Change { name, kind } in self.changes {
            let tensor = match kind {
                ChangeKind::Replace(tensor) => tensor,
                ChangeKind::Update(update) => {
                    let now = changed.remove(&name);
                    let mut tensor = now.map_or_else(|| base(&name), Ok)?;
                    update(&mut tensor);
                    tensor
                }
            };
            changed.insert(name, tensor);
        }
        Ok(changed)
    }
}
