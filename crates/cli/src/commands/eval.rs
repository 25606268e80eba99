//! `budwood eval`: score an adapter on labelled data.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood::spec::{ColumnSpec, Form, ReadLimits};
use budwood_base::record::Prediction;
use budwood_model::Targets;
use budwood_tasks::metric::classes::{self, Classes};
use budwood_tasks::metric::why_undefined;
use budwood_tasks::{Split, task};
use budwood_train::recipe::{Calibration, Covered, accuracy_over_coverage};
use budwood_train::{Answers, scores};
use clap::ValueEnum;
use serde_json::json;

use crate::adapter::{Opening, take_columns};
use crate::output::{json, say, table, thousands};
use crate::training::{cut, positive_of, source_named, tell_skipped};
use crate::{Settings, out};
use budwood::answer::answered;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the adapter.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Data: a file or LAYOUT=FOLDER.
    #[arg(long)]
    data: String,
    /// Split of a layout.
    #[arg(long, value_enum, default_value_t = SplitChoice::Dev)]
    split: SplitChoice,
    #[command(flatten)]
    columns: ColumnSpec,
    #[command(flatten)]
    limits: ReadLimits,
    /// Form of the frozen weights [default: that of the adapter's training].
    #[arg(long, value_enum)]
    base_precision: Option<Form>,
    /// Layers whose adapters are left out, such as 0-2,5 (AdapterDrop); layer norms and head stay.
    #[arg(long, value_name = "LAYERS")]
    leave_out: Option<String>,
    /// The class that F1 is about, where there are two [default: that of the adapter's training].
    #[arg(long, value_name = "CLASS")]
    positive: Option<String>,
    /// Write each example's answer to this CSV file.
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Replace the file of --predictions that is there.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitChoice {
    Train,
    Dev,
    Test,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    if let Some(path) = &args.predictions {
        let inputs = [args.adapter.to_str(), args.base.as_deref(), Some(&args.data)];
        let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
        out::check_file(path, args.overwrite, &inputs)?;
    }
    let adapter = Opening {
        base: args.base.as_deref(),
        precision: args.base_precision,
        leave_out: args.leave_out.as_deref(),
        positive: args.positive.as_deref(),
    }
    .open(settings, &args.adapter)?;
    let mut columns = args.columns.clone();
    let source = source_named(&columns, &args.data, args.limits)?;
    let meta = adapter.meta();
    if source.is_table() {
        take_columns(&adapter, &mut columns);
    }
    if source.is_table() && columns.label_column.is_empty() {
        columns.label_column = match meta.task.label_column.as_str() {
            // Several columns are named as the labels are.
            "" if meta.task.kind == "multilabel" => meta.labels.clone(),
            "" => Vec::new(),
            one => vec![one.into()],
        };
    }
    let source = source_named(&columns, &args.data, args.limits)?;
    let split = match args.split {
        SplitChoice::Train => Split::Train,
        SplitChoice::Dev => Split::Dev,
        SplitChoice::Test => Split::Test,
    };
    let task = task::find(&meta.task.kind)?;
    let mut opened = source.open(split, true)?;
    opened.settle(Some(task))?;
    let (data, notes) = opened.examples(task, &meta.labels)?;
    let (prepared, answers) = adapter.answers(&data)?;
    let Some(targets) = &prepared.targets else { bail!("the data have no labels") };
    let scores = scores(&answers, &prepared);
    if let Some(path) = &args.predictions {
        write_predictions(path, &answered(&data, &prepared, &answers, &meta.labels))?;
    }
    let confusion = match targets {
        Targets::Classes(classes) => {
            Some(classes::confusion(&answers.classes(), classes, meta.labels.len()))
        }
        _ => None,
    };
    let certainty = match targets {
        Targets::Classes(classes) => Some(certainty(&answers, classes)),
        _ => None,
    };
    let (calibration, coverage) = certainty.unzip();
    if settings.json {
        let named: serde_json::Map<_, _> =
            scores.iter().map(|s| (s.name.clone(), json!(s.value))).collect();
        let undefined = scores.iter().filter(|s| s.value.is_nan());
        let undefined: serde_json::Map<_, _> =
            undefined.map(|s| (s.name.clone(), json!(why_undefined(&s.name)))).collect();
        json(&json!({
            "scores": named, "undefined": undefined, "positive": meta.task.positive,
            "rows": data.examples.len(), "data": data.digest,
            "truncated_rows": prepared.truncated, "skipped": data.skipped, "notes": notes,
            "confusion": confusion, "labels": meta.labels,
            "calibration": calibration, "coverage": coverage,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} rows of {}", thousands(data.examples.len() as u64), data.digest.source)?;
    notes.iter().try_for_each(|note| say!("note: {note}"))?;
    if prepared.truncated > 0 {
        say!("{} {}", prepared.truncated, cut(meta.head.kind, adapter.lengths()))?;
    }
    for score in &scores {
        match score.value.is_nan() {
            true => say!("{:<19} undefined: {}", score.name, why_undefined(&score.name))?,
            false => {
                say!(
                    "{:<19} {:.4}{}",
                    score.name,
                    score.value,
                    positive_of(
                        &score.name,
                        (&meta.task.kind, &meta.labels, meta.task.positive.as_ref())
                    )
                )?;
            }
        }
    }
    if let (Some(calibration), Some(coverage)) = (calibration, coverage) {
        say!("{:<19} {:.4}", "calibration error", calibration.ece)?;
        say!("{:<19} {:.4}\n", "Brier score", calibration.brier)?;
        let share = |x: f64| format!("{:.1} %", 100.0 * x);
        let row =
            |c: &Covered| vec![share(c.coverage), format!("{:.3}", c.least), share(c.accuracy)];
        let head = ["answered", "probability from", "accuracy"].map(String::from).to_vec();
        table(&[vec![head], coverage.iter().map(row).collect()].concat())?;
    }
    tell_skipped(&data.skipped)?;
    if let Some(confusion) = confusion.filter(|c| c.len() <= 30) {
        say!("")?;
        let head = ["class", "precision", "recall", "f1", "rows"];
        let mut rows = vec![head.iter().map(ToString::to_string).collect()];
        let share = |x: f64| if x.is_nan() { "undefined".into() } else { format!("{x:.3}") };
        let of = Classes { counts: &confusion, positive: 0 };
        for (class, label) in meta.labels.iter().enumerate() {
            let scores = [of.precision(class), of.recall(class), of.f1(class)].map(share);
            let ends = ([label.clone()], [of.there(class).to_string()]);
            rows.push([&ends.0[..], &scores, &ends.1].concat());
        }
        table(&rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How far probabilities can be trusted, and the accuracy of the surest answers.
fn certainty(answers: &Answers, right: &[u32]) -> (Calibration, Vec<Covered>) {
    let all: Vec<Vec<f32>> = (0..right.len()).map(|i| answers.probabilities(i)).collect();
    let calibration = Calibration::of(all.iter().map(Vec::as_slice).zip(right.iter().copied()));
    let row = |(i, right): (usize, &u32)| {
        let class = answers.class(i);
        (all[i].get(class as usize).copied().unwrap_or(0.0), class == *right)
    };
    (calibration, accuracy_over_coverage(right.iter().enumerate().map(row).collect()))
}

fn write_predictions(path: &std::path::Path, predictions: &[Prediction]) -> Result<()> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["row", "expected", "predicted", "score"])?;
    for p in predictions {
        let score = p.confidence.map_or(String::new(), |c| c.to_string());
        out.write_record([&p.row.to_string(), &p.expected, &p.predicted, &score])?;
    }
    let bytes = out.into_inner().map_err(|e| anyhow::anyhow!("{e}"))?;
    out::write_file(path, &bytes)
}
