//! Comparison with a reference library: everything that a case file holds is computed again.
//!
//! A case (`tests/golden/README.md`) is a base, an adapter folder of the library, and a safetensors
//! file with inputs (tokens with their mask, or pixels), outputs, gradients, and the parameters
//! after three AdamW steps.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::encoder::{ImageInput, InputSpec, NormPlacement};
use budwood_base::names;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::Weights;
use budwood_formats::{BaseModel, Imported, import};
use budwood_model::{Adapter, Base, Batch, Loss, Segment, Targets, hidden_states, train_chunk};
use serde::Serialize;

use crate::{Error, Optimizer, OptimizerSpec};

/// Largest differences, each relative to the largest expected element.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parity {
    /// Of the outputs.
    pub logits: f64,
    /// Of the last hidden states.
    pub last_hidden: f64,
    /// Of the loss.
    pub loss: f64,
    /// Of the gradients.
    pub gradients: f64,
    /// Of the parameters after three steps.
    pub parameters: f64,
    /// The tensor whose gradient differs most.
    pub worst_gradient: String,
    /// The tensor that differs most after three steps.
    pub worst_parameter: String,
    /// Number of trained tensors compared.
    pub tensors: usize,
}

/// Computes a case on a device, with the frozen weights in a form, and compares.
///
/// # Errors
/// If a file is damaged or the case holds tensors that the method does not have, or lacks some.
pub fn compare(
    base: &Path,
    adapter: &Path,
    case: &Path,
    (device, precision): (Device, Precision),
) -> Result<Parity, Error> {
    compare_imported(base, &import(adapter)?, case, (device, precision))
}

/// As [`compare`], of an adapter that has been read.
///
/// # Errors
/// As [`compare`].
pub fn compare_imported(
    base: &Path,
    folder: &Imported,
    case: &Path,
    (device, precision): (Device, Precision),
) -> Result<Parity, Error> {
    let model = BaseModel::open(base)?;
    let case = Case::open(case, &model.spec().input)?;
    let base = Base::load::<Error>(model.spec().clone(), device, precision, true, |name| {
        Ok(model.tensor(name)?)
    })?;
    let head = folder.head.clone().ok_or_else(|| case.fault("the adapter's folder has no head"))?;
    let mut adapter = Adapter::from_tensors(&base, &folder.method, head, &folder.tensors)?;
    let mut cx = Context::new(device);
    let mut parity = Parity::default();

    let segment = Segment { adapter: Some(&adapter), sequences: 0..case.batch.spans.len() };
    let states = hidden_states(&mut cx, &base, &case.batch, &[segment]);
    parity.last_hidden = difference(&states, &case.expected_states(&model)?);

    let n = case.batch.spans.len();
    let losses: usize = (0..n).map(|i| case.targets.losses(i)).sum();
    let loss = Loss { weights: vec![1.0 / losses as f32; n], smoothing: 0.0 };
    let mut optimizer = Optimizer::new(OptimizerSpec::torch(), adapter.params.len());
    for step in 0..3 {
        let mut gradient = vec![0.0; adapter.params.len()];
        let given = (&case.targets, &loss, 0);
        let result = train_chunk(&mut cx, &base, &adapter, &case.batch, given, None, &mut gradient);
        if step == 0 {
            let logits = case.file.tensor("out.logits")?.data;
            parity.logits = difference(&result.outputs.concat(), &logits);
            let expected = case.file.tensor("loss")?.data;
            parity.loss = difference(&[result.loss as f32], &expected);
            case.compare_gradients(folder, &adapter, &gradient, &mut parity)?;
        }
        optimizer.step((device, 1), &mut adapter.params, &gradient, 1e-3);
        adapter.refresh(device, 1);
    }
    let values = adapter.params.values.clone();
    (parity.parameters, parity.worst_parameter) =
        case.compare_all("step3", folder, &adapter, &values)?;
    Ok(parity)
}

/// The largest difference, relative to the largest expected element.
fn difference(got: &[f32], expected: &[f32]) -> f64 {
    difference_over(got, expected, 1e-20)
}

fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// As [`difference`], relative to `floor` where no element is that large.
fn difference_over(got: &[f32], expected: &[f32], floor: f32) -> f64 {
    if got.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = largest(expected).max(floor);
    let pairs = got.iter().zip(expected);
    // A difference that is not a number must not pass.
    let worse = |m: f64, d: f64| if d.is_nan() { f64::INFINITY } else { m.max(d) };
    pairs.map(|(g, e)| f64::from(g - e).abs() / f64::from(largest)).fold(0.0, worse)
}

