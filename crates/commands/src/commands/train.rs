//! `budwood train`: train an adapter and write its folder.

mod search;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood::RunSpec;
use budwood::number;
use budwood::run::{FOLDER, Run, RunData, Trained, TrainingBase, TrainingBaseOptions};
use budwood::spec::Resources;
use budwood_store::{Address, Store};
use serde_json::json;

use crate::finished::{add_to, say_all, tell};
use crate::output::json;
use crate::progress::{TrainProgress, catch_interrupt};
use crate::settings::Settings;
use crate::{base, out, store};

#[derive(clap::Args, Clone)]
pub(crate) struct Args {
    /// Folder for the adapter.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Replace the adapter in that folder; other files in it are kept.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Record the run in this store, a file or postgres://USER@HOST/DATABASE; `budwood runs` reads
    /// it.
    #[arg(long, value_name = "STORE", value_parser = store::Place)]
    pub(crate) store: Option<Address>,
    /// Search for up to N minutes over rate, method, width, dropout, pooling and length, and keep
    /// what is best on validation rows. Settings that are given stay as they are. Trials lie in a
    /// folder beside --out.
    #[arg(long, value_name = "N", value_parser = number::amount::<100_000>)]
    pub(crate) minutes: Option<f64>,
    #[command(flatten)]
    pub(crate) spec: RunSpec,
    #[command(flatten)]
    pub(crate) resources: Resources,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    if let Some(minutes) = args.minutes {
        let asked = search::Asked {
            spec: &args.spec,
            resources: &args.resources,
            out: &args.out,
            overwrite: args.overwrite,
            store: args.store.as_ref(),
        };
        return search::run(settings, &asked, minutes);
    }
    out::check_store(&args.out, args.store.as_ref().and_then(Address::file))?;
    let mut out = out::folder(&args.out, &FOLDER, &args.spec.inputs())?;
    // A run that was saved and not recorded: the same command ends it.
    let key = args.spec.key();
    let mut left = Trained::pending(&out).filter(|left| left.record.key == key);
    let there = || out::there(&args.out, &FOLDER);
    if out.is_whole() && left.is_none() && !args.overwrite {
        bail!("{}", there());
    }
    // Settings that have no meaning, and a store that cannot be used, are better known before the
    // work than after it.
    args.spec.check_settings()?;
    let mut opened = args.store.as_ref().map(Store::open).transpose()?;
    let begin = Instant::now();
    let data = RunData::read(&args.spec, args.resources.limits, &mut base::told())?;
    let seconds_reading = begin.elapsed().as_secs_f64();
    let mut run = args.load(settings.threads, data)?;
    run.seconds_reading += seconds_reading;
    if !settings.json {
        say_all(&run.description()?)?;
    }
    let identity = run.identity()?;
    left = left.filter(|left| left.identity == identity);
    let trained = match left {
        Some(left) => {
            eprintln!("the adapter of this run is saved already; finishing what was left");
            left
        }
        None if out.is_whole() && !args.overwrite => bail!("{}", there()),
        None => {
            catch_interrupt();
            let mut progress = TrainProgress::new(settings.json);
            let unsaved = run.train(&mut out, &args.out, |event| progress.on_event(event));
            progress.finish();
            let Some(mut unsaved) = unsaved? else {
                eprintln!("interrupted; progress is saved. Run the same command to continue.");
                return Ok(ExitCode::from(130));
            };
            unsaved.trained.summary["evaluations"] = json!(progress.evaluations);
            unsaved.save(&out, &args.out)?.0
        }
    };
    if let Some(store) = &mut opened {
        add_to(&trained, store, &args.out)?;
    }
    let told = match settings.json {
        true => json(&trained.summary),
        false => tell(&trained, &args.out),
    };
    // The very last, when all files are closed: killed before it, the same command comes here
    // again.
    let place = out.path().to_path_buf();
    drop((opened, out));
    Trained::settle(&place)?;
    told?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The run on these data, on a base of its own.
    pub(crate) fn load(&self, threads: usize, data: RunData) -> Result<Run> {
        let options = TrainingBaseOptions::of(&self.spec);
        let base = Arc::new(TrainingBase::open(&options, &mut base::told())?);
        let resources = Resources { threads: Some(threads), ..self.resources.clone() };
        Ok(Run::new(&self.spec, &resources, base, data)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    fn args(more: &str) -> Args {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            args: Args,
        }
        let given = "train --base base --data train.csv --epochs 2 --method adapter[width=8] \
                     --max-length 24 --pooling mean --seed 3 --out new";
        Flags::parse_from(given.split_whitespace().chain(more.split_whitespace())).args
    }

    /// The key is that of the program before there were recipes.
    #[test]
    fn the_papers_runs_keep_their_keys() {
        let known = "a7f0c3cf9d5253bf01b078b59f532e8a30637edc75bf45d280f075394458fcb7";
        assert_eq!(args("--recipe paper").spec.key(), known);
        let in_full = "--recipe paper --lr 0.001 --batch-size 32 --dev-share 0.1 --optimizer bert";
        assert_eq!(args(in_full).spec.key(), known);
        let auto = args("").spec.key();
        assert_eq!(auto, args("--recipe auto").spec.key());
        assert_ne!(auto, known);
        assert_ne!(auto, args("--lr 0.001").spec.key());
    }
}
