//! Adapters that are changes of the model's own weights, as weights.

use budwood_base::encoder::EncoderSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};

use crate::error::ModelError;
use crate::method::merging::{Merge, Merging};
use crate::method::{self, METHODS};

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
    let mut merging = Merging::new(encoder, tensors);
    for part in method::resolve(spec)?.parts {
        let method = method::find(&part.name)?;
        match method.merge {
            Merge::Never(reason) => return Err(cannot(method.name, reason).into()),
            Merge::Weights(hook) => hook(&method.options(&part)?, &mut merging)?,
        }
    }
    merging.apply(base)
}

fn cannot(method: &str, reason: &str) -> ModelError {
    let can = METHODS.iter().filter(|m| m.cannot_merge().is_none());
    let can: Vec<_> = can.map(|m| m.name).collect();
    let reason = format!("{reason}; only {} can be merged", can.join(", "));
    ModelError::CannotMerge { method: method.into(), reason }
}
