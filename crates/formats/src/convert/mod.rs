//! Checkpoints in other forms than Hugging Face's, rewritten as its folders: the original files of ViT (`.npz`) and
//! networks in ONNX with the layout of DINOv2. What is written is a base model like any other.

mod dinov2_onnx;
mod npz;
mod onnx;
mod vit_npz;

use std::path::Path;

use budwood_base::digest;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use crate::model_folder::write_new;
use crate::safetensors_file::to_bytes;
use crate::{BaseModel, Error};

/// A checkpoint in Hugging Face's terms.
struct Checkpoint {
    config: Value,
    tensors: TensorMap,
    preprocessor: Value,
}

/// Reads a checkpoint and writes it to a new folder: `config.json`, `model.safetensors` and `preprocessor_config.json`. The SHA-256
/// of the file stands in `config.json`.
///
/// # Errors
/// If the file is damaged or is no such checkpoint, or the folder cannot be written; nothing is left behind then.
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

/// How pixels are prepared: resized to a square (`resample` as Pillow counts: 2 bilinear, 3 bicubic), and normalised.
fn preprocessor(size: usize, resample: u32, mean: [f64; 3], deviation: [f64; 3]) -> Value {
    json!({
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": mean,
        "image_processor_type": "ViTImageProcessor",
        "image_std": deviation,
        "resample": resample,
        "rescale_factor": 1.0 / 255.0,
        "size": { "height": size, "width": size },
    })
}

/// `[rows, columns]` -> `[columns, rows]` of any tensor with that many elements: a weight `[in, out]` as we have it.
fn transposed(tensor: &Tensor, rows: usize, columns: usize) -> Tensor {
    let data = (0..columns).flat_map(|c| (0..rows).map(move |r| tensor.data[r * columns + c]));
    Tensor::new([columns, rows], data.collect())
}

/// The side of the square of patches that a table of positions was made for; `positions` leaves out the class token.
fn side(path: &Path, positions: usize) -> Result<usize, Error> {
    let side = positions.isqrt();
    if side == 0 || side * side != positions {
        let message = format!("has positions for {positions} patches, which are no square");
        return Err(Error::content(path, message));
    }
    Ok(side)
}
