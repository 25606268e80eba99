//! How what a method trained becomes weights of the model, and what stays beside them.
//!
//! A method's hook takes the tensors that are its own out of the adapter and says what each of them
//! does to which tensor of the model, or puts it among the modules. What no hook takes is an error,
//! so nothing is left out in silence.

use std::collections::BTreeMap;

use budwood_base::encoder::EncoderSpec;
use budwood_base::tensor::{Tensor, TensorMap};

use super::options::Options;
use crate::error::ModelError;
use crate::modules::{Affine, Modules, Small};

/// Takes a method's tensors.
type Hook = fn(&Options<'_>, &mut Merging<'_>) -> Result<(), ModelError>;

/// What a method says about merging.
pub(crate) enum Merge {
    /// It changes weights.
    Weights(Hook),
    /// It is more than a change of weights, for this reason: it leaves modules.
    Beside(&'static str, Hook),
}

impl Merge {
    /// What takes the method's tensors.
    pub(crate) fn hook(&self) -> Hook {
        let (Self::Weights(hook) | Self::Beside(_, hook)) = self;
        *hook
    }
}

/// Of all methods that train the model's own tensors: they take the place of the old ones.
pub(super) const OWN_TENSORS: Merge = Merge::Weights(|_, merging| {
    merging.take_own_tensors();
    Ok(())
});

/// Tensors of an adapter on their way into a model's weights.
pub(crate) struct Merging<'a> {
    encoder: &'a EncoderSpec,
    /// What no method has taken yet.
    left: TensorMap,
    changes: Changes,
    /// Whether what is small stays.
    pub(crate) small: Small,
    /// What stays beside the weights.
    pub(crate) modules: Modules,
}

/// What happens to tensors of the model, by their names.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<String, Vec<Change>>);

enum Change {
    Replace(Tensor),
    Update(Box<dyn FnOnce(&mut Tensor)>),
}

impl<'a> Merging<'a> {
    /// Everything that an adapter of this encoder holds but its head.
    pub(crate) fn new(encoder: &'a EncoderSpec, tensors: &TensorMap, small: Small) -> Self {
        let left = tensors.iter().filter(|(name, _)| !name.starts_with("head."));
        let left = left.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Self { encoder, left, changes: Changes::default(), small, modules: Modules::default() }
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

    /// Takes an affine product of the adapter.
    ///
    /// # Errors
    /// If a tensor of it is not there.
    pub(crate) fn affine(&mut self, name: &str) -> Result<Affine, ModelError> {
        let mut take = |role: &str| self.take(&format!("{name}.{role}"));
        Ok(Affine { weight: take("weight")?, bias: take("bias")? })
    }

    /// Changes a tensor of the model.
    pub(crate) fn update(&mut self, name: String, change: impl FnOnce(&mut Tensor) + 'static) {
        self.changes.0.entry(name).or_default().push(Change::Update(Box::new(change)));
    }

    /// Takes all tensors that bear names of the model's own, to replace those.
    pub(super) fn take_own_tensors(&mut self) {
        for tensor in self.encoder.tensors() {
            if let Some(trained) = self.left.remove(&tensor.name) {
                self.changes.0.entry(tensor.name).or_default().push(Change::Replace(trained));
            }
        }
    }

    /// What was noted.
    ///
    /// # Errors
    /// If no method took some tensor.
    pub(crate) fn end(self) -> Result<(Changes, Modules), ModelError> {
        if let Some(first) = self.left.keys().next() {
            return Err(ModelError::Extra { count: self.left.len(), first: first.clone() });
        }
        Ok((self.changes, self.modules))
    }
}

impl Changes {
    /// Whether a tensor is among them.
    pub(crate) fn touch(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A tensor of the model as it is changed; `base` gives those that the model has.
    ///
    /// # Errors
    /// What `base` gives.
    pub(crate) fn take<E>(
        &mut self,
        name: &str,
        mut base: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<Tensor, E> {
        let mut tensor = None;
        for change in self.0.remove(name).unwrap_or_default() {
            tensor = Some(match change {
                Change::Replace(trained) => trained,
                Change::Update(update) => {
                    let mut tensor = tensor.map_or_else(|| base(name), Ok)?;
                    update(&mut tensor);
                    tensor
                }
            });
        }
        tensor.map_or_else(|| base(name), Ok)
    }

    /// All changed tensors of the model; `base` gives those that it has.
    ///
    /// # Errors
    /// What `base` gives.
    pub(crate) fn all<E>(
        mut self,
        mut base: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<TensorMap, E> {
        let names: Vec<String> = self.0.keys().cloned().collect();
        let changed = names.into_iter().map(|name| {
            let tensor = self.take(&name, &mut base)?;
            Ok((name, tensor))
        });
        changed.collect()
    }
}
