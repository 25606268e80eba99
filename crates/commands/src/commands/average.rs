//! `budwood average`: several adapters as one, by the weighted mean of their parameters
//! (AdapterSoup, Chronopoulou et al. 2023).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::run::{FOLDER, write_adapter};
use budwood_formats::foreign::IMPORTED;
use budwood_formats::native::{AdapterFolder, TaskMeta};
use serde_json::json;

use crate::foreign;
use crate::out;
use crate::output::{json, note, say};
use crate::settings::Settings;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapters, folders, s3://BUCKET/NAME or OWNER/NAME of the Hugging Face hub: of one
    /// method, base, head and set of classes.
    #[arg(required = true, num_args = 2..)]
    adapters: Vec<PathBuf>,
    /// Base model of adapters of other libraries [default: the one that each names].
    #[arg(long)]
    base: Option<String>,
    /// Their weights, in the same order, such as 0.5,0.25,0.25, which add up to 1 [default: equal].
    #[arg(long, value_delimiter = ',')]
    weights: Vec<f32>,
    /// Folder of the new adapter, or s3://BUCKET/NAME.
    #[arg(long)]
    out: PathBuf,
    /// Replace the adapter in that folder; other files in it are kept.
    #[arg(long)]
    overwrite: bool,
}

/// How far weights may be from adding up to 1: three of 0.33 are meant as a mean.
const SUM_TOLERANCE: f32 = 0.011;
/// The probability from which a label holds that has no threshold.
const DEFAULT_THRESHOLD: f32 = 0.5;

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let n = args.adapters.len();
    let weights = match args.weights.len() {
        0 => vec![1.0 / n as f32; n],
        given if given == n && args.weights.iter().all(|w| w.is_finite()) => args.weights.clone(),
        given => bail!(
            "--weights needs a finite number for each of the {n} adapters; it has {given} numbers"
        ),
    };
    let sum: f32 = weights.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        bail!(
            "--weights must add up to 1, as a mean's do; these add up to {sum}, which would scale norms and heads, too"
        );
    }
    let inputs = args.adapters.iter().map(|a| a.to_str()).chain([args.base.as_deref()]);
    let inputs: Vec<&str> = inputs.flatten().collect();
    let out = out::new_folder(&args.out, &FOLDER, args.overwrite, &inputs)?;
    let folders = args
        .adapters
        .iter()
        .map(|path| foreign::load_told(path, args.base.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    let bases: Vec<&str> = folders.iter().map(|folder| folder.meta.base.name.as_str()).collect();
    out::check_folder(&args.out, &bases)?;
    let first = &folders[0];
    let mut tensors = first.tensors.clone();
    tensors.values_mut().flat_map(|t| &mut t.data).for_each(|x| *x *= weights[0]);
    // Adapters of other libraries have no hash yet: their places.
    let source = |folder: &AdapterFolder, path: &Path| match folder.meta.weights_sha256.as_str() {
        "" => path.display().to_string(),
        hash => hash.to_string(),
    };
    let (mut data, mut sources) = (first.meta.data.clone(), vec![source(first, &args.adapters[0])]);
    for ((folder, path), weight) in folders.iter().zip(&args.adapters).zip(&weights).skip(1) {
        let (a, b) = (&first.meta, &folder.meta);
        let encoders = (a.encoder.acting(), b.encoder.acting());
        let same = [
            ("base model", a.base.difference(&b.base).is_none() && encoders.0 == encoders.1),
            ("method", a.method == b.method),
            ("head", a.head.acting() == b.head.acting()),
            ("set of classes", a.labels == b.labels),
            ("kind of task", a.task.kind == b.task.kind),
            ("preparation of images", a.task.images == b.task.images),
            ("order of texts", in_order(&a.task.text_columns, &b.task.text_columns)),
        ];
        if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
            bail!(
                "{} has another {what} than {}: their mean has no meaning",
                path.display(),
                args.adapters[0].display()
            );
        }
        for (name, sum) in &mut tensors {
            let Some(tensor) = folder.tensors.get(name).filter(|t| t.shape == sum.shape) else {
                bail!("{} has no tensor '{name}' of the same shape", path.display());
            };
            sum.data.iter_mut().zip(&tensor.data).for_each(|(s, x)| *s += weight * x);
        }
        data.extend(b.data.iter().filter(|d| !first.meta.data.contains(d)).cloned());
        sources.push(source(folder, path));
    }
    let mut meta = first.meta.clone();
    meta.task = task(&folders, &weights);
    if folders.iter().any(|folder| folder.meta.precision != meta.precision) {
        note!(
            "some were trained on a base in f32 and some in int8; the mean is noted as one of {}",
            meta.precision
        );
    }
    meta.data = data;
    // No score of any of them is the mean's.
    meta.metrics.clear();
    meta.training =
        [("averaged".to_string(), json!({ "adapters": sources, "weights": weights }))].into();
    // That the base of one of them could not be checked holds for the mean.
    let imported = folders.iter().find_map(|folder| folder.meta.training.get(IMPORTED));
    meta.training.extend(imported.map(|origin| (IMPORTED.to_string(), origin.clone())));
    let mut folder = AdapterFolder { meta, tensors };
    out.replace(|new| write_adapter(&mut folder, new, &args.out))
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    if settings.json {
        json(&json!({ "adapter": args.out, "averaged": args.adapters, "weights": weights }))?;
    } else {
        say!("adapter: {}, the mean of {n}", args.out.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether as many texts are read, and none of them at another's place.
fn in_order(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(one, other)| one == other || !a.contains(other))
}

/// The task of a mean: inputs as long as any of them takes, and the means of their thresholds, as
/// those belong to scores that are means, too.
fn task(folders: &[AdapterFolder], weights: &[f32]) -> TaskMeta {
    let tasks = || folders.iter().map(|folder| &folder.meta.task);
    let mut mean = folders[0].meta.task.clone();
    mean.max_length = tasks().map(|task| task.max_length).fold(0, usize::max);
    // One that never says that there is no answer has no threshold: nor has the mean.
    // Those that always say so have the least number there is: no sum of f32.
    let product = |weight: f32, threshold: f32| f64::from(weight) * f64::from(threshold);
    let none = tasks().zip(weights).map(|(task, w)| Some(product(*w, task.none_threshold?)));
    let none: Option<f64> = none.sum();
    mean.none_threshold = none.map(|sum| (sum as f32).clamp(f32::MIN, f32::MAX));
    if tasks().any(|task| task.thresholds.is_some()) {
        let of = |task: &TaskMeta, label: usize| {
            task.thresholds.as_ref().map_or(DEFAULT_THRESHOLD, |all| all[label])
        };
        let label = |label| -> f32 {
            tasks().zip(weights).map(|(task, weight)| weight * of(task, label)).sum()
        };
        let labels = 0..folders[0].meta.labels.len();
        mean.thresholds = Some(labels.map(|i| label(i).clamp(0.0, 1.0)).collect());
    }
    mean
}
