//! `budwood jobs`: what became of a sweep that a cluster has.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood_store::Store;
use clap::Subcommand;
use serde_json::json;

use super::sweep::cluster::{FOLDER, Jobs};
use super::sweep::job::ask;
use crate::output::{json, say};
use crate::settings::Settings;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say how many runs are done, and what Slurm says of the tasks.
    Status {
        /// Folder of the sweep, as given to `sweep --out`.
        out: PathBuf,
    },
    /// Cancel all tasks that are waiting or running; what is trained stays.
    Cancel {
        /// Folder of the sweep.
        out: PathBuf,
    },
    /// Print the last lines of the tasks' logs.
    Logs {
        /// Folder of the sweep.
        out: PathBuf,
        /// Lines of each.
        #[arg(long, default_value_t = 5)]
        lines: usize,
    },
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Status { out } => status(settings, out)?,
        Command::Cancel { out } => cancel(settings, out)?,
        Command::Logs { out, lines } => logs(settings, out, *lines)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What squeue says of the jobs that it still knows: number, state, time, and node or reason.
fn tasks(jobs: &Jobs) -> Result<Vec<[String; 4]>> {
    let mut tasks = Vec::new();
    for id in &jobs.ids {
        // Slurm forgets jobs that ended a while ago, and calls their numbers invalid then.
        let said = match ask("squeue", &["-h", "-r", "-j", id, "-o", "%i|%T|%M|%R"]) {
            Err(e) if format!("{e:#}").contains("Invalid job id") => continue,
            other => other?,
        };
        for line in said.lines() {
            let mut words = line.splitn(4, '|').map(|word| word.trim().to_string());
            tasks.push(std::array::from_fn(|_| words.next().unwrap_or_default()));
        }
    }
    Ok(tasks)
}

fn status(settings: &Settings, out: &Path) -> Result<()> {
    let jobs = Jobs::open(out)?;
    let mut done = 0;
    if let Some(store) = Store::find(&jobs.place()?)? {
        for key in &jobs.runs {
            done += usize::from(store.has(key)?);
        }
    }
    let tasks = tasks(&jobs)?;
    if settings.json {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|[id, state, time, place]| {
                json!({ "id": id, "state": state, "time": time, "place": place })
            })
            .collect();
        return json(&json!({
            "sweep": jobs.sweep, "runs": jobs.runs.len(), "done": done, "tasks": tasks,
        }));
    }
    say!("sweep {}: {done} of {} runs done", jobs.sweep, jobs.runs.len())?;
    for [id, state, time, place] in &tasks {
        say!("  {id:12} {state:12} {time:>10}  {place}")?;
    }
    if tasks.is_empty() && done < jobs.runs.len() {
        say!("no task waits or runs: `budwood jobs logs` says why; submit the sweep again")?;
    }
    Ok(())
}

fn cancel(settings: &Settings, out: &Path) -> Result<()> {
    let jobs = Jobs::open(out)?;
    if jobs.ids.is_empty() {
        bail!("no job of Slurm was submitted from {}", out.display());
    }
    let words: Vec<_> = jobs.ids.iter().map(String::as_str).collect();
    ask("scancel", &words)?;
    if settings.json {
        return json(&json!({ "cancelled": jobs.ids }));
    }
    say!("cancelled job {}", jobs.ids.join(", "))?;
    Ok(())
}

fn logs(settings: &Settings, out: &Path, lines: usize) -> Result<()> {
    Jobs::open(out)?;
    let folder = out.join(FOLDER).join("logs");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = String::from_utf8_lossy(&text);
        let shown: Vec<_> = text.lines().collect();
        let shown = shown[shown.len().saturating_sub(lines)..].to_vec();
        if !settings.json {
            say!("{}:", file.display())?;
            shown.iter().try_for_each(|line| say!("  {line}"))?;
        }
        all.push(json!({ "file": file, "lines": shown }));
    }
    if settings.json {
        json(&all)?;
    }
    Ok(())
}
