//! `budwood data`: what `train` would read, without training.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use budwood::spec::{ColumnSpec, ReadLimits};
use budwood_formats::{BaseModel, check_labels};
use budwood_tasks::report::{ClassCount, DataReport, Lengths, SplitCount};
use budwood_tasks::{Data, DataRequest};
use serde_json::json;

use crate::base;
use crate::output::{json, message, say, table, thousands};
use crate::settings::Settings;
use budwood::reader::{ImageReading, Reader};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file, or LAYOUT=FOLDER, as `train --data` takes it.
    data: String,
    /// Validation data.
    #[arg(long)]
    dev_data: Option<String>,
    /// Test data.
    #[arg(long)]
    test_data: Option<String>,
    /// Read the layout's own test split too.
    #[arg(long, conflicts_with = "test_data")]
    test: bool,
    /// Share of the training data to validate on if there is no validation data.
    #[arg(long, default_value_t = 0.1)]
    dev_share: f64,
    /// Share of the training data to test on if there is no test data.
    #[arg(long, default_value_t = 0.0)]
    test_share: f64,
    /// Seed for choosing the rows of the shares.
    #[arg(long, default_value_t = 0)]
    split_seed: u64,
    /// Kind of task [default: by the data].
    #[arg(long)]
    task: Option<String>,
    /// Base model whose tokens are counted [default: words and characters are counted].
    #[arg(long)]
    base: Option<String>,
    #[command(flatten)]
    columns: ColumnSpec,
    #[command(flatten)]
    limits: ReadLimits,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match read(settings, args) {
        Ok(report) if settings.json => json(&report)?,
        Ok(report) => tell(&report)?,
        Err(e) if settings.json => {
            json(&json!({ "source": args.data, "error": message(&e) }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(e) => return Err(e),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(settings: &Settings, args: &Args) -> Result<DataReport> {
    let source = |text: &String| base::source_named(&args.columns, text, args.limits);
    let request = DataRequest {
        train: source(&args.data)?,
        dev: args.dev_data.as_ref().map(source).transpose()?,
        test: args.test_data.as_ref().map(source).transpose()?,
        test_of_layout: args.test,
        dev_share: args.dev_share,
        dev_share_from: 0,
        test_share: args.test_share,
        split_seed: args.split_seed,
        train_rows: None,
        task: args.task.clone(),
    };
    let mut data = request.read()?;
    check_labels(&data.labels).map_err(|e| anyhow!("the data cannot be used: {e}"))?;
    if let Some(name) = &args.base {
        data.report.tokens = tokens(name, &data, settings.threads)?;
    }
    Ok(data.report)
}

/// Lengths of the training texts in a model's tokens.
fn tokens(name: &str, data: &Data, threads: usize) -> Result<Option<Lengths>> {
    let reader = Reader::open(&BaseModel::open(&base::folder(name)?)?, None)?;
    let lengths = budwood_train::Lengths { max: 512, stride: budwood::DOC_STRIDE };
    let images = ImageReading::default();
    let prepared = reader.prepare(&data.train, &data.labels, lengths, images, threads)?;
    Ok(Lengths::of(prepared.whole))
}

fn tell(report: &DataReport) -> Result<()> {
    say!("{}: {} examples", report.source, thousands(report.rows as u64))?;
    report.lines().iter().try_for_each(|line| say!("{line}"))?;
    let mut rows = vec![["column", "holds", "empty", "used as"].map(String::from).to_vec()];
    for c in &report.columns {
        let used = c.used.unwrap_or("-").to_string();
        rows.push(vec![c.name.clone(), c.holds.clone(), c.missing.to_string(), used]);
    }
    if rows.len() > 1 {
        say!("")?;
        table(&rows)?;
    }
    if report.classes.len() > 10 {
        say!("")?;
        let mut rows = vec![["class", "rows"].map(String::from).to_vec()];
        let row = |c: &ClassCount| vec![c.name.clone(), c.rows.to_string()];
        rows.extend(report.classes.iter().map(row));
        table(&rows)?;
    }
    say!("")?;
    let mut rows = vec![["length", "50 %", "95 %", "100 %"].map(String::from).to_vec()];
    let all =
        [("characters", report.characters), ("words", report.words), ("tokens", report.tokens)];
    for (name, l) in all.into_iter().filter_map(|(name, l)| Some((name, l?))) {
        let numbers = [l.half, l.most, l.longest].map(|n| n.to_string());
        rows.push([name.to_string()].into_iter().chain(numbers).collect());
    }
    if rows.len() > 1 {
        table(&rows)?;
    }
    for SplitCount { split, rows, .. } in &report.splits {
        say!("{split}: {} rows", thousands(*rows as u64))?;
    }
    for text in &report.contradictions {
        say!("with another label before: {text}")?;
    }
    if report.left_out > 0 {
        say!("{} left out:", thousands(report.left_out))?;
        report.left_out_rows.iter().try_for_each(|line| say!("  {line}"))?;
    }
    say!("\nthe first as they are read:")?;
    report.examples.iter().try_for_each(|example| say!("  {example}"))?;
    Ok(())
}
