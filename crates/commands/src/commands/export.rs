//! `budwood export`: an adapter as a folder that other libraries load.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood::{Export, ExportForm, OnnxPrecision, export, export_onnx_shared};
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterFolder;
use serde_json::json;

use crate::output::{json, note, say};
use crate::settings::Settings;
use crate::{base, foreign, out};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter: a folder, s3://BUCKET/NAME, or OWNER/NAME of the Hugging Face hub.
    adapter: PathBuf,
    /// Folder for the files, or s3://BUCKET/NAME.
    out: PathBuf,
    /// Whose form the files have.
    #[arg(long)]
    to: ExportForm,
    #[command(flatten)]
    options: Options,
    /// Write the base's weights of `onnx` into one file, to which a small graph for the adapter
    /// refers: `onnx/NAME.onnx`, named after the adapter's folder.
    #[arg(long)]
    shared_base: bool,
    /// Another adapter of that base for --shared-base; any number of them.
    #[arg(long, value_name = "ADAPTER", requires = "shared_base")]
    also: Vec<PathBuf>,
    /// Replace the export in that folder; other files in it are kept.
    #[arg(long)]
    overwrite: bool,
}

/// What forms of other libraries leave open.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Name of the adapter in AdapterHub's folder.
    #[arg(long, default_value = "task")]
    name: String,
    /// Base model, for whole models and for adapters of other libraries [default: the one that the
    /// adapter names].
    #[arg(long)]
    pub(crate) base: Option<String>,
    /// Write trained layer norms to AdapterHub's folder as those of the base, which loading it
    /// changes.
    #[arg(long)]
    norms: bool,
    /// Write AdapterHub's folder without the head, which is put beside it in `head.safetensors`:
    /// for heads over the mean, which AdapterHub has not.
    #[arg(long)]
    headless: bool,
    /// The version of `transformers` whose names of modules `peft` writes: image models have others
    /// since 5 [default: 4].
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(4..=5))]
    transformers: Option<u8>,
    /// How `onnx` holds weights, `f32,int8` for both. Each is a file: `onnx/model.onnx` in f32,
    /// `onnx/model_quantized.onnx` in int8 [default: f32].
    #[arg(long, value_delimiter = ',')]
    precision: Vec<OnnxPrecision>,
}

/// Names of files, and what should be known of them.
pub(crate) type Written = (Vec<String>, Vec<String>);

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let adapters = || std::iter::once(&args.adapter).chain(&args.also);
    let inputs = adapters().map(|path| path.to_str()).chain([args.options.base.as_deref()]);
    let inputs: Vec<&str> = inputs.flatten().collect();
    let out = out::new_folder(&args.out, args.to.kind(), args.overwrite, &inputs)?;
    args.options.check(args.to)?;
    if args.shared_base && (args.to != ExportForm::Onnx || !args.options.precision.is_empty()) {
        bail!("--shared-base is for onnx, in f32: leave --precision out");
    }
    let folder = foreign::load_told(&args.adapter, args.options.base.as_deref())?;
    let base = args.options.base_of(&folder, args.to)?;
    if let Some(base) = &base {
        // A whole model is never written into its own base.
        out::check_folder(&args.out, &[&base.folder().to_string_lossy()])?;
    }
    let mut written = Written::default();
    out.replace(|new| -> Result<()> {
        written = match &base {
            Some(base) if args.shared_base => {
                let mut all = vec![named(&args.adapter, folder)];
                for path in &args.also {
                    let folder = foreign::load_told(path, args.options.base.as_deref())?;
                    all.push(named(path, folder));
                }
                export_onnx_shared(&all, base, new)?
            }
            _ => args.options.write(args.to, &folder, base.as_ref(), new)?,
        };
        Ok(())
    })?;
    let (files, notes) = written;
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

/// An adapter with the name of its folder, or of its repository without revision.
fn named(path: &Path, folder: AdapterFolder) -> (String, AdapterFolder) {
    let place = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = if path.exists() { name } else { name.split('@').next().unwrap_or_default() };
    (name.into(), folder)
}

impl Options {
    /// Refuses what is for another form.
    pub(crate) fn check(&self, to: ExportForm) -> Result<()> {
        if self.norms && to != ExportForm::Adapterhub {
            bail!("--norms is for adapterhub");
        }
        if self.headless && to != ExportForm::Adapterhub {
            bail!("--headless is for adapterhub");
        }
        if self.transformers.is_some() && to != ExportForm::Peft {
            bail!("--transformers is for peft");
        }
        if !self.precision.is_empty() && to != ExportForm::Onnx {
            bail!("--precision is for onnx");
        }
        Ok(())
    }

    /// The base of a form that is a whole model, or that must know more of it.
    pub(crate) fn base_of(
        &self,
        folder: &AdapterFolder,
        to: ExportForm,
    ) -> Result<Option<BaseModel>> {
        let name = self.base.as_ref().unwrap_or(&folder.meta.base.name);
        let open = || -> Result<_> { Ok(Some(BaseModel::open(&base::folder(name)?)?)) };
        match to {
            ExportForm::Transformers | ExportForm::SentenceTransformers | ExportForm::Onnx => {
                open()
            }
            ExportForm::Peft => Ok(None),
            // It says which type of its family it is: without it the first is written, with a note.
            ExportForm::Adapterhub if folder.meta.encoder.family == "roberta" => match self.base {
                Some(_) => open(),
                None => Ok(open().unwrap_or_default()),
            },
            ExportForm::Adapterhub => Ok(None),
        }
    }

    /// Writes the files of a form into an empty folder; `base` is that of [`Options::base_of`].
    pub(crate) fn write(
        &self,
        to: ExportForm,
        folder: &AdapterFolder,
        base: Option<&BaseModel>,
        new: &Path,
    ) -> Result<Written> {
        let form = Export {
            form: to,
            name: self.name.clone(),
            norms: self.norms,
            headless: self.headless,
            since_5: self.transformers == Some(5),
            precisions: self.precision.clone(),
        };
        Ok(export(folder, base, &form, new)?)
    }
}
