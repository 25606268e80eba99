//! `budwood export`: an adapter as a folder that other libraries load.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::{EXPORT_FOLDER, Export, OnnxPrecision, export, export_onnx};
use budwood_base::folder::OutFolder;
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
    /// Base model, for `transformers`, `onnx` and adapters of other libraries [default: the one
    /// that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Write trained layer norms to AdapterHub's folder as those of the base, which loading it
    /// changes.
    #[arg(long)]
    norms: bool,
    /// How the graph of `onnx` holds weights: one file for each.
    #[arg(long, value_delimiter = ',', value_name = "f32|int8")]
    precision: Vec<GraphPrecision>,
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
    /// A whole model with any adapter as a graph for ONNX Runtime: `onnx/model.onnx`.
    Onnx,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GraphPrecision {
    /// `onnx/model.onnx`
    F32,
    /// `onnx/model_quantized.onnx`
    Int8,
}

impl GraphPrecision {
    fn of_graph(self) -> OnnxPrecision {
        match self {
            Self::F32 => OnnxPrecision::F32,
            Self::Int8 => OnnxPrecision::Int8,
        }
    }
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
    if !args.precision.is_empty() && !matches!(args.to, To::Onnx) {
        bail!("--precision is for --to onnx");
    }
    let folder = foreign::load(&args.adapter, args.base.as_deref())?;
    let (files, notes) = match args.to {
        To::Adapterhub => {
            let to = Export::AdapterHub { name: &args.name, norms: args.norms };
            write_files(&folder, to, args, &out)
        }
        To::Peft => write_files(&folder, Export::Peft, args, &out),
        To::Transformers => {
            write_files(&folder, Export::Transformers(&base_of(&folder, args)?), args, &out)
        }
        To::Onnx => write_graphs(&folder, args, &out),
    }?;
    for line in &notes {
        note!("{line}");
    }
    if settings.json {
        json(&json!({ "folder": args.out, "files": files, "notes": notes }))?;
    } else {
        say!("{} files in {}", files.len(), args.out.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Names of files, and what should be known of them.
type Written = (Vec<String>, Vec<String>);

fn write_files(
    folder: &AdapterFolder,
    to: Export<'_>,
    args: &Args,
    out: &OutFolder,
) -> Result<Written> {
    let Exported { files, notes } = export(folder, to)?;
    out.replace(|new| -> Result<()> {
        for (name, bytes) in &files {
            std::fs::write(new.join(name), bytes)?;
        }
        Ok(())
    })
    .with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok((files.into_iter().map(|(name, _)| name).collect(), notes))
}

fn write_graphs(folder: &AdapterFolder, args: &Args, out: &OutFolder) -> Result<Written> {
    let model = base_of(folder, args)?;
    let mut precisions: Vec<OnnxPrecision> = Vec::new();
    for precision in args.precision.iter().map(|p| p.of_graph()) {
        if !precisions.contains(&precision) {
            precisions.push(precision);
        }
    }
    if precisions.is_empty() {
        precisions.push(OnnxPrecision::F32);
    }
    let mut written = Written::default();
    out.replace(|new| -> Result<()> {
        written = export_onnx(folder, &model, &precisions, new)?;
        Ok(())
    })?;
    Ok(written)
}

/// The base of a whole model, which is never written into that base.
fn base_of(folder: &AdapterFolder, args: &Args) -> Result<BaseModel> {
    let name = args.base.as_ref().unwrap_or(&folder.meta.base.name);
    let model = BaseModel::open(&base::folder(name)?)?;
    out::check_folder(&args.out, &[&model.folder().to_string_lossy()])?;
    Ok(model)
}
