//! A model's folder: what every writer of one needs, and a model with some of its tensors changed.

use std::path::Path;

use budwood_base::encoder::TensorSpec;
use budwood_base::folder::{Kind, Ours, OutFolder};
use budwood_base::tensor::TensorMap;

use crate::manifest::MANIFEST;
use crate::safetensors_file::to_bytes;
use crate::{BaseModel, Error};

/// The folder of a model that this program wrote.
pub static KIND: Kind = Kind { what: "a model", ours: Ours::Listed };

/// Writes `model` to a new folder, with `changed` in the place of its own tensors, in f32 and under the names of its family. Heads
/// of the checkpoint are left out.
///
/// # Errors
/// If a tensor cannot be read or is of another shape, or the folder cannot be written; nothing is left behind then.
pub fn write(model: &BaseModel, changed: &TensorMap, folder: &Path) -> Result<(), Error> {
    let path = folder.join("model.safetensors");
    let mut tensors = TensorMap::new();
    for TensorSpec { name: canonical, shape, .. } in model.spec().tensors() {
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
    write_new(folder, |new| {
        copy_others(model.folder(), new)?;
        std::fs::write(new.join("model.safetensors"), &weights)
    })
}

/// Fills a new folder with a model's files, whole or not at all.
pub(crate) fn write_new<E>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), Error>
where
    Error: From<E>,
{
    let filled = OutFolder::open(folder, &KIND)?.replace(|new| fill(new).map_err(Error::from));
    filled.map_err(|e| match e {
        Error::Io { path, source } if path.as_os_str().is_empty() => {
            Error::Io { path: folder.into(), source }
        }
        other => other,
    })
}

/// Copies the small files of a model's folder: configurations, tokenizer, pooling.
pub(crate) fn copy_others(from: &Path, to: &Path) -> std::io::Result<()> {
    const POOLING: &str = "1_Pooling";
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if [".json", ".txt", ".model"].iter().any(|e| name.ends_with(e))
            && !name.ends_with(".index.json")
            && name != MANIFEST
        {
            std::fs::write(to.join(&name), std::fs::read(from.join(&name))?)?;
        }
    }
    let pooling = from.join(POOLING).join("config.json");
    if pooling.exists() {
        std::fs::create_dir_all(to.join(POOLING))?;
        std::fs::write(to.join(POOLING).join("config.json"), std::fs::read(pooling)?)?;
    }
    Ok(())
}
