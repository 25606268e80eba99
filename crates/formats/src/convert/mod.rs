//! Checkpoints in other forms than Hugging Face's, rewritten as its folders: the original files of
//! ViT (`.npz`) and networks in ONNX with the layout of DINOv2. What is written is a base model
//! like any other.

mod checkpoint;
mod dinov2_onnx;
mod npz;
mod onnx;
mod vit_npz;

use std::path::Path;

use budwood_base::digest;
use serde_json::{Value, json};

use crate::model_folder::write_new;
use crate::safetensors_file::to_bytes;
use crate::{BaseModel, Error};

/// Reads a checkpoint and writes it to a new folder: `config.json`, `model.safetensors` and
/// `preprocessor_config.json`. The SHA-256 of the file stands in `config.json`.
///
/// # Errors
/// If the file is damaged or is not such a checkpoint, or the folder cannot be written; nothing is
/// left behind then.
pub fn convert(file: &Path, folder: &Path) -> Result<(), Error> {
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    let mut checkpoint = match file.extension().and_then(|e| e.to_str()) {
        Some("npz") => vit_npz::read(file, &bytes)?,
        Some("onnx") => dinov2_onnx::read(file, &bytes)?,
        _ => {
            let message = "is neither .npz (original ViT) nor .onnx (DINOv2's layout)";
            return Err(Error::content(file, message));
        }
    };
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned());
    checkpoint.config["budwood_source"] =
        json!({ "file": name, "sha256": digest::of_bytes(&bytes) });
    let weights = to_bytes(&folder.join("model.safetensors"), &checkpoint.tensors)?;
    write_new(folder, |new| {
        let json = |value: &Value| format!("{value:#}\n");
        std::fs::write(new.join("config.json"), json(&checkpoint.config))?;
        std::fs::write(new.join("preprocessor_config.json"), json(&checkpoint.preprocessor))?;
        std::fs::write(new.join("model.safetensors"), &weights)?;
        let opened = BaseModel::open(new).map(drop);
        opened.map_err(|e| Error::content(file, format!("does not make a whole model: {e}")))
    })
}
