//! `budwood report`: the table and the figures of the runs of a store.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood_base::files::write_atomic;
use budwood_report::{figures, page, png, settings, table};
use budwood_store::Filter;
use serde_json::json;

use crate::Settings;
use crate::commands::sweep::stored;
use crate::output::{self, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store.
    #[arg(long, default_value = "budwood-runs/runs.db")]
    store: PathBuf,
    /// Only this sweep.
    #[arg(long)]
    sweep: Option<String>,
    /// Folder for the page (report.html), the table (table.md) and the figures (.svg and .png).
    #[arg(long, default_value = "budwood-report")]
    out: PathBuf,
}

pub(crate) fn run(settings_: &Settings, args: &Args) -> Result<ExitCode> {
    let filter = Filter { sweep: args.sweep.clone(), ..Filter::default() };
    let (_, runs) = stored(&args.store, &filter)?;
    if runs.is_empty() {
        bail!(
            "{} holds no run{}",
            args.store.display(),
            args.sweep.as_ref().map_or(String::new(), |s| format!(" of the sweep '{s}'"))
        );
    }
    let all = settings(runs.iter().map(|r| &r.record));
    let bases: Vec<_> = runs.iter().map(|r| &r.record.base.weights_sha256).collect();
    if bases.iter().any(|b| *b != bases[0]) {
        bail!(
            "{} holds runs on different base models, which one table would mix up; choose with --sweep",
            args.store.display()
        );
    }
    let (table, figures) = (table(&all), figures(&all));
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = args.out.join(name);
        write_atomic(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    let title = args.sweep.as_ref().map_or("Runs".to_string(), |s| format!("Sweep {s}"));
    write("report.html", page(&title, &table, &figures).as_bytes())?;
    write("table.md", table.markdown().as_bytes())?;
    for figure in &figures {
        write(&format!("{}.svg", figure.name), figure.svg.as_bytes())?;
        write(&format!("{}.png", figure.name), &png(&figure.svg)?)?;
    }
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
