//! `budwood bench`: speed and memory of a training step or a forward pass on random weights, and of
//! reading images.

mod input;
mod shape;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood::{Failed, number};
use budwood_base::encoder::{ImageInput, InputSpec, TensorKind, TensorSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::random::Key;
use budwood_base::tensor::Tensor;
use budwood_engine::{Device, Workers};
use budwood_model::{
    Adapter, Base, Batch, Loss, ModelError, Segment, Targets, plan_chunks, predict, train_chunk,
};
use budwood_train::{Optimizer, OptimizerSpec};
use clap::ValueEnum;
use serde_json::json;

use self::shape::Shape;
use crate::output::json;
use crate::ranks;
use crate::settings::Settings;
use budwood::run::peak_memory;
use budwood::spec::PrecisionSpec;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Shape of the encoder.
    #[arg(long, value_enum, default_value_t = Shape::Minilm)]
    shape: Shape,
    /// A model's config.json: its shape, with random weights.
    #[arg(long, value_name = "FILE", conflicts_with = "shape")]
    config: Option<PathBuf>,
    /// Sequences, or images, in a batch.
    #[arg(long, default_value_t = 32, value_parser = number::count::<1, 100_000>)]
    batch: usize,
    /// Tokens in a sequence; of images the height and width in pixels [default: 128; 224 of
    /// images].
    #[arg(long, value_parser = number::count::<1, 65_536>)]
    length: Option<usize>,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Mode::Train)]
    mode: Mode,
    /// Steps to measure, after one to warm up.
    #[arg(long, default_value_t = 5, value_parser = number::count::<1, 1_000_000>)]
    steps: usize,
    /// Tuning method.
    #[arg(long, default_value = "adapter")]
    method: String,
    /// With `--mode input`: a folder whose files are images.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionSpec,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// A training step.
    Train,
    /// Forward only.
    Forward,
    /// Reading images: files to pixels as the model takes them; a step is a pass over all of them.
    Input,
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

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match (args.mode, &args.data) {
        (Mode::Input, Some(folder)) => {
            return input::run(settings, folder, args.length.unwrap_or(224), args.steps);
        }
        (Mode::Input, None) => bail!("--mode input needs a folder of images with --data"),
        (_, Some(_)) => bail!("--data is for --mode input; the other modes make their own input"),
        (_, None) => {}
    }
    let spec = match &args.config {
        Some(file) => shape::of_file(file)?,
        None => args.shape.spec()?,
    };
    let train = args.mode == Mode::Train;
    let device = Device::cpu();
    let tensors: HashMap<_, _> = spec.tensors().into_iter().map(|t| (t.name.clone(), t)).collect();
    let fetch = |name: &str| Ok::<_, ModelError>(random_tensor(&tensors[name]));
    let base = Base::load(spec.clone(), device, args.precision.get(false), train, fetch)?;
    let method: MethodSpec = args.method.parse().map_err(ModelError::from)?;
    let head =
        HeadSpec { dropout: 0.1, ..HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean) };
    let mut adapter = Adapter::new(&base, &method, head, 0)?;
    let mut workers = Workers::new(device, settings.threads).over(settings.ranks.clone());
    let example = Example::new(&spec.input, args.length);
    let length = example.tokens()?;
    let lengths = vec![length; args.batch];
    let chunks = plan_chunks(&lengths);
    let batch = |n: usize| example.batch(n);
    let targets = Targets::Classes((0..args.batch as u32).map(|i| i % 2).collect());
    let loss = Loss { weights: vec![1.0 / args.batch as f32; args.batch], smoothing: 0.0 };
    let mut optimizer = Optimizer::new(OptimizerSpec::bert(), adapter.params.len());
    let mut gradient = vec![0.0; adapter.params.len()];
    let mut times = Vec::with_capacity(args.steps);
    let before = ranks::received(&settings.ranks)?;
    for step in 0..=args.steps {
        let start = Instant::now();
        if train {
            gradient.fill(0.0);
            let key = Key::new(0).child(step as u64);
            workers.accumulate(chunks.len(), &mut gradient, |cx, i, gradient| {
                let given = (&targets, &loss, chunks[i].start);
                let key = Some(key.child(i as u64));
                let batch = batch(chunks[i].len());
                Ok::<_, Failed>(train_chunk(cx, &base, &adapter, &batch, given, key, gradient).loss)
            })?;
            optimizer.step((device, 1), &mut adapter.params, &gradient, 1e-4);
            adapter.refresh(device, 1);
        } else {
            workers.rows(chunks.len(), |cx, i| {
                let segment = Segment { adapter: Some(&adapter), sequences: 0..chunks[i].len() };
                Ok::<_, Failed>(predict(cx, &base, &batch(chunks[i].len()), &[segment]))
            })?;
        }
        if step > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let arena: usize = workers.contexts().iter().map(|c| c.arena().bytes()).sum();
    let mut found = json!({
        "seconds_per_step": times.get(times.len() / 2),
        "fastest": times.first(),
        "peak_bytes": peak_memory(),
        "arena_bytes": arena,
        "weight_bytes": base.bytes(),
        "mode": if train { "train" } else { "forward" },
        "tokens": args.batch * length,
        "threads": settings.threads,
        "device": device.name(),
    });
    if !settings.ranks.is_alone() {
        let received = ranks::received(&settings.ranks)?;
        found["ranks"] = json!({
            "count": settings.ranks.size(),
            "gradient_bytes": size_of_val(&gradient[..]),
            "bytes_per_step": (received - before) / (args.steps as u64 + 1),
        });
    }
    json(&found)?;
    Ok(ExitCode::SUCCESS)
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
