//! `budwood merge`: an adapter as a model of its own, and its head.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood_base::folder::{Kind, Ours};
use budwood_base::method::MethodSpec;
use budwood_engine::Precision;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, model_folder};
use budwood_model::{Adapter, merged, method};
use serde_json::json;

use crate::output::{json, note, say};
use crate::settings::Settings;
use crate::{base, foreign, out};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter (a folder, s3://BUCKET/NAME, or OWNER/NAME of the hub): of LoRA, (IA)³, or a
    /// method that trains the model's own weights.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Folder, or s3://BUCKET/NAME, for the model (`model`) and the head as an adapter of it
    /// (`head`).
    #[arg(long)]
    out: PathBuf,
    /// Replace the merged model in that folder; other files in it are kept.
    #[arg(long)]
    overwrite: bool,
}

static KIND: Kind = Kind { what: "a merged model", ours: Ours::Listed };

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let inputs = [Some(args.adapter.as_path()), args.base.as_deref().map(Path::new)];
    let inputs: Vec<&str> = inputs.into_iter().flatten().filter_map(Path::to_str).collect();
    let out = out::new_folder(&args.out, &KIND, args.overwrite, &inputs)?;
    let folder = foreign::load_told(&args.adapter, args.base.as_deref())?;
    let name = args.base.as_ref().unwrap_or(&folder.meta.base.name);
    let model = BaseModel::open(&base::folder(name)?)?;
    for note in folder.meta.check_base(&model)?.into_iter().chain(folder.meta.trained_on_bytes()) {
        note!("{note}");
    }
    if model.is_quantized() {
        bail!("{name} is stored in int8; merge into the model that it was made from, with --base");
    }
    // The base may be known from the adapter alone.
    out::check_folder(&args.out, &[&model.folder().to_string_lossy()])?;
    // Whether the tensors are those of the method is checked where it is built.
    let (meta, tensors) = (&folder.meta, &folder.tensors);
    let packed = budwood::load(&model, Precision::F32, false)?;
    Adapter::from_tensors(&packed, &meta.method, meta.head.clone(), tensors)?;
    drop(packed);
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let changed = merged(&folder.meta.method, model.spec(), &folder.tensors, fetch)?;
    let (model_path, head_path) = (args.out.join("model"), args.out.join("head"));
    let mut tensors = folder.tensors;
    tensors.retain(|name, _| name.starts_with("head."));
    let mut meta = folder.meta;
    meta.method = method::resolve(&MethodSpec::named("linear"))?;
    meta.parameters_trained = tensors.values().map(|t| t.len() as u64).sum();
    // They were measured before the merge.
    meta.metrics.clear();
    out.replace(|new| -> Result<()> {
        let place = new.join("model");
        model_folder::write(&model, &changed, &place)?;
        let merged = BaseModel::open(&place)?;
        meta.base = merged.id(&model_path.to_string_lossy());
        meta.encoder = merged.spec().clone();
        Ok(AdapterFolder { meta, tensors }.save(&new.join("head"))?)
    })
    .with_context(|| format!("cannot write {}", args.out.display()))?;
    if settings.json {
        json(&json!({ "model": model_path, "head": head_path, "changed_tensors": changed.len() }))?;
    } else {
        say!(
            "{} tensors changed: model {}, its head {}",
            changed.len(),
            model_path.display(),
            head_path.display()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
