//! Adapters that are changes of the model's own weights, as weights, and what of others stays
//! beside them.

use budwood_base::encoder::EncoderSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};

use crate::error::ModelError;
use crate::method::merging::{Changes, Merging};
use crate::method::{self, METHODS};
use crate::modules::{Modules, Small};

/// The tensors of a base of this kind as an adapter changes them, by canonical name; the head is
/// left out. `base` gives the base's own tensors. How a method merges, or why it cannot, is in its
/// file.
///
/// # Errors
/// If a method puts anything into the encoder that no weight can hold, a tensor is missing or left
/// over, or `base` cannot give one.
pub fn merged<E: From<ModelError>>(
    spec: &MethodSpec,
    encoder: &EncoderSpec,
    tensors: &TensorMap,
    base: impl FnMut(&str) -> Result<Tensor, E>,
) -> Result<TensorMap, E> {
    for part in method::resolve(spec)?.parts {
        let method = method::find(&part.name)?;
        if let Some(reason) = method.cannot_merge() {
            return Err(cannot(method.name, reason).into());
        }
    }
    let Parted { changes, modules } = parted(spec, encoder, tensors, Small::Merged)?;
    match modules.updates.is_empty() {
        true => changes.all(base),
        false => Err(method::gates_stay().into()),
    }
}

/// An adapter as changes of the base's weights and what stays beside them.
pub struct Parted {
    changes: Changes,
    /// What stays.
    pub modules: Modules,
}

impl Parted {
    /// Whether the adapter changes a tensor of the base.
    pub fn changes(&self, name: &str) -> bool {
        self.changes.touch(name)
    }

    /// A tensor of the base as the adapter changes it, once: the change is forgotten then. `base`
    /// gives the base's own.
    ///
    /// # Errors
    /// What `base` gives.
    pub fn take<E>(
        &mut self,
        name: &str,
        base: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<Tensor, E> {
        self.changes.take(name, base)
    }
}

/// Parts any adapter of a base of this kind; the head is left out. Its tensors should be those of
/// the method (`Adapter::from_tensors` checks that).
///
/// # Errors
/// If a tensor is missing or left over.
pub fn parted(
    spec: &MethodSpec,
    encoder: &EncoderSpec,
    tensors: &TensorMap,
    small: Small,
) -> Result<Parted, ModelError> {
    let mut merging = Merging::new(encoder, tensors, small);
    for part in method::resolve(spec)?.parts {
        let method = method::find(&part.name)?;
        (method.merge.hook())(&method.options(&part)?, &mut merging)?;
    }
    let (changes, modules) = merging.end()?;
    Ok(Parted { changes, modules })
}

fn cannot(method: &str, reason: &str) -> ModelError {
    let can = METHODS.iter().filter(|m| m.cannot_merge().is_none());
    let can: Vec<_> = can.map(|m| m.name).collect();
    let reason = format!("{reason}; only {} can be merged", can.join(", "));
    ModelError::CannotMerge { method: method.into(), reason }
}
