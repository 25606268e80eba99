//! `budwood eval`: score an adapter on labelled data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use budwood::spec::{BasePrecision, ColumnSpec, ReadLimits};
use budwood::{Adapter, Dataset, EvalSpec, Evaluation, Example, Labelled, Target};
use budwood_base::folder::{Kind, Ours};
use budwood_base::record::{Prediction, in_words};
use budwood_tasks::Split;
use budwood_tasks::metric::classes::Classes;
use budwood_tasks::metric::why_undefined;
use budwood_train::Score;
use budwood_train::recipe::{Calibration, Covered};
use serde_json::{Map, Value, json};

use crate::adapter::Opening;
use crate::choice::one_of;
use crate::finished::say_all;
use crate::output::{json, say, table, thousands};
use crate::results::Results;
use crate::settings::Settings;
use crate::{base, out};
use budwood::run::{cut, positive_of, skipped};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter: a folder, s3://BUCKET/NAME, or OWNER/NAME of the Hugging Face hub.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Data: a file or LAYOUT=FOLDER.
    #[arg(long)]
    data: String,
    /// Split of a layout such as glue:CoLA=FOLDER.
    #[arg(long, default_value = Split::Dev.name(), value_parser = one_of(Split::ALL, Split::name))]
    split: Split,
    /// Number format of the frozen weights. auto: that of the adapter's training.
    #[arg(long, value_enum, default_value_t)]
    base_precision: BasePrecision,
    /// Layers to run without their adapters, such as 0-2,5 (AdapterDrop); layer norms and head
    /// stay.
    #[arg(long, value_name = "LAYERS")]
    leave_out: Option<String>,
    /// The positive class for F1, if there are two classes [default: that of the adapter's
    /// training].
    #[arg(long, value_name = "CLASS")]
    positive: Option<String>,
    /// Write a report to this folder: a page (report.html), and its tables and figures as CSV, SVG
    /// and PNG.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Column of the data: the report shows scores for each of its values. May be given more than
    /// once.
    #[arg(long, value_name = "COLUMN", requires = "report")]
    slice: Vec<String>,
    /// Write the prediction for each example to this CSV file.
    #[arg(long)]
    predictions: Option<PathBuf>,
    /// Replace an earlier --predictions file and --report.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    columns: ColumnSpec,
    #[command(flatten)]
    limits: ReadLimits,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let inputs = [args.adapter.to_str(), args.base.as_deref(), Some(&args.data)];
    let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
    // Files are the first rank's.
    let is_first = settings.ranks.is_first();
    let predictions_file = args.predictions.as_ref().filter(|_| is_first);
    if let Some(path) = predictions_file {
        out::check_file(path, args.overwrite, &inputs)?;
    }
    let report = args.report.as_ref().filter(|_| is_first);
    let report = report.map(|path| out::new_folder(path, &REPORT, args.overwrite, &inputs));
    let report = report.transpose()?;
    let adapter = Opening {
        base: args.base.as_deref(),
        precision: args.base_precision.form(),
        leave_out: args.leave_out.as_deref(),
        positive: args.positive.as_deref(),
    }
    .open(settings, &args.adapter)?;
    // The base may be known from the adapter alone.
    let base = adapter.base().model().folder().to_string_lossy();
    if let Some(path) = predictions_file {
        out::check_file(path, true, &[&base])?;
    }
    if let (Some(path), Some(_)) = (&args.report, &report) {
        out::check_folder(path, &[&base])?;
    }
    let spec = EvalSpec {
        data: args.data.clone(),
        split: args.split,
        columns: args.columns.clone(),
        limits: args.limits,
        slices: args.slice.clone(),
    };
    let Labelled { data, notes, slices } = adapter.read(&spec, &mut base::told())?;
    settings.ranks.same("data", &serde_json::to_vec(&data.digest)?)?;
    let evaluation = adapter.evaluate(&data)?;
    if let Some(out) = report {
        write_report(out, args, &adapter, (&data, slices), &evaluation)?;
    }
    if let Some(path) = predictions_file {
        write_predictions(path, &evaluation.predictions)?;
    }
    match settings.json {
        true => json(&summary(&adapter, (&data, &notes), &evaluation))?,
        false => tell(args, &adapter, (&data, &notes), &evaluation)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The evaluation as JSON.
fn summary(
    adapter: &Adapter,
    (data, notes): (&Dataset, &[String]),
    evaluation: &Evaluation,
) -> Value {
    let (meta, scores) = (adapter.meta(), &evaluation.scores);
    let values = |scores: &[Score]| -> Map<String, Value> {
        scores.iter().map(|s| (s.name.clone(), json!(s.value))).collect()
    };
    let undefined = scores.iter().filter(|s| s.value.is_nan());
    let undefined: Map<_, _> =
        undefined.map(|s| (s.name.clone(), json!(why_undefined(&s.name)))).collect();
    let mut summary = json!({
        "scores": values(scores), "undefined": undefined, "positive": meta.task.positive,
        "rows": data.examples.len(), "data": data.digest,
        "truncated_rows": evaluation.truncated, "skipped": data.skipped, "notes": notes,
        "confusion": evaluation.confusion, "labels": meta.labels,
        "calibration": evaluation.calibration, "coverage": evaluation.coverage,
    });
    if let Some(usual) = &evaluation.without_thresholds {
        summary["scores_without_thresholds"] = values(usual).into();
        summary["thresholds"] = json!(meta.task.thresholds);
    }
    if let Some(p) = evaluation.chance.filter(|_| evaluation.shows_nothing()) {
        summary["learned_nothing"] = json!({ "p": p });
    }
    if let Some(p) = evaluation.chance_of_accuracy.filter(|_| evaluation.is_no_oftener_right()) {
        summary["no_better_than_most_frequent"] = json!({ "p": p });
    }
    summary
}

/// The evaluation for people.
fn tell(
    args: &Args,
    adapter: &Adapter,
    (data, notes): (&Dataset, &[String]),
    evaluation: &Evaluation,
) -> Result<()> {
    let meta = adapter.meta();
    say!("{} rows of {}", thousands(data.examples.len() as u64), data.digest.source)?;
    notes.iter().try_for_each(|note| say!("note: {note}"))?;
    if evaluation.truncated > 0 {
        say!("{} {}", evaluation.truncated, cut(meta.head.kind, adapter.lengths()))?;
    }
    let task = &meta.task;
    for Score { name, value } in &evaluation.scores {
        let positive = positive_of(name, (&task.kind, &meta.labels, task.positive.as_ref()));
        match value.is_nan() {
            true => say!("{name:<19} undefined: {}", why_undefined(name))?,
            false => say!("{name:<19} {}{positive}", in_words(*value))?,
        }
    }
    if let Some(usual) = &evaluation.without_thresholds {
        say!("with 0.5 for each label in the place of its own threshold:")?;
        for score in usual.iter().filter(|s| !s.value.is_nan()) {
            say!("{:<19} {:.4}", score.name, score.value)?;
        }
    }
    if let (Some(calibration), Some(coverage)) = (&evaluation.calibration, &evaluation.coverage) {
        tell_trust(calibration, coverage)?;
    }
    if let Some(p) = evaluation.chance.filter(|_| evaluation.shows_nothing()) {
        say!("{}", nothing_shown(p))?;
    }
    if let Some(p) = evaluation.chance_of_accuracy.filter(|_| evaluation.is_no_oftener_right()) {
        say!("{}", no_oftener_right(p))?;
    }
    if let Some(path) = &args.report {
        say!("report: {}", path.join("report.html").display())?;
    }
    say_all(&skipped(&data.skipped))?;
    match &evaluation.confusion {
        Some(confusion) if confusion.len() <= 30 => tell_classes(&meta.labels, confusion),
        _ => Ok(()),
    }
}

/// How far probabilities can be trusted.
fn tell_trust(calibration: &Calibration, coverage: &[Covered]) -> Result<()> {
    say!("{:<19} {:.4}", "calibration error", calibration.ece)?;
    say!("{:<19} {:.4}\n", "Brier score", calibration.brier)?;
    let share = |x: f64| format!("{:.1} %", 100.0 * x);
    let row = |c: &Covered| vec![share(c.coverage), format!("{:.3}", c.least), share(c.accuracy)];
    let head = ["answered", "probability from", "accuracy"].map(String::from).to_vec();
    table(&[vec![head], coverage.iter().map(row).collect()].concat())
}

/// The scores of each class, from the rows by right class and by given class.
fn tell_classes(labels: &[String], confusion: &[Vec<u64>]) -> Result<()> {
    say!("")?;
    let head = ["class", "precision", "recall", "f1", "rows"];
    let mut rows = vec![head.map(String::from).to_vec()];
    let share = |x: f64| if x.is_nan() { "undefined".into() } else { format!("{x:.3}") };
    let of = Classes::of_counts(confusion, 0);
    for (class, label) in labels.iter().enumerate() {
        let scores = [of.precision(class), of.recall(class), of.f1(class)].map(share);
        let ends = ([label.clone()], [of.there(class).to_string()]);
        rows.push([&ends.0[..], &scores, &ends.1].concat());
    }
    table(&rows)
}

/// That the rows show nothing of what was learned.
fn nothing_shown(p: f64) -> String {
    format!(
        "no sign that anything was learned: on these rows the answers fit no better than chance \
         (p = {p:.2})"
    )
}

/// That accuracy alone would not show what was learned.
fn no_oftener_right(p: f64) -> String {
    format!(
        "right no more often than always the most frequent class (p = {p:.2}): what was learned is in the \
         probabilities, and in scores that count rare classes as others"
    )
}

/// What a report may be replaced by: a newer one.
static REPORT: Kind = Kind { what: "a report", ours: Ours::Listed };

/// Writes the report on an evaluation.
fn write_report(
    out: Results,
    args: &Args,
    adapter: &Adapter,
    (data, slices): (&Dataset, Vec<(String, Vec<String>)>),
    evaluation: &Evaluation,
) -> Result<()> {
    let meta = adapter.meta();
    let of = |examples: &[usize]| {
        let scores = evaluation.judged.scores(examples).into_iter();
        scores.map(|s| (s.name, s.value)).collect::<Vec<_>>()
    };
    let right = |e: &Example| if let Target::Class(class) = e.target { class } else { 0 };
    let classes = evaluation.probabilities.as_ref().map(|all| budwood_report::Classes {
        labels: meta.labels.clone(),
        right: data.examples.iter().map(right).collect(),
        probabilities: all.clone(),
    });
    let mut beside = Vec::new();
    if let Some(classes) = &classes {
        let mut rows = vec![0u64; classes.labels.len()];
        classes.right.iter().for_each(|&class| rows[class as usize] += 1);
        let most = rows.into_iter().max().unwrap_or(0);
        let share = most as f64 / data.examples.len().max(1) as f64;
        beside.push(("the most frequent class alone".into(), "accuracy".into(), share));
    }
    for score in evaluation.without_thresholds.iter().flatten() {
        beside.push(("the adapter at 0.5 for each label".into(), score.name.clone(), score.value));
    }
    let fact = |name: &str, value: String| (name.to_string(), value);
    let learned = match evaluation.chance {
        Some(p) if evaluation.shows_nothing() => nothing_shown(p),
        Some(p) => match evaluation.chance_of_accuracy {
            Some(p) if evaluation.is_no_oftener_right() => no_oftener_right(p),
            _ => format!("more than chance would show (p = {p:.1e})"),
        },
        None => "not tested for such answers".into(),
    };
    let text = |e: &Example| {
        e.input.cells().iter().map(|(_, cell)| cell.to_string()).collect::<Vec<_>>().join(" | ")
    };
    let evaluated = budwood_report::Evaluated {
        title: format!("{} on {}", meta.task.name, data.digest.source),
        facts: vec![
            fact("adapter", args.adapter.display().to_string()),
            fact("method", meta.method.to_string()),
            fact("base model", format!("{} ({})", meta.base.name, adapter.base().precision())),
            fact("data", format!("{}, {}", data.digest.source, data.digest.split)),
            fact("SHA-256 of the data", data.digest.sha256.clone()),
            fact("rows", data.examples.len().to_string()),
            fact("what was learned", learned),
            fact("inputs that were cut", evaluation.truncated.to_string()),
            fact("Budwood", env!("CARGO_PKG_VERSION").into()),
        ],
        rows: data.examples.len(),
        scores: &of,
        metric: meta.task.metric.clone(),
        beside,
        classes,
        texts: data.examples.iter().map(text).collect(),
        tokens: evaluation.tokens.clone(),
        slices,
    };
    let parts = budwood_report::parts(&evaluated);
    let page = budwood_report::evaluation_page(&evaluated, &parts);
    let written = out.replace(|new| -> Result<()> {
        fs::write(new.join("report.html"), page)?;
        for part in &parts {
            fs::write(new.join(format!("{}.csv", part.name)), part.table.csv()?)?;
            let Some(figure) = &part.figure else { continue };
            fs::write(new.join(format!("{}.svg", figure.name)), &figure.svg)?;
            fs::write(new.join(format!("{}.png", figure.name)), budwood_report::png(&figure.svg)?)?;
        }
        Ok(())
    });
    let path = args.report.as_deref().unwrap_or_else(|| Path::new(""));
    written.with_context(|| format!("cannot write {}", path.display()))
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
