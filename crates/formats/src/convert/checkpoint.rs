//! What the readers of other forms give, and what they share.

use std::path::Path;

use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use crate::error::Error;

/// A checkpoint in Hugging Face's terms.
pub(super) struct Checkpoint {
    pub(super) config: Value,
    pub(super) tensors: TensorMap,
    pub(super) preprocessor: Value,
}

/// How pixels are prepared: resized to a square (`resample` as Pillow counts: 2 bilinear,
/// 3 bicubic), and normalised.
pub(super) fn preprocessor(
    size: usize,
    resample: u32,
    mean: [f64; 3],
    deviation: [f64; 3],
) -> Value {
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

/// `[rows, columns]` -> `[columns, rows]` of any tensor with that many elements: a weight
/// `[in, out]` as we have it.
pub(super) fn transposed(tensor: &Tensor, rows: usize, columns: usize) -> Tensor {
    let data = (0..columns).flat_map(|c| (0..rows).map(move |r| tensor.data[r * columns + c]));
    Tensor::new([columns, rows], data.collect())
}

/// The side of the square of patches that a table of positions was made for; `positions` leaves
/// out the class token.
pub(super) fn side(path: &Path, positions: usize) -> Result<usize, Error> {
    let side = positions.isqrt();
    if side == 0 || side * side != positions {
        let message = format!("has positions for {positions} patches, which are no square");
        return Err(Error::content(path, message));
    }
    Ok(side)
}
