//! A model that nothing has trained yet: the start of one made from scratch.

use std::path::Path;

use budwood_base::encoder::{EncoderSpec, InputSpec, TensorKind, TensorSpec};
use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::Value;

use crate::family::{self, Config, Piece, Stored};
use crate::model_folder::write_new;
use crate::safetensors_file::to_bytes;
use crate::{BaseModel, Error};

/// Deviation of initial weights, those of `transformers`.
const DEVIATION: f64 = 0.02;

/// Parameters of a new model at most: 16 GB of them.
const PARAMETERS_MOST: f64 = 4e9;

/// Refuses a model that no memory holds, before any is taken.
fn check_size(config: &Config<'_>, spec: &EncoderSpec) -> Result<(), Error> {
    // Each size is below 2^31, so that their products may leave 64 bits, and a list of all layers
    // may be long.
    let of = |layers: usize| -> f64 {
        let elements = |t: &TensorSpec| t.shape.iter().map(|&n| n as f64).product::<f64>();
        EncoderSpec { layers, ..spec.clone() }.tensors().iter().map(elements).sum()
    };
    let parameters = of(0) + spec.layers as f64 * (of(1) - of(0));
    if parameters <= PARAMETERS_MOST {
        return Ok(());
    }
    Err(config.fault(format!(
        "asks for {parameters:.0} parameters; a new model has at most {PARAMETERS_MOST:.0}"
    )))
}

/// The elements of a tensor of the checkpoint that holds rows of ours.
fn rows(stored: &Stored, ours: &TensorMap) -> Vec<f32> {
    let piece = |piece: &Piece| {
        let columns: usize = piece.tensor.shape[1..].iter().product();
        let data = ours.get(&piece.tensor.name).map_or(&[][..], |tensor| &tensor.data);
        data[piece.rows.start * columns..piece.rows.end * columns].to_vec()
    };
    stored.pieces.iter().flat_map(piece).collect()
}

/// Writes a model's folder in Hugging Face's layout from its `config.json` and further files:
/// weights, tokens and positions from a normal distribution cut at two deviations, norms that
/// change nothing, biases of 0, no pooler.
///
/// # Errors
/// If the configuration is not one of a known family, or the folder cannot be written; nothing is
/// left behind then.
pub fn create(
    folder: &Path,
    config: &Value,
    others: &[(&str, Value)],
    seed: u64,
) -> Result<BaseModel, Error> {
    let path = folder.join("config.json");
    let read = Config { path: &path, json: config };
    let family = family::of(&read)?;
    let mut spec = (family.spec)(&read)?;
    spec.pooler = false;
    check_size(&read, &spec)?;
    read.check_layers(&spec, usize::MAX)?;
    let key = Key::new(seed).named("new model");
    // Tokens and tables that are no modules of their own have units in front.
    let position = family.checkpoint_name(names::POSITION);
    let units = position.is_none_or(|name| !name.ends_with(".weight"));
    let mut ours = TensorMap::new();
    for TensorSpec { name: canonical, shape, kind } in spec.tensors() {
        let key = key.named(&canonical);
        let n: usize = shape.iter().product();
        let data = match kind {
            TensorKind::Bias | TensorKind::Shift => vec![0.0; n],
            TensorKind::Gain | TensorKind::Scale => vec![1.0; n],
            TensorKind::Product | TensorKind::Table | TensorKind::Token => {
                (0..n as u64).map(|i| (DEVIATION * key.truncated_normal(i)) as f32).collect()
            }
        };
        let shape = match (&spec.input, kind) {
            (InputSpec::Image(image), TensorKind::Product)
                if canonical.starts_with(names::PATCH) =>
            {
                vec![spec.hidden, image.channels, image.patch, image.patch]
            }
            (InputSpec::Image(_), TensorKind::Token) if units => {
                [&vec![1; 3 - shape.len()][..], &shape].concat()
            }
            (InputSpec::Image(_), TensorKind::Table) if units => [vec![1], shape].concat(),
            _ => shape,
        };
        ours.insert(canonical, Tensor::new(shape, data));
    }
    let mut tensors = TensorMap::new();
    for stored in family.layout(&spec) {
        let tensor = match stored.whole() {
            Some(whole) => ours.remove(&whole.name),
            None => None,
        };
        let tensor = tensor.unwrap_or_else(|| Tensor::new(stored.shape(), rows(&stored, &ours)));
        tensors.insert(stored.name, tensor);
    }
    let weights = to_bytes(&folder.join("model.safetensors"), &tensors)?;
    write_new(folder, |new| {
        for (name, value) in others.iter().chain([&("config.json", config.clone())]) {
            std::fs::write(new.join(name), format!("{value:#}\n"))?;
        }
        std::fs::write(new.join("model.safetensors"), &weights)
    })?;
    BaseModel::open(folder)
}
