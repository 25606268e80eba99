//! `budwood bench`: speed and memory of a training step or a forward pass on random weights, and of
//! reading images.

mod cost;
mod input;
mod plan;
mod shape;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood::number;
use budwood_base::head::Pooling;
use budwood_engine::{Device, Workers};
use clap::ValueEnum;
use serde_json::json;

use self::shape::Shape;
use self::subject::Subject;
use crate::output::json;
use crate::ranks;
use crate::settings::Settings;
use budwood::run::peak_memory;
use budwood::spec::{PoolingChoice, PrecisionSpec};

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
    /// What the head reads of a sequence.
    #[arg(long, value_enum, default_value_t = PoolingChoice::Mean)]
    pooling: PoolingChoice,
    /// With `--mode input`: a folder whose files are images.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Measure the pieces of a training step, and say what it takes on 1 to 128 threads and on 1 to
    /// 64 processes over networks.
    #[arg(long, conflicts_with_all = ["mode", "data"])]
    plan: bool,
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
    let (how, of) = ((args.precision.get(false), train), (args.batch, args.length));
    let pooling = args.pooling.asked().unwrap_or(Pooling::Mean);
    let mut subject = Subject::new(&spec, how, (&args.method, pooling), of)?;
    if args.plan {
        return plan::run(settings, &mut subject, args.steps);
    }
    let device = Device::cpu();
    let mut workers = Workers::new(device, settings.threads).over(settings.ranks.clone());
    let mut times = Vec::with_capacity(args.steps);
    let before = ranks::received(&settings.ranks)?;
    for step in 0..=args.steps {
        let start = Instant::now();
        match train {
            true => subject.train(&mut workers, step)?,
            false => subject.forward(&mut workers)?,
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
        "weight_bytes": subject.base.bytes(),
        "mode": if train { "train" } else { "forward" },
        "tokens": subject.tokens,
        "threads": settings.threads,
        "device": device.name(),
    });
    if !settings.ranks.is_alone() {
        let received = ranks::received(&settings.ranks)?;
        found["ranks"] = json!({
            "count": settings.ranks.size(),
            "gradient_bytes": subject.gradient_bytes(),
            "bytes_per_step": (received - before) / (args.steps as u64 + 1),
        });
    }
    json(&found)?;
    Ok(ExitCode::SUCCESS)
}
