//! `budwood import`: an adapter of AdapterHub or PEFT, or a tuned model's head, as an adapter of
//! ours.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::run::{FOLDER, write_adapter};
use budwood_formats::{BaseModel, foreign as formats};
use serde_json::json;

use crate::output::{json, note, say};
use crate::settings::Settings;
use crate::{base, foreign, out};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Adapter of AdapterHub or PEFT, or tuned model: a folder, s3://BUCKET/NAME, or OWNER/NAME of
    /// the hub.
    folder: PathBuf,
    /// Base model [default: the one that the folder names].
    #[arg(long)]
    base: Option<String>,
    /// Folder for the adapter, or s3://BUCKET/NAME.
    #[arg(long)]
    out: PathBuf,
    /// Column of the text (give it twice for pairs) or of the image; folders of other libraries
    /// do not name it.
    #[arg(long = "text-column", num_args = 1)]
    text_column: Vec<String>,
    /// Longest input in tokens [default: as many as the base has positions].
    #[arg(long)]
    max_length: Option<usize>,
    /// Replace the adapter in that folder; other files in it are kept.
    #[arg(long)]
    overwrite: bool,
}

/// A token of a text between two special ones.
const LENGTH_LEAST: usize = 3;

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let inputs = [args.folder.to_str(), args.base.as_deref()];
    let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
    let out = out::new_folder(&args.out, &FOLDER, args.overwrite, &inputs)?;
    let place = foreign::folder(&args.folder)?;
    let Some(library) = formats::library(&place)? else {
        if place.join("adapter.json").exists() {
            bail!(
                "{} is an adapter of Budwood's own, by its adapter.json, and needs no import",
                args.folder.display()
            );
        }
        bail!(
            "{} is not an adapter of another library: there is no adapter_config.json, and no config.json that names a head",
            args.folder.display()
        );
    };
    let mut folder = foreign::load(&place, args.base.as_deref())?;
    let meta = &mut folder.meta;
    match args.text_column.len() {
        0 => {}
        1 | 2 => meta.task.text_columns.clone_from(&args.text_column),
        n => bail!("--text-column is given {n} times; one text or two are read"),
    }
    if let Some(length) = args.max_length {
        if length < LENGTH_LEAST {
            bail!("--max-length {length} leaves no room for a text beside its special tokens");
        }
        meta.task.max_length = length;
    }
    let model = BaseModel::open(&base::folder(&meta.base.name)?)?;
    meta.check_base(&model)?;
    out::check_folder(&args.out, &[&model.folder().to_string_lossy()])?;
    check(&model, &folder)?;
    let warning = formats::warning(&folder.meta);
    if let Some(warning) = &warning {
        note!("{warning}");
    }
    out.replace(|new| write_adapter(&mut folder, new, &args.out))
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    let meta = &folder.meta;
    if settings.json {
        json(&json!({
            "adapter": args.out, "library": library.name(), "base": meta.base.name,
            "method": meta.method.to_string(), "labels": meta.labels, "warning": warning,
        }))?;
    } else {
        say!("adapter: {}, {} of {}", args.out.display(), meta.method, library.name())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses an adapter whose tensors are not those of its method on the base.
fn check(model: &BaseModel, folder: &budwood_formats::native::AdapterFolder) -> Result<()> {
    let packed = budwood::load(model, budwood_engine::Precision::F32, false)?;
    let (meta, tensors) = (&folder.meta, &folder.tensors);
    budwood_model::Adapter::from_tensors(&packed, &meta.method, meta.head.clone(), tensors)?;
    Ok(())
}
