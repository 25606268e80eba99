//! A model's folder with some of its tensors changed.

use std::path::Path;

use budwood_base::files::write_folder_atomic;
use budwood_base::tensor::TensorMap;

use crate::base_model::expected_tensors;
use crate::quantized::others;
use crate::safetensors_file::to_bytes;
use crate::{BaseModel, Error};

/// Writes `model` to a new folder, with `changed` in the place of its own tensors, in f32 and under the names of its family. Heads
/// of the checkpoint are left out.
///
/// # Errors
/// If a tensor cannot be read or is of another shape, or the folder cannot be written; nothing is left behind then.
pub fn write(model: &BaseModel, changed: &TensorMap, folder: &Path) -> Result<(), Error> {
    let path = folder.join("model.safetensors");
    let mut tensors = TensorMap::new();
    for (canonical, shape) in expected_tensors(model.spec()) {
        let mut tensor = match changed.get(&canonical) {
            Some(tensor) => tensor.clone(),
            None => model.tensor(&canonical)?,
        };
        if tensor.shape != shape {
            let message = format!("tensor '{canonical}' is {:?}, not {shape:?}", tensor.shape);
            return Err(Error::content(&path, message));
        }
        tensor.shape = model.stored_shape(&canonical).unwrap_or(shape);
        let name = model.family().checkpoint_name(&canonical).unwrap_or(canonical);
        tensors.insert(name, tensor);
    }
    let weights = to_bytes(&path, &tensors)?;
    let copied = others(model.folder()).map_err(Error::io(model.folder()))?;
    write_folder_atomic(folder, |new| {
        for name in &copied {
            let to = new.join(name);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(to, std::fs::read(model.folder().join(name))?)?;
        }
        std::fs::write(new.join("model.safetensors"), &weights)
    })
    .map_err(Error::io(folder))
}
