//! What is measured: an encoder with random weights and an adapter, and the same batch again and
//! again.

use std::collections::HashMap;

use anyhow::Result;
use budwood::Failed;
use budwood_base::encoder::{EncoderSpec, ImageInput, InputSpec, TensorKind, TensorSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::random::Key;
use budwood_base::tensor::Tensor;
use budwood_engine::{Device, Precision, Workers};
use budwood_model::{
    Adapter, Base, Batch, Loss, ModelError, Segment, Targets, plan_chunks, predict, train_chunk,
};
use budwood_train::{Optimizer, OptimizerSpec};

/// An encoder, its adapter and a batch.
pub(super) struct Subject {
    pub(super) base: Base,
    adapter: Adapter,
    example: Example,
    /// Sequences of each chunk of the batch.
    chunks: Vec<std::ops::Range<usize>>,
    pub(super) tokens: usize,
    targets: Targets,
    loss: Loss,
    optimizer: Optimizer,
    gradient: Vec<f32>,
}

impl Subject {
    /// So many sequences, or images, of a length or of the usual one. `trained` for steps.
    pub(super) fn new(
        spec: &EncoderSpec,
        (precision, trained): (Precision, bool),
        (method, pooling): (&str, Pooling),
        (n, length): (usize, Option<usize>),
    ) -> Result<Self> {
        let device = Device::cpu();
        let tensors = spec.tensors().into_iter().map(|t| (t.name.clone(), t));
        let tensors: HashMap<_, _> = tensors.collect();
        let fetch = |name: &str| Ok::<_, ModelError>(random_tensor(&tensors[name]));
        let base = Base::load(spec.clone(), device, precision, trained, fetch)?;
        let method: MethodSpec = method.parse().map_err(ModelError::from)?;
        let linear = HeadSpec::linear(HeadKind::Classification, 2, pooling);
        let head = HeadSpec { dropout: 0.1, ..linear };
        let mut adapter = Adapter::new(&base, &method, head.clone(), 0)?;
        if !trained {
            // As one from a file: packed, and nothing else. What was drawn goes before it comes.
            let tensors = adapter.params.to_tensors();
            drop(adapter);
            adapter = Adapter::from_tensors(&base, &method, head, &tensors)?;
        }
        let example = Example::new(&spec.input, length);
        let length = example.tokens()?;
        Ok(Self {
            base,
            example,
            chunks: plan_chunks(&vec![length; n]),
            tokens: n * length,
            targets: Targets::Classes((0..n as u32).map(|i| i % 2).collect()),
            loss: Loss { weights: vec![1.0 / n as f32; n], smoothing: 0.0 },
            optimizer: Optimizer::new(OptimizerSpec::bert(), adapter.params.len()),
            gradient: vec![0.0; adapter.params.len()],
            adapter,
        })
    }

    /// Chunks of a step.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of a step's gradient.
    pub(super) fn gradient_bytes(&self) -> usize {
        size_of_val(&self.gradient[..])
    }

    /// A training step.
    pub(super) fn train(&mut self, workers: &mut Workers, step: usize) -> Result<(), Failed> {
        self.gradient.fill(0.0);
        self.accumulate(workers, self.chunks.len(), step)?;
        self.update();
        Ok(())
    }

    /// The gradients of the first `chunks`.
    pub(super) fn accumulate(
        &mut self,
        workers: &mut Workers,
        chunks: usize,
        step: usize,
    ) -> Result<(), Failed> {
        let key = Key::new(0).child(step as u64);
        let Self { base, adapter, example, targets, loss, gradient, .. } = self;
        workers.accumulate(chunks, gradient, |cx, i, gradient| {
            let (given, key) = ((&*targets, &*loss, self.chunks[i].start), key.child(i as u64));
            let batch = example.batch(self.chunks[i].len());
            Ok::<_, Failed>(train_chunk(cx, base, adapter, &batch, given, Some(key), gradient).loss)
        })?;
        Ok(())
    }

    /// What follows the gradients in a step.
    pub(super) fn update(&mut self) {
        let device = self.base.device();
        self.optimizer.step((device, 1), &mut self.adapter.params, &self.gradient, 1e-4);
        self.adapter.refresh(device, 1);
    }

    /// A forward pass.
    pub(super) fn forward(&self, workers: &mut Workers) -> Result<(), Failed> {
        workers.rows(self.chunks.len(), |cx, i| {
            let n = self.chunks[i].len();
            let segment = Segment { adapter: Some(&self.adapter), sequences: 0..n };
            Ok::<_, Failed>(predict(cx, &self.base, &self.example.batch(n), &[segment]))
        })?;
        Ok(())
    }
}

/// The same input again and again.
enum Example {
    Text(Vec<u32>),
    Image(ImageInput, usize, Vec<f32>),
}

impl Example {
    /// Of so many tokens, or an image of so many pixels each way.
    fn new(input: &InputSpec, length: Option<usize>) -> Self {
        match input {
            InputSpec::Text(_) => {
                Self::Text((0..length.unwrap_or(128)).map(|i| 1000 + i as u32).collect())
            }
            InputSpec::Image(spec) => {
                let side = length.unwrap_or(spec.image_size);
                let pixels = noise().take(spec.channels * side * side).collect();
                Self::Image(spec.clone(), side, pixels)
            }
        }
    }

    fn tokens(&self) -> Result<usize> {
        match self {
            Self::Text(ids) => Ok(ids.len()),
            Self::Image(spec, side, _) => Ok(spec.tokens(*side, *side)?),
        }
    }

    fn batch(&self, n: usize) -> Batch {
        match self {
            Self::Text(ids) => {
                let types = vec![0; ids.len()];
                Batch::from_sequences((0..n).map(|_| (&ids[..], &types[..])))
            }
            Self::Image(spec, side, pixels) => {
                Batch::from_images(spec, (*side, *side), (0..n).map(|_| &pixels[..]))
            }
        }
    }
}

/// Weights of a plausible size, quickly made.
fn random_tensor(TensorSpec { shape, kind, .. }: &TensorSpec) -> Tensor {
    let n = shape.iter().product();
    let data = match kind {
        TensorKind::Gain | TensorKind::Scale => vec![1.0; n],
        TensorKind::Shift => vec![0.0; n],
        _ => noise().take(n).collect(),
    };
    Tensor::new(shape.clone(), data)
}

/// Numbers in -0.04..0.04.
fn noise() -> impl Iterator<Item = f32> {
    let mut state = 0x2545_f491u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 0.08 - 0.04
    })
}
