//! `budwood export`: an adapter as a folder that Python's libraries load.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::{EXPORT_FOLDER, Export, export};
use budwood_formats::export::Exported;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, model_folder};
use serde_json::json;

use crate::output::{json, note, say};
use crate::settings::Settings;
use crate::{base, foreign, out};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter: a folder, or OWNER/NAME of the Hugging Face hub.
    adapter: PathBuf,
    /// Folder for the files.
    out: PathBuf,
    /// The library.
    #[arg(long)]
    to: To,
    /// Name of the adapter in AdapterHub's folder.
    #[arg(long, default_value = "task")]
    name: String,
    /// Base model, for `transformers` and adapters of other libraries [default: the one that the
    /// adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Write trained layer norms to AdapterHub's folder as those of the base, which loading it
    /// changes.
    #[arg(long)]
    norms: bool,
    /// Replace the export in that folder; other files in it are kept.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum To {
    /// A folder of `adapters`: `model.load_adapter(DIR, use_safetensors=True)`.
    Adapterhub,
    /// A folder of `peft`: `PeftModel.from_pretrained(model, DIR)`.
    Peft,
    /// A whole model of `transformers`, the adapter merged into it.
    Transformers,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let inputs = [args.adapter.to_str(), args.base.as_deref()];
    let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
    let kind =
        if matches!(args.to, To::Transformers) { &model_folder::KIND } else { &EXPORT_FOLDER };
    let out = out::new_folder(&args.out, kind, args.overwrite, &inputs)?;
    if args.norms && !matches!(args.to, To::Adapterhub) {
        bail!("--norms is for --to adapterhub");
    }
    let folder = foreign::load(&args.adapter, args.base.as_deref())?;
    let exported = files(&folder, args)?;
    out.replace(|new| -> Result<()> {
        for (name, bytes) in &exported.files {
            std::fs::write(new.join(name), bytes)?;
        }
        Ok(())
    })
    .with_context(|| format!("cannot write {}", args.out.display()))?;
    for line in &exported.notes {
        note!("{line}");
    }
    let files: Vec<_> = exported.files.iter().map(|(name, _)| name).collect();
    if settings.json {
        json(&json!({ "folder": args.out, "files": files, "notes": exported.notes }))?;
    } else {
        say!("{} files in {}", files.len(), args.out.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder's files. A whole model is never written into its own base.
fn files(folder: &AdapterFolder, args: &Args) -> Result<Exported> {
    let to = match args.to {
        To::Adapterhub => Export::AdapterHub { name: &args.name, norms: args.norms },
        To::Peft => Export::Peft,
        To::Transformers => {
            let name = args.base.as_ref().unwrap_or(&folder.meta.base.name);
            let model = BaseModel::open(&base::folder(name)?)?;
            out::check_folder(&args.out, &[&model.folder().to_string_lossy()])?;
            return Ok(export(folder, Export::Transformers(&model))?);
        }
    };
    Ok(export(folder, to)?)
}
