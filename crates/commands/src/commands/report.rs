//! `budwood report`: the table and the figures of the runs of a store.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood_base::folder::{Kind, Ours};
use budwood_report::{figures, page, png, settings, table};
use budwood_store::{Address, Filter};
use serde_json::json;

use crate::out;
use crate::output::{self, note, say};
use crate::settings::Settings;
use crate::store::{Place, inputs, stored};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store, a file or postgres://USER@HOST/DATABASE.
    #[arg(long, default_value = "budwood-runs/runs.db", value_parser = Place)]
    store: Address,
    /// Only this sweep.
    #[arg(long)]
    sweep: Option<String>,
    /// Folder, or s3://BUCKET/NAME, for the page (report.html), the table (table.md) and the
    /// figures (.svg and .png).
    #[arg(long, default_value = "budwood-report")]
    out: PathBuf,
}

/// It is made of the store alone: a newer one takes its place.
static KIND: Kind = Kind { what: "a report", ours: Ours::Listed };

pub(crate) fn run(settings_: &Settings, args: &Args) -> Result<ExitCode> {
    let out = out::folder(&args.out, &KIND, &inputs(&args.store))?;
    let filter = Filter { sweep: args.sweep.clone(), ..Filter::default() };
    let (_, runs) = stored(&args.store, &filter)?;
    if runs.is_empty() {
        bail!(
            "{} holds no run{}",
            args.store,
            args.sweep.as_ref().map_or(String::new(), |s| format!(" of the sweep '{s}'"))
        );
    }
    let all = settings(runs.iter().map(|r| &r.record));
    let bases: Vec<_> = runs.iter().map(|r| &r.record.base.weights_sha256).collect();
    if bases.iter().any(|b| *b != bases[0]) {
        bail!(
            "{} holds runs on different base models, which one table would mix up; choose with --sweep",
            args.store
        );
    }
    let scored: usize = all.iter().map(|setting| setting.scores.len()).sum();
    if scored < runs.len() {
        let n = runs.len() - scored;
        note!("{n} of {} runs have no score by their metric and are left out", runs.len());
    }
    let (table, figures) = (table(&all), figures(&all));
    let title = args.sweep.as_ref().map_or("Runs".to_string(), |s| format!("Sweep {s}"));
    out.replace(|new| -> Result<()> {
        std::fs::write(new.join("report.html"), page(&title, &table, &figures))?;
        std::fs::write(new.join("table.md"), table.markdown())?;
        for figure in &figures {
            std::fs::write(new.join(format!("{}.svg", figure.name)), &figure.svg)?;
            std::fs::write(new.join(format!("{}.png", figure.name)), png(&figure.svg)?)?;
        }
        Ok(())
    })
    .with_context(|| format!("cannot write {}", args.out.display()))?;
    if settings_.json {
        let names: Vec<_> = figures.iter().map(|f| &f.name).collect();
        output::json(
            &json!({ "runs": runs.len(), "columns": table.columns, "rows": table.rows, "figures": names, "out": args.out }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![table.columns.clone()];
    rows.extend(table.rows.clone());
    output::table(&rows)?;
    say!(
        "{} runs, {} figures: {}",
        runs.len(),
        figures.len(),
        args.out.join("report.html").display()
    )?;
    Ok(ExitCode::SUCCESS)
}
