//! `budwood train`: train an adapter and write its folder.

mod search;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use budwood::RunSpec;
use budwood::number;
use budwood::run::{FOLDER, Run, RunData, Trained, TrainingBase, TrainingBaseOptions};
use budwood::spec::Resources;
use budwood_store::{Address, Store};
use budwood_train::Event;
use serde_json::json;

use crate::finished::{add_to, say_all, tell};
use crate::output::{bytes, json, note};
use crate::progress::{TrainProgress, catch_interrupt};
use crate::remote::Remote;
use crate::results::Results;
use crate::settings::Settings;
use crate::{base, out, ranks, store};

#[derive(clap::Args, Clone)]
pub(crate) struct Args {
    /// Folder for the adapter, or s3://BUCKET/NAME (gs://, az://), where its checkpoints go, too:
    /// the same command on another machine goes on from there.
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
    let ranks = &settings.ranks;
    if let Some(minutes) = args.minutes {
        if !ranks.is_alone() {
            bail!("--minutes searches with one process; leave it out, or start the program once");
        }
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
    // Files are the first rank's.
    let inputs = args.spec.inputs();
    let out = ranks.is_first().then(|| out::folder_of_run(&args.out, &inputs));
    let mut out = out.transpose()?;
    let place = out.as_ref().map_or(args.out.clone(), |out| out.shown().to_path_buf());
    // A run that was saved and not recorded: the same command ends it.
    let key = args.spec.key();
    let left = out.as_ref().and_then(|out| Trained::pending(out.folder()));
    let mut left = left.filter(|left| left.record.key == key);
    let is_whole = out.as_ref().is_some_and(Results::is_whole);
    let there = || out::there(&args.out, &FOLDER);
    if is_whole && left.is_none() && !args.overwrite {
        bail!("{}", there());
    }
    // Settings that have no meaning, and a store that cannot be used, are better known before the
    // work than after it.
    args.spec.check_settings()?;
    let store = args.store.as_ref().filter(|_| ranks.is_first());
    let mut opened = store.map(Store::open).transpose()?;
    let begin = Instant::now();
    let data = RunData::read(&args.spec, args.resources.limits, &mut base::told())?;
    let seconds_reading = begin.elapsed().as_secs_f64();
    let mut run = args.load(settings, data)?;
    run.seconds_reading += seconds_reading;
    if !settings.json {
        say_all(&run.description()?)?;
    }
    if let Some(store) = &opened {
        store::known(store, &key, |record| run.changed_since(record))?;
    }
    let identity = run.identity()?;
    left = left.filter(|left| left.identity == identity);
    let is_saved = ranks.any(left.is_some())?;
    let trained = match left {
        Some(left) => {
            note!("the adapter of this run is saved already; finishing what was left");
            left
        }
        None if is_whole && !args.overwrite => bail!("{}", there()),
        None if is_saved => return Ok(ExitCode::SUCCESS),
        None => match args.train(settings, &mut run, &mut out, &place)? {
            ControlFlow::Continue(trained) => trained,
            ControlFlow::Break(code) => return Ok(code),
        },
    };
    let Some(mut out) = out else { return Ok(ExitCode::SUCCESS) };
    out.send()
        .context("the adapter is saved on this machine, but not sent; the same command sends it")?;
    if let Some(store) = &mut opened {
        add_to(&trained, store, &args.out)?;
    }
    let told = match settings.json {
        true => json(&trained.summary),
        false => tell(&trained, &args.out),
    };
    // The very last, when all files are closed: killed before it, the same command comes here
    // again.
    drop(opened);
    if out.is_sent() {
        out.settle()?;
    } else {
        let place = out.folder().path().to_path_buf();
        drop(out);
        Trained::settle(&place)?;
    }
    told?;
    Ok(ExitCode::SUCCESS)
}

/// Sends the checkpoints of a run to the store that its adapter goes to.
struct Sender<'a> {
    remote: Option<&'a mut Remote>,
    /// What a run has found out is sent so often where it makes no checkpoint.
    every: Duration,
    last: Instant,
    failed: Option<anyhow::Error>,
}

impl<'a> Sender<'a> {
    fn new(remote: Option<&'a mut Remote>, every: Duration) -> Self {
        Self { remote, every, last: Instant::now(), failed: None }
    }

    /// Sends what is new, if it is time; false if the run is another process's by now.
    fn send(&mut self, is_saved: bool) -> bool {
        if let Some(remote) = &mut self.remote
            && (is_saved || self.last.elapsed() >= self.every)
            && self.failed.is_none()
        {
            self.failed = remote.push().err();
            self.last = Instant::now();
        }
        self.failed.is_none()
    }

    fn end(mut self) -> Result<()> {
        self.send(true);
        self.failed.map_or(Ok(()), Err)
    }
}

impl Args {
    /// Trains and saves the adapter. Breaks off where the run was interrupted, and on the ranks
    /// that write no files.
    fn train(
        &self,
        settings: &Settings,
        run: &mut Run,
        out: &mut Option<Results>,
        place: &Path,
    ) -> Result<ControlFlow<ExitCode, Trained>> {
        let ranks = &settings.ranks;
        catch_interrupt();
        let mut progress = TrainProgress::new(settings.json);
        let (folder, remote) = out.as_mut().map(Results::parts).unzip();
        let mut sender = Sender::new(remote.flatten(), self.resources.save_every);
        let unsaved = run.train(folder, place, |event| {
            let is_saved = matches!(event, Event::Saved);
            let go_on = progress.on_event(event);
            if sender.send(is_saved) { go_on } else { ControlFlow::Break(()) }
        });
        progress.finish();
        sender.end()?;
        let Some(mut unsaved) = unsaved? else {
            note!("interrupted; progress is saved. Run the same command to continue.");
            return Ok(ControlFlow::Break(ExitCode::from(130)));
        };
        let (summary, record) = (&mut unsaved.trained.summary, &mut unsaved.trained.record);
        summary["evaluations"] = json!(progress.evaluations);
        if !ranks.is_alone() {
            let (received, steps) = (ranks::received(ranks)?, unsaved.trained.steps);
            summary["ranks"] = json!({ "count": ranks.size(), "bytes": received });
            let given = bytes(received);
            note!("{} ranks gave each other {given} in {steps} steps", ranks.size());
        }
        let Some(out) = out else { return Ok(ControlFlow::Break(ExitCode::SUCCESS)) };
        if out.is_sent() {
            summary["adapter"] = json!(self.out);
            record.adapter = Some(self.out.display().to_string());
        }
        Ok(ControlFlow::Continue(unsaved.save(out.folder(), place)?.0))
    }

    /// The run on these data, on a base of its own.
    pub(crate) fn load(&self, settings: &Settings, data: RunData) -> Result<Run> {
        let options = TrainingBaseOptions::of(&self.spec, Some(data.task.head));
        let base = Arc::new(TrainingBase::open(&options, &mut base::told())?);
        let (threads, ranks) = (Some(settings.threads), settings.ranks.clone());
        let resources = Resources { threads, ranks, ..self.resources.clone() };
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
