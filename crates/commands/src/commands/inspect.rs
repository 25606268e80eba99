//! `budwood inspect`: what an adapter or a base model is.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use budwood_base::record::in_words;
use budwood_base::tokenizer::WordPieceSettings;
use budwood_formats::BaseModel;
use budwood_formats::foreign::{self, Library};
use budwood_formats::native::AdapterFolder;
use budwood_hub::MODELS;
use serde_json::json;

use crate::output::{bytes, json, note, say, thousands};
use crate::settings::Settings;
use crate::{base, foreign as adapters};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// An adapter or a base model: a folder, s3://BUCKET/NAME, a name of `budwood models`, or
    /// OWNER/NAME of the hub.
    path: String,
    /// Base model of an adapter of another library [default: the one that it names].
    #[arg(long)]
    base: Option<String>,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let path = match MODELS.iter().any(|model| args.path == model.name) {
        true => base::folder(&args.path)?,
        false => adapters::folder(Path::new(&args.path))?,
    };
    let library = foreign::library(&path)?;
    if path.join("adapter.json").exists()
        || matches!(library, Some(Library::AdapterHub | Library::Peft))
    {
        adapter(settings, &path, args.base.as_deref())?;
    } else {
        model(settings, &path)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn adapter(settings: &Settings, path: &Path, base: Option<&str>) -> Result<()> {
    let folder = adapters::load(path, base)?;
    if let Some(warning) = foreign::warning(&folder.meta) {
        note!("{warning}");
    }
    // Of another library's folder nothing is of this form on the disk.
    let size = match foreign::library(path)? {
        Some(_) => 0,
        None => AdapterFolder::bytes_on_disk(path)?,
    };
    let meta = &folder.meta;
    let share = 100.0 * meta.parameters_trained as f64 / meta.parameters_base.max(1) as f64;
    let tensors: Vec<_> =
        folder.tensors.iter().map(|(n, t)| json!({ "name": n, "shape": t.shape })).collect();
    if settings.json {
        let mut value = serde_json::to_value(meta)?;
        value["percent_of_base"] = json!(share);
        value["bytes"] = json!(size);
        value["tensors"] = json!(tensors);
        return json(&value);
    }
    say!("adapter     {}", path.display())?;
    say!("method      {}", meta.method)?;
    say!(
        "parameters  {} trained, {share:.2} % of the base's {}",
        thousands(meta.parameters_trained),
        thousands(meta.parameters_base)
    )?;
    say!("on disk     {} in {} tensors", bytes(size), tensors.len())?;
    say!(
        "base        {} ({}), weights {}",
        meta.base.name,
        meta.base.family,
        meta.base.weights_sha256
    )?;
    if let Some(hash) = &meta.base.tokenizer_sha256 {
        say!("tokenizer   {hash}")?;
    }
    if meta.base.is_of_old() {
        say!(
            "written by  an older Budwood: nothing shows whether the description was changed since"
        )?;
    }
    say!("weights     {}", meta.weights_sha256)?;
    say!("task        {} ({}), pooling {:?}", meta.task.name, meta.task.kind, meta.head.pooling)?;
    if !meta.labels.is_empty() {
        let shown: Vec<_> = meta.labels.iter().take(12).map(String::as_str).collect();
        let more = if meta.labels.len() > 12 { ", ..." } else { "" };
        say!("labels      {}: {}{more}", meta.labels.len(), shown.join(", "))?;
    }
    for data in &meta.data {
        say!(
            "data        {}: {} rows of {} ({})",
            data.split,
            thousands(data.rows),
            data.source,
            &data.sha256[..12.min(data.sha256.len())]
        )?;
    }
    for metric in &meta.metrics {
        let mark = if metric.primary { "  (chose the checkpoint)" } else { "" };
        say!("{:<11} {} {}{mark}", metric.split, metric.name, in_words(metric.value))?;
    }
    say!("seed        {}, precision {}", meta.seed, meta.precision)?;
    Ok(())
}

fn model(settings: &Settings, path: &Path) -> Result<()> {
    let model = BaseModel::open(path)?;
    let (spec, id) = (model.spec(), model.id(&path.display().to_string()));
    let (pooling, why) = model.default_pooling();
    if settings.json {
        return json(&json!({
            "id": id, "encoder": spec, "parameters": spec.parameters(),
            "default_pooling": pooling, "default_pooling_reason": why,
        }));
    }
    say!("model       {}", path.display())?;
    say!("family      {}", spec.family)?;
    say!(
        "size        {} layers x {}, {} heads, feed-forward {}",
        spec.layers,
        spec.hidden,
        spec.heads,
        spec.intermediate
    )?;
    say!("parameters  {}", thousands(spec.parameters() as u64))?;
    say!("weights     {}", id.weights_sha256)?;
    say!("tokenizer   {}", id.tokenizer_sha256.as_deref().unwrap_or("none"))?;
    if let Some(settings) = &id.tokenizer_settings {
        let WordPieceSettings { do_lower_case, tokenize_chinese_chars, strip_accents } = settings;
        let strip = strip_accents.map_or("as do_lower_case".into(), |s| s.to_string());
        say!(
            "            do_lower_case {do_lower_case}, tokenize_chinese_chars {tokenize_chinese_chars}, strip_accents {strip}"
        )?;
    }
    say!("encoder     {}", spec.sha256())?;
    if let Some(hash) = &id.int8_sha256 {
        say!(
            "int8        {hash}; the hash of the weights is what budwood.json says of the model it was made from"
        )?;
    }
    say!("pooling     {pooling:?} by default: {why}")?;
    Ok(())
}
