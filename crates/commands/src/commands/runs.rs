//! `budwood runs`: what a store holds.

mod compare;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use budwood_base::record::{RunRecord, command, in_words};
use budwood_store::{Address, Filter, StoredRun};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::card::model_index_entry;
use crate::out;
use crate::output::{json, say, seconds, stdout, table, thousands};
use crate::settings::Settings;
use crate::store::{Place, inputs, stored};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store, a file or postgres://USER@HOST/DATABASE.
    #[arg(long, global = true, default_value = "budwood-runs/runs.db", value_parser = Place)]
    store: Address,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List the runs.
    List(FilterArgs),
    /// Show everything about a run.
    Show {
        /// Number of the run, or the beginning of its key.
        run: String,
    },
    /// Compare the answers of two runs, example by example, and say whether they differ beyond
    /// chance.
    Compare {
        /// Number of the first run.
        a: String,
        /// Number of the second.
        b: String,
        /// Split of the answers [default: dev, else test, if both runs have answers for it].
        #[arg(long)]
        split: Option<String>,
        /// Examples shown that only one of them got right.
        #[arg(long, default_value_t = 10)]
        show: usize,
    },
    /// Write the runs as CSV, JSON or Hugging Face's model-index.
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// Form of the export.
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// File to write [default: standard output].
        #[arg(long)]
        out: Option<PathBuf>,
        /// Replace an earlier file.
        #[arg(long)]
        overwrite: bool,
    },
}

