//! `budwood merge`: an adapter as a model of its own, and its head.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood_base::method::MethodSpec;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, model_folder};
use budwood_model::{merged, method};
use serde_json::json;

use crate::output::{json, say};
use crate::{Settings, base};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the adapter: of LoRA, (IA)³, or a method that trains the model's own weights.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Folder for the model (`model`) and the head as an adapter of it (`head`).
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let folder = AdapterFolder::load(&args.adapter)?;
    let name = args.base.as_ref().unwrap_or(&folder.meta.base.name);
    let model = BaseModel::open(&base::folder(name)?)?;
    folder.meta.check_base(&model)?;
    if model.is_quantized() {
        bail!("{name} is stored in int8; merge into the model that it was made from, with --base");
    }
    if args.out.exists() {
        bail!("{} is there already", args.out.display());
    }
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let changed = merged(&folder.meta.method, &folder.meta.encoder, &folder.tensors, fetch)?;
    let model_path = args.out.join("model");
    model_folder::write(&model, &changed, &model_path)?;
    let new = BaseModel::open(&model_path)?;
    let mut tensors = folder.tensors;
    tensors.retain(|name, _| name.starts_with("head."));
    let mut meta = folder.meta;
    meta.method = method::resolve(&MethodSpec::named("linear"))?;
    meta.base = new.id(&model_path.to_string_lossy());
    meta.parameters_trained = tensors.values().map(|t| t.len() as u64).sum();
    // They were measured before the merge.
    meta.metrics.clear();
    let head_path = args.out.join("head");
    AdapterFolder { meta, tensors }.save(&head_path)?;
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
