//! A base model's folder with large weights as signed bytes, a quarter of the size: the files of
//! the model it was made from, with `model.safetensors` rewritten and `budwood.json` beside it.
//!
//! A weight `NAME`, `[rows, columns]`, is of type I8 and `NAME.scale`, `[rows]`, holds a scale for
//! each row. Everything else is f32. `budwood.json` keeps the identity of the model it was made
//! from, so that adapters fit both.

use std::path::Path;

use budwood_base::digest;
use budwood_base::encoder::{TensorKind, TensorSpec};
use budwood_base::names;
use budwood_base::record::BaseId;
use safetensors::Dtype;

use crate::manifest::{MANIFEST, Manifest};
use crate::model_folder::{copy_others, write_new};
use crate::safetensors_file::{Raw, serialize};
use crate::weights::scale_name;
use crate::{BaseModel, Error};

/// Writes `model` to a new folder. `quantize` gives the bytes and row scales of a matrix with so
/// many columns. Returns the size of the weights' file.
///
/// # Errors
/// If a tensor cannot be read or the folder cannot be written; nothing is left behind then.
pub fn write(
    model: &BaseModel,
    id: BaseId,
    folder: &Path,
    quantize: impl Fn(&[f32], usize) -> (Vec<i8>, Vec<f32>),
) -> Result<u64, Error> {
    let path = folder.join("model.safetensors");
    let mut raw = Vec::new();
    for described in model.spec().tensors() {
        let is_large = is_large(&described);
        let TensorSpec { name: canonical, shape, .. } = described;
        let mut tensor = model.tensor(&canonical)?;
        let name = model.family().checkpoint_name(&canonical).unwrap_or(canonical.clone());
        if !is_large {
            tensor.shape = model.stored_shape(&canonical).unwrap_or(shape);
            raw.push(Raw::from_f32(&path, &name, &tensor)?);
            continue;
        }
        let (bytes, scales) = quantize(&tensor.data, shape[1]);
        let bytes = bytes.into_iter().map(|b| b as u8).collect();
        let rows = shape[0];
        raw.push(Raw { name: name.clone(), dtype: Dtype::I8, shape, bytes });
        let bytes = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        let name = scale_name(&name);
        raw.push(Raw { name, dtype: Dtype::F32, shape: vec![rows], bytes });
    }
    let weights = serialize(&path, &raw, None)?;
    let manifest = Manifest::new(digest::of_bytes(&weights), id);
    let manifest = serde_json::to_string_pretty(&manifest)
        .map_err(|e| Error::content(folder.join(MANIFEST), e.to_string()))?;
    write_new(folder, |new| {
        copy_others(model.folder(), new)?;
        std::fs::write(new.join("model.safetensors"), &weights)?;
        std::fs::write(new.join(MANIFEST), manifest)
    })?;
    Ok(weights.len() as u64)
}

/// Whether a tensor is written as bytes: the layers' products and the table of words.
fn is_large(tensor: &TensorSpec) -> bool {
    let in_layer = names::split_layer(&tensor.name).is_some();
    tensor.name == names::WORD || tensor.kind == TensorKind::Product && in_layer
}