#[derive(clap::Args, Default)]
struct FilterArgs {
    /// Only this sweep.
    #[arg(long)]
    sweep: Option<String>,
    /// Only this task.
    #[arg(long)]
    task: Option<String>,
    /// Only this group of methods, or methods whose name begins so.
    #[arg(long)]
    method: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A row for each score.
    Csv,
    /// Everything.
    Json,
    /// YAML for the head of a model card.
    ModelIndex,
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter { sweep: self.sweep.clone(), task: self.task.clone(), method: self.method.clone() }
    }
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match &args.command {
        None => list(settings, &args.store, &FilterArgs::default())?,
        Some(Command::List(filter)) => list(settings, &args.store, filter)?,
        Some(Command::Show { run }) => show(settings, &args.store, run)?,
        Some(Command::Compare { a, b, split, show }) => {
            compare::run(settings, &args.store, [a, b], split.as_deref(), *show)?;
        }
        Some(Command::Export { filter, format, out, overwrite }) => {
            if let Some(path) = out {
                out::check_file(path, *overwrite, &inputs(&args.store))?;
            }
            let (_, runs) = stored(&args.store, &filter.filter())?;
            let text = match format {
                Format::Csv => csv_of(&runs)?,
                Format::Json => serde_json::to_string_pretty(&with_ids(&runs)?)? + "\n",
                Format::ModelIndex => model_index(&runs),
            };
            match out {
                Some(path) => out::write_file(path, text.as_bytes())?,
                None => write!(stdout(), "{text}")?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

use std::io::Write as _;

fn with_ids(runs: &[StoredRun]) -> Result<Vec<Value>> {
    let value = |run: &StoredRun| {
        let mut value = serde_json::to_value(&run.record)?;
        value["id"] = json!(run.id);
        Ok(value)
    };
    runs.iter().map(value).collect()
}

fn list(settings: &Settings, place: &Address, filter: &FilterArgs) -> Result<()> {
    let (_, runs) = stored(place, &filter.filter())?;
    if settings.json {
        return json(&with_ids(&runs)?);
    }
    let head = [
        "run", "task", "method", "lr", "epochs", "seed", "trained", "metric", "dev", "test", "time",
    ];
    let mut rows = vec![head.iter().map(ToString::to_string).collect::<Vec<_>>()];
    for run in &runs {
        let r = &run.record;
        let number = |x: Option<f64>| x.map_or("-".into(), in_words);
        let given = |name| setting(r, name).unwrap_or("-".into());
        rows.push(vec![
            run.id.to_string(),
            r.task.clone(),
            short_method(r),
            given("lr"),
            given("epochs"),
            r.seed.to_string(),
            thousands(r.parameters_trained),
            r.metric.clone(),
            number(r.chosen()),
            number(r.score("test", &r.metric)),
            seconds(r.seconds),
        ]);
    }
    table(&rows)?;
    say!("{} runs in {place}", runs.len())?;
    Ok(())
}

/// The method as the user wrote it.
pub(crate) fn short_method(r: &RunRecord) -> String {
    match r.settings.get("method").and_then(Value::as_str) {
        Some(written) => written.into(),
        None => r.method.clone(),
    }
}

/// A setting that a run was given; none where its recipe chose.
fn setting(r: &RunRecord, name: &str) -> Option<String> {
    let value = r.settings.get(name).filter(|v| !v.is_null());
    value.map(|v| v.to_string().trim_matches('"').to_string())
}

fn show(settings: &Settings, place: &Address, name: &str) -> Result<()> {
    let (store, _) = stored(place, &Filter::default())?;
    let run = store.run(name)?;
    if settings.json {
        return json(&with_ids(std::slice::from_ref(&run))?[0]);
    }
    let r = &run.record;
    say!("run {} of {place} ({})", run.id, &r.key[..12.min(r.key.len())])?;
    let lines = [
        ("task", format!("{} ({})", r.task, r.kind)),
        ("method", r.method.clone()),
        (
            "base",
            format!(
                "{}, weights {}",
                r.base.name,
                &r.base.weights_sha256[..12.min(r.base.weights_sha256.len())]
            ),
        ),
        ("precision", r.precision.clone()),
        (
            "trained",
            format!(
                "{} of {} parameters, {} in the head",
                thousands(r.parameters_trained),
                thousands(r.parameters_base),
                thousands(r.parameters_head)
            ),
        ),
        ("time", seconds(r.seconds)),
        ("adapter", r.adapter.clone().unwrap_or_else(|| "not kept".into())),
    ];
    for (name, value) in lines {
        say!("  {name:<10} {value}")?;
    }
    for d in &r.data {
        say!(
            "  {:<10} {} rows of {} ({})",
            d.split,
            thousands(d.rows),
            d.source,
            &d.sha256[..12.min(d.sha256.len())]
        )?;
    }
    for m in r.metrics.iter().filter(|m| m.split != "ablation") {
        let mark = if m.primary { "  (chose the checkpoint)" } else { "" };
        say!("  {:<10} {} {}{mark}", m.split, m.name, in_words(m.value))?;
    }
    say!("repeat with: {}", command(&r.settings))?;
    Ok(())
}

fn csv_of(runs: &[StoredRun]) -> Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "run",
        "key",
        "sweep",
        "task",
        "group",
        "method",
        "base",
        "base_sha256",
        "precision",
        "seed",
        "lr",
        "epochs",
        "parameters_trained",
        "parameters_head",
        "parameters_base",
        "split",
        "metric",
        "value",
        "rows",
        "chosen",
        "seconds",
        "peak_bytes",
        "adapter",
    ])?;
    for run in runs {
        let r = &run.record;
        for m in &r.metrics {
            out.write_record([
                run.id.to_string(),
                r.key.clone(),
                r.sweep.clone(),
                r.task.clone(),
                r.group.clone(),
                r.method.clone(),
                r.base.name.clone(),
                r.base.weights_sha256.clone(),
                r.precision.clone(),
                r.seed.to_string(),
                setting(r, "lr").unwrap_or_default(),
                setting(r, "epochs").unwrap_or_default(),
                r.parameters_trained.to_string(),
                r.parameters_head.to_string(),
                r.parameters_base.to_string(),
                m.split.clone(),
                m.name.clone(),
                m.value.to_string(),
                m.rows.to_string(),
                m.primary.to_string(),
                r.seconds.to_string(),
                r.peak_bytes.to_string(),
                r.adapter.clone().unwrap_or_default(),
            ])?;
        }
    }
    let bytes = out.into_inner().map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(String::from_utf8(bytes)?)
}

/// The `model-index` of a model card (Hugging Face hub documentation, "Model cards"). Every text is
/// a JSON string, which YAML reads too.
fn model_index(runs: &[StoredRun]) -> String {
    let mut out = String::from("model-index:\n");
    for run in runs {
        let r = &run.record;
        let kind = match r.kind.as_str() {
            "regression" => "text-scoring",
            "masked-lm" => "fill-mask",
            "classification" | "multilabel" => "text-classification",
            as_on_the_hub => as_on_the_hub,
        };
        let name = format!("{} {} seed {}", r.task, short_method(r), r.seed);
        out += &model_index_entry(&name, kind, &r.task, &r.metrics, &r.data);
    }
    out
}
