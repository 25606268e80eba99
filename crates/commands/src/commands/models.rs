//! `budwood models`: base models that a package carries, and the cache.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood_engine::{Isa, quantize_weight};
use budwood_formats::family::FAMILIES;
use budwood_formats::{BaseModel, model_folder, quantized};
use clap::Subcommand;
use serde_json::json;

use crate::new_vit::NewArgs;
use crate::output::{bytes, json, say, thousands};
use crate::settings::Settings;
use crate::{new_vit, out};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Show the models that can be fetched and those in the cache [default].
    List,
    /// Fetch a model into the cache and print its folder.
    Fetch {
        /// Name of the model: one of the list, or OWNER/NAME of the Hugging Face hub.
        name: String,
    },
    /// Write a copy of a model with its large weights in int8, a quarter of the size. Adapters fit
    /// both.
    Quantize {
        /// The model: a folder, a name of the list, or OWNER/NAME of the Hugging Face hub.
        name: String,
        /// The new folder.
        #[arg(long)]
        out: PathBuf,
        /// Replace the model in that folder; other files in it are kept.
        #[arg(long, alias = "force")]
        overwrite: bool,
    },
    /// Convert a model to a folder in Hugging Face's layout: ViT's original .npz, or
    /// a network in ONNX around an encoder of DINOv2's layout.
    Import {
        /// The file, ending in .npz or .onnx.
        file: PathBuf,
        /// The new folder.
        #[arg(long)]
        out: PathBuf,
        /// Replace the model in that folder; other files in it are kept.
        #[arg(long, alias = "force")]
        overwrite: bool,
    },
    /// Write a ViT with random weights, to train from nothing with --method full.
    New(NewArgs),
    /// Print the cache's folder and size.
    Cache {
        /// Remove what was fetched or made for it.
        #[arg(long)]
        clear: bool,
    },
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match &args.action {
        None | Some(Action::List) => list(settings)?,
        Some(Action::Fetch { name }) => {
            let folder = crate::base::folder(name)?;
            if settings.json {
                json(&json!({ "name": name, "folder": folder }))?;
            } else {
                say!("{}", folder.display())?;
            }
        }
        Some(Action::Quantize { name, out, overwrite }) => {
            quantize(settings, name, out, *overwrite)?
        }
        Some(Action::Import { file, out, overwrite }) => import(settings, file, out, *overwrite)?,
        Some(Action::New(args)) => new(settings, args)?,
        Some(Action::Cache { clear }) => {
            let folder = budwood_hub::cache_folder()?;
            let size = size_of_folder(&folder);
            if *clear {
                budwood_hub::clear_cache()?;
            }
            let size = size - if *clear { size_of_folder(&folder) } else { 0 };
            if settings.json {
                json(&json!({ "folder": folder, "bytes": size, "cleared": clear }))?;
            } else {
                let what = if *clear { "removed" } else { "holds" };
                say!("{} {what} {}", folder.display(), bytes(size))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &Settings) -> Result<()> {
    let mut rows = Vec::new();
    for model in budwood_hub::MODELS {
        let place = budwood_hub::place(model)?;
        rows.push((model, place.exists(), place));
    }
    if settings.json {
        let row = |(m, there, place): &(&budwood_hub::Package, bool, std::path::PathBuf)| json!({ "name": m.name, "summary": m.summary, "cached": there, "folder": place });
        return json(&rows.iter().map(row).collect::<Vec<_>>());
    }
    for (model, there, place) in rows {
        let state = if there {
            format!("in the cache: {}", place.display())
        } else {
            format!("not fetched: budwood models fetch {}", model.name)
        };
        say!("{}\n    {}\n    {state}", model.name, model.summary)?;
    }
    let families: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
    say!("\n--base also takes a folder in Hugging Face's layout and OWNER/NAME of its hub, of")?;
    say!("the families {}; see docs/formats.md.", families.join(", "))?;
    Ok(())
}

fn new(settings: &Settings, args: &NewArgs) -> Result<()> {
    let model = new_vit::write(args)?;
    let parameters = model.spec().parameters() as u64;
    if settings.json {
        let encoder = model.spec();
        json(&json!({ "folder": args.out, "encoder": encoder, "parameters": parameters }))?;
    } else {
        say!("{}: {} parameters, not trained", args.out.display(), thousands(parameters))?;
    }
    Ok(())
}

fn import(settings: &Settings, file: &Path, out: &Path, overwrite: bool) -> Result<()> {
    let inputs: Vec<&str> = file.to_str().into_iter().collect();
    let (mut model, file) = (None, &crate::base::here(file)?);
    out::new_folder(out, &model_folder::KIND, overwrite, &inputs)?
        .replace(|new| {
            budwood_formats::convert(file, new)?;
            model = Some(BaseModel::open(new)?);
            Ok::<_, budwood_formats::Error>(())
        })
        .with_context(|| format!("cannot make {} of {}", out.display(), file.display()))?;
    let Some(model) = model else { return Ok(()) };
    let (family, parameters) = (model.family().name, model.spec().parameters());
    if settings.json {
        let weights = model.id("").weights_sha256;
        return json(
            &json!({ "folder": out, "family": family, "parameters": parameters, "weights_sha256": weights }),
        );
    }
    say!("{}: {family}, {:.1} M parameters", out.display(), parameters as f64 / 1e6)?;
    Ok(())
}

fn quantize(settings: &Settings, name: &str, out: &Path, overwrite: bool) -> Result<()> {
    let place = out::new_folder(out, &model_folder::KIND, overwrite, &[name])?;
    let model = BaseModel::open(&crate::base::folder(name)?)?;
    if model.is_quantized() {
        bail!("{name} is stored in int8 already");
    }
    let mut size = 0;
    place
        .replace(|new| -> Result<()> {
            let id = model.id(name);
            let isa = Isa::detect();
            let bytes = |weight: &[f32], columns| quantize_weight(isa, weight, columns);
            size = quantized::write(&model, id, new, bytes)?;
            Ok(())
        })
        .with_context(|| format!("cannot write {}", out.display()))?;
    if settings.json {
        return json(&json!({ "folder": out, "weights_bytes": size }));
    }
    say!("{}: weights in int8, {}", out.display(), bytes(size))?;
    Ok(())
}

fn size_of_folder(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => size_of_folder(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}