/// Layer norm, in plain code: the reference's states are judged without ours.
fn norm(row: &mut [f32], gain: &[f32], bias: &[f32], eps: f64) {
    let n = row.len() as f64;
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    for (x, (gain, bias)) in row.iter_mut().zip(gain.iter().zip(bias)) {
        let normal = (f64::from(*x) - mean) / (variance + eps).sqrt();
        *x = (normal * f64::from(*gain) + f64::from(*bias)) as f32;
    }
}

struct Case {
    file: Weights,
    batch: Batch,
    targets: Targets,
    /// Rows of the padded input that are not padding.
    real_rows: Vec<usize>,
}

/// Places of answers, or a tag for each token (below 0: none), or a class for each sequence.
fn targets(file: &Weights) -> Result<Targets, Error> {
    let unsigned = |name: &str| -> Result<Vec<u32>, Error> {
        Ok(file.integers(name)?.into_iter().map(|x| x as u32).collect())
    };
    if file.contains("input.start_positions") {
        let ends = unsigned("input.end_positions")?;
        return Ok(Targets::Spans(
            unsigned("input.start_positions")?.into_iter().zip(ends).collect(),
        ));
    }
    if let Some(&[_, length]) = file.shape("input.labels") {
        let labels = file.integers("input.labels")?;
        let tags = |row: &[i64]| row.iter().map(|&l| u32::try_from(l).ok()).collect();
        return Ok(Targets::Tags(labels.chunks(length.max(1)).map(tags).collect()));
    }
    Ok(Targets::Classes(unsigned("input.labels")?))
}

impl Case {
    fn open(path: &Path, input: &InputSpec) -> Result<Self, Error> {
        let file = Weights::open(path)?;
        let targets = targets(&file)?;
        let (batch, real_rows) = match input {
            InputSpec::Text(_) => texts(&file)?,
            InputSpec::Image(spec) => images(&file, spec)?,
        };
        Ok(Self { file, batch, targets, real_rows })
    }

    fn fault(&self, message: &str) -> Error {
        fault(&self.file, message)
    }

    /// The reference's last hidden states, with the norm that pre-norm encoders have after them.
    fn expected_states(&self, model: &BaseModel) -> Result<Vec<f32>, Error> {
        let spec = model.spec();
        let d = spec.hidden;
        let all = self.file.tensor("out.last_hidden")?.data;
        let row = |&i: &usize| all.get(i * d..(i + 1) * d).unwrap_or_default().to_vec();
        let mut rows: Vec<f32> = self.real_rows.iter().flat_map(row).collect();
        if spec.norm == NormPlacement::Pre {
            let gain = model.tensor(&format!("{}.weight", names::FINAL_NORM))?.data;
            let bias = match spec.axes.norms_without_bias {
                true => vec![0.0; d],
                false => model.tensor(&format!("{}.bias", names::FINAL_NORM))?.data,
            };
            let eps = f64::from(spec.norm_eps);
            rows.chunks_mut(d).for_each(|row| norm(row, &gain, &bias, eps));
        }
        Ok(rows)
    }

    fn compare_gradients(
        &self,
        folder: &Imported,
        adapter: &Adapter,
        gradient: &[f32],
        parity: &mut Parity,
    ) -> Result<(), Error> {
        (parity.gradients, parity.worst_gradient) =
            self.compare_all("grad", folder, adapter, gradient)?;
        let expected = self.file.names().filter(|n| n.starts_with("grad.")).count();
        // Several of ours may be one of theirs.
        let mut theirs: Vec<&str> =
            folder.names.iter().map(|(_, theirs)| theirs.as_str()).collect();
        theirs.sort_unstable();
        theirs.dedup();
        parity.tensors = theirs.len();
        if expected != parity.tensors {
            let message =
                format!("{} tensors are trained here, but {expected} there", parity.tensors);
            return Err(self.fault(&message));
        }
        Ok(())
    }

