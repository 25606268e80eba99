//! A base model's folder with large weights as signed bytes, a quarter of the size: the files of the model it was
//! made from, with `model.safetensors` rewritten and `budwood.json` beside it.
//!
//! A weight `NAME`, `[rows, columns]`, is of type I8 and `NAME.scale`, `[rows]`, holds a scale for each row. Everything
//! else is f32. `budwood.json` keeps the identity of the model it was made from, so that adapters fit both.

use std::path::Path;

use budwood_base::digest;
use budwood_base::encoder::{TensorKind, TensorSpec};
use budwood_base::names;
use budwood_base::record::BaseId;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::model_folder::{copy_others, write_new};
use crate::safetensors_file::{Raw, scale_name, serialize};
use crate::text_file::read_json;
use crate::{BaseModel, Error};

/// The file beside the weights.
pub(crate) const MANIFEST: &str = "budwood.json";
const VERSION: u32 = 1;

/// What `budwood.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    precision: String,
    /// SHA-256 of this folder's `model.safetensors`.
    weights_sha256: String,
    /// The model that this one was made from.
    made_from: BaseId,
}

impl Manifest {
    /// The model that a folder whose weights have this hash says that it was made from; none where there is no manifest. It
    /// is a claim: only quantising that model again could show it.
    pub(crate) fn original(folder: &Path, weights_sha256: &str) -> Result<Option<BaseId>, Error> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        let manifest: Self = serde_json::from_value(read_json(&path)?)
            .map_err(|e| Error::content(&path, format!("is not a quantised model's: {e}")))?;
        if manifest.version > VERSION || manifest.precision != "int8" {
            let message = format!(
                "is of version {} with precision '{}'; this Budwood reads version {VERSION} with int8",
                manifest.version, manifest.precision
            );
            return Err(Error::content(&path, message));
        }
        if manifest.weights_sha256 != weights_sha256 {
            let message = "names another hash than model.safetensors has: the file was changed or damaged; \
                           write the model again with `budwood models quantize`";
            return Err(Error::content(&path, message));
        }
        if !digest::is_sha256(&manifest.made_from.weights_sha256) {
            let message = "does not say by a SHA-256 which model this one was made from";
            return Err(Error::content(&path, message));
        }
        Ok(Some(manifest.made_from))
    }
}

/// Writes `model` to a new folder. `quantize` gives the bytes and row scales of a matrix with so many columns.
/// Returns the size of the weights' file.
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
    let manifest = Manifest {
        version: VERSION,
        precision: "int8".into(),
        weights_sha256: digest::of_bytes(&weights),
        made_from: id,
    };
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