    /// Compares every trained tensor of a vector laid out as the parameters.
    fn compare_all(
        &self,
        what: &str,
        folder: &Imported,
        adapter: &Adapter,
        values: &[f32],
    ) -> Result<(f64, String), Error> {
        let mut worst = (0.0, String::new());
        let gradients =
            |name: &str| self.file.tensor(&format!("grad.{name}")).map(|t| largest(&t.data));
        let mut all = 0.0f32;
        for (_, theirs) in &folder.names {
            all = all.max(gradients(theirs)?);
        }
        // Softmax does not feel a bias of all keys: its gradient is zero but for rounding, which
        // Adam blows up to whole steps.
        let no_signal = |name: &str| gradients(name).is_ok_and(|g| g < 1e-6 * all);
        for param in adapter.params.entries() {
            let theirs = folder.names.iter().find(|(ours, _)| *ours == param.name);
            let theirs =
                theirs.ok_or_else(|| self.fault(&format!("no name for {}", param.name)))?;
            let expected = self.file.tensor(&format!("{what}.{}", theirs.1))?;
            let got = &values[param.slot.clone()];
            let shared = folder.names.iter().filter(|(_, name)| *name == theirs.1).count() > 1;
            // A piece of one of their tensors: its gradient and values are found by the reader's
            // own order, which outputs check.
            if shared || (no_signal(&theirs.1) && what == "step3") {
                continue;
            }
            let floor = if no_signal(&theirs.1) { all } else { 1e-20 };
            let d = difference_over(got, &expected.data, floor);
            if d >= worst.0 {
                worst = (d, param.name.clone());
            }
        }
        Ok(worst)
    }
}

fn fault(file: &Weights, message: &str) -> Error {
    Error::Case { path: file.path().into(), message: message.into() }
}

/// The rows of the reference's states for each of `n` sequences, to the first `length` of them.
fn rows(n: usize, all: usize, length: impl Fn(usize) -> usize) -> Vec<usize> {
    (0..n).flat_map(|s| (0..length(s)).map(move |i| s * all + i)).collect()
}

/// Sequences of tokens, without their padding, and which rows of the reference's states are theirs.
fn texts(file: &Weights) -> Result<(Batch, Vec<usize>), Error> {
    let ids = file.integers("input.input_ids")?;
    let [_, length] = file.shape("input.input_ids").unwrap_or_default()[..] else {
        return Err(fault(file, "input.input_ids is not [batch, length]"));
    };
    let mask = file.integers("input.attention_mask")?;
    let types = match file.contains("input.token_type_ids") {
        true => file.integers("input.token_type_ids")?,
        false => vec![0; ids.len()],
    };
    if mask.len() != ids.len() || types.len() != ids.len() {
        return Err(fault(file, "mask or types are of another size than the ids"));
    }
    // Prompts stand before the tokens of every sequence, or after the first.
    let states = file.shape("out.last_hidden").unwrap_or_default();
    let prompt = states.get(1).map_or(0, |rows| rows.saturating_sub(length));
    let n = ids.len() / length.max(1);
    let last =
        |s: usize| (0..length).rev().find(|i| mask[s * length + i] == 1).map_or(0, |i| i + 1);
    let real_rows = rows(n, prompt + length, |s| prompt + last(s));
    let mut sequences: BTreeMap<usize, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for i in (0..ids.len()).filter(|&i| mask[i] == 1) {
        let (a, b) = sequences.entry(i / length).or_default();
        a.push(ids[i] as u32);
        b.push(types[i] as u32);
    }
    let batch = Batch::from_sequences(sequences.values().map(|(a, b)| (&a[..], &b[..])));
    Ok((batch, real_rows))
}

/// Images, and which rows of the reference's states are theirs: all.
fn images(file: &Weights, spec: &ImageInput) -> Result<(Batch, Vec<usize>), Error> {
    let pixels = file.tensor("input.pixel_values")?;
    let [n, channels, height, width] = pixels.shape[..] else {
        return Err(fault(file, "input.pixel_values is not [batch, channels, height, width]"));
    };
    if channels != spec.channels {
        return Err(fault(file, "input.pixel_values has another number of channels than the base"));
    }
    spec.grid(height, width).map_err(|e| fault(file, &e.to_string()))?;
    let images = pixels.data.chunks(channels * height * width);
    let batch = Batch::from_images(spec, (height, width), images);
    let states = file.shape("out.last_hidden").unwrap_or_default();
    let all = states.get(1).copied().unwrap_or(0);
    Ok((batch, rows(n, all, |_| all)))
}
