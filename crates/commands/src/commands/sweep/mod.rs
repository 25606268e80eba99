//! `budwood sweep`: all runs of a sweep file, each recorded in a store.

pub(crate) mod cluster;
pub(crate) mod job;
mod kubernetes;
mod slurm;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use budwood::number;
use budwood::run::{FOLDER, Run, RunData, Trained, TrainingBaseOptions, TrainingBases};
use budwood::spec::Resources;
use budwood_base::folder::{FolderError, OutFolder};
use budwood_base::record::{MetricValue, RunRecord, in_words};
use budwood_formats::BaseModel;
use budwood_model::Adapter;
use budwood_store::{Address, Store};
use budwood_train::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::finished::add_to;
use crate::output::{json, message, note, say, seconds};
use crate::plan::{ADAPTERS, Planned, SweepFile};
use crate::progress::{catch_interrupt, stopped};
use crate::settings::Settings;
use crate::store::Place;
use crate::{base, out, store};

/// Passes that an estimate of the time counts with where the recipe chooses them.
const PASSES: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Sweep file; see docs/experiments.md.
    file: PathBuf,
    /// Folder of the adapters and, unless --store says otherwise, of the store.
    #[arg(long, default_value = "budwood-runs")]
    out: PathBuf,
    /// Store of the runs, a file or postgres://USER@HOST/DATABASE [default: runs.db in --out].
    #[arg(long, value_parser = Place)]
    store: Option<Address>,
    /// Value for `${NAME}` in the file, such as DATA=/path/to/data.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Runs at the same time; they share the threads [default: one for each thread].
    #[arg(long, value_parser = number::count::<1, 1024>)]
    jobs: Option<usize>,
    /// Show the runs and an estimate of the time, without training.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: job::ClusterArgs,
}

impl Args {
    pub(crate) fn place(&self) -> Address {
        self.store.clone().unwrap_or_else(|| self.out.join("runs.db").into())
    }
}

/// `NAME=VALUE` pairs.
fn pairs(set: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_string(), value.to_string())),
        None => bail!("--set {text} is not of the form NAME=VALUE"),
    };
    set.iter().map(pair).collect()
}

/// What all workers share.
struct Shared<'a> {
    file: &'a SweepFile,
    threads: usize,
    jobs: usize,
    store: Mutex<Store>,
    bases: Mutex<TrainingBases>,
    next: AtomicUsize,
    total: ProgressBar,
    failed: Mutex<Vec<String>>,
    elsewhere: AtomicUsize,
    done: AtomicUsize,
    quiet: bool,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let file = SweepFile::open(&base::here(&args.file)?, &pairs(&args.set)?)?;
    let planned = file.runs(&args.out)?;
    check_out(args, &planned)?;
    for run in &planned {
        run.args.spec.check_settings().with_context(|| run.title())?;
    }
    if let Some(engine) = args.cluster.on {
        cluster::check(&args.cluster, engine)?;
    }
    let place = args.place();
    let left = not_recorded(&planned, &place)?;
    let jobs = args.jobs.unwrap_or(settings.threads).clamp(1, settings.threads.max(1));
    let threads = (settings.threads / jobs).max(1);
    check_inputs(&left, args.cluster.on.is_none())?;
    check_recorded(&planned, &left, &place)?;
    if let Some(engine) = args.cluster.on {
        return submit(settings, args, engine, &file, &planned, left.len());
    }
    if args.dry_run {
        return dry_run(settings, &file, planned.len(), &left, jobs, threads);
    }
    if !settings.json {
        say!(
            "sweep {}: {} runs, {} done before, {} at a time",
            file.name,
            planned.len(),
            planned.len() - left.len(),
            jobs
        )?;
    }
    std::fs::create_dir_all(args.out.join(ADAPTERS))
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let keys: HashSet<&str> = left.iter().map(|run| run.key.as_str()).collect();
    let store = Store::open(&place)?;
    for run in planned.iter().filter(|run| !keys.contains(run.key.as_str())) {
        end_of_killed(&run.args.out, &store.run(&run.key)?.record)?;
    }
    catch_interrupt();
    let begin = Instant::now();
    let Ended { done, elsewhere, failed } = train(settings, &file, store, &left, jobs, threads);
    let took = begin.elapsed().as_secs_f64();
    if settings.json {
        json(&json!({
            "sweep": file.name, "runs": planned.len(), "done_before": planned.len() - left.len(),
            "done": done, "elsewhere": elsewhere, "failed": failed, "store": place,
            "seconds": took, "interrupted": stopped(),
        }))?;
    } else {
        say!("{done} runs done in {}; store: {place}", seconds(took))?;
        if elsewhere > 0 {
            say!("{elsewhere} runs are being done by another process")?;
        }
    }
    for message in &failed {
        note!("failed: {message}");
    }
    if stopped() {
        note!("interrupted. Run the same command to continue.");
        return Ok(ExitCode::from(130));
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hands a sweep of which so many runs are left to a cluster.
fn submit(
    settings: &Settings,
    args: &Args,
    engine: job::Engine,
    file: &SweepFile,
    planned: &[Planned],
    left: usize,
) -> Result<ExitCode> {
    let place = args.place();
    if !args.dry_run {
        // Made before the tasks, which all use it.
        Store::open(&place)?;
    }
    let sweep = cluster::Sweep {
        name: &file.name,
        text: &file.text,
        out: &args.out,
        store: &place,
        jobs: args.jobs,
        keys: planned.iter().map(|run| run.key.clone()).collect(),
        left,
    };
    cluster::submit(settings, &args.cluster, engine, &sweep, args.dry_run)?;
    Ok(ExitCode::SUCCESS)
}

/// What came of runs.
struct Ended {
    done: usize,
    /// Those that another process does.
    elsewhere: usize,
    /// What is wrong with those that failed.
    failed: Vec<String>,
}

/// Does the runs, so many at a time.
fn train(
    settings: &Settings,
    file: &SweepFile,
    store: Store,
    runs: &[Planned],
    jobs: usize,
    threads: usize,
) -> Ended {
    let bars = MultiProgress::with_draw_target(match settings.json {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    });
    let total = bars.add(ProgressBar::new(runs.len() as u64));
    total.set_style(style("{bar:30} {pos}/{len} runs, {elapsed} so far, {eta} left"));
    total.enable_steady_tick(Duration::from_secs(1));
    let shared = Shared {
        file,
        threads,
        jobs,
        store: Mutex::new(store),
        bases: Mutex::default(),
        next: AtomicUsize::new(0),
        total,
        failed: Mutex::new(Vec::new()),
        elsewhere: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        quiet: settings.json,
    };
    let shown: Vec<ProgressBar> = (0..jobs).map(|_| bars.add(ProgressBar::new(1))).collect();
    std::thread::scope(|scope| {
        for bar in &shown {
            bar.set_style(style("  {bar:20} {pos}/{len} steps  {msg}"));
        }
        // The first of them on this thread.
        for bar in shown.iter().skip(1) {
            scope.spawn(|| work(&shared, runs, bar));
        }
        if let Some(bar) = shown.first() {
            work(&shared, runs, bar);
        }
    });
    let _ = bars.clear();
    Ended {
        done: shared.done.into_inner(),
        elsewhere: shared.elsewhere.into_inner(),
        failed: shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Reads every data set once, and checks all settings of the runs on it and, where they are done
/// here, on their models: a fault is known before hours of work, and those of all data at once.
fn check_inputs(runs: &[Planned], here: bool) -> Result<()> {
    let (mut models, mut faults) = (HashMap::new(), Vec::new());
    let mut left: Vec<&Planned> = runs.iter().collect();
    while let Some(first) = left.first().copied() {
        let (spec, limits) = (&first.args.spec, first.args.resources.limits);
        let alike = |run: &mut &Planned| {
            run.args.spec.data == spec.data && run.args.resources.limits == limits
        };
        let alike: Vec<&Planned> = left.extract_if(.., alike).collect();
        let data = RunData::read(spec, limits, &mut base::told()).with_context(|| first.title());
        for run in alike.iter().filter(|_| here && data.is_ok()) {
            if let Entry::Vacant(new) = models.entry(&run.args.spec.base) {
                new.insert(BaseModel::open(&base::folder(&run.args.spec.base)?)?);
            }
        }
        let checked = data.and_then(|data| {
            alike.iter().try_for_each(|run| {
                let spec = &run.args.spec;
                let checked = match models.get(&spec.base) {
                    Some(model) => spec.check_on(&data, model),
                    None => spec.config(&data).map(drop),
                };
                checked.with_context(|| run.title())
            })
        });
        faults.extend(checked.err().map(|e| message(&e)));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{}", faults.join("\n")),
    }
}

/// Refuses to count runs as done whose data or base were others: a file may have changed under its
/// name. What is no longer there says nothing.
fn check_recorded(planned: &[Planned], left: &[Planned], place: &Address) -> Result<()> {
    let Some(there) = Store::find(place)? else { return Ok(()) };
    let left: HashSet<&str> = left.iter().map(|run| run.key.as_str()).collect();
    let (mut seen, mut ids) = (Vec::new(), HashMap::new());
    for run in planned.iter().filter(|run| !left.contains(run.key.as_str())) {
        let spec = run.args.spec.in_full();
        let inputs = (spec.data.clone(), spec.base.clone());
        if seen.contains(&inputs) {
            continue;
        }
        seen.push(inputs);
        let data = RunData::read(&run.args.spec, run.args.resources.limits, &mut base::told());
        let Ok(data) = data else { continue };
        // All of a model's weights are read for this.
        let id = ids.entry(spec.base).or_insert_with_key(|name| {
            let model = base::folder(name).ok().and_then(|folder| BaseModel::open(&folder).ok());
            model.map(|model| model.id(name))
        });
        store::known(&there, &run.key, |record| data.changed_since(record, id.as_ref()))
            .with_context(|| run.title())?;
    }
    Ok(())
}

fn work(shared: &Shared<'_>, runs: &[Planned], bar: &ProgressBar) {
    while !stopped() {
        let Some(run) = runs.get(shared.next.fetch_add(1, Ordering::Relaxed)) else { break };
        bar.set_message(run.title());
        bar.set_position(0);
        let begin = Instant::now();
        match one(shared, run, bar) {
            Ok(Some(score)) => {
                shared.done.fetch_add(1, Ordering::Relaxed);
                shared.total.inc(1);
                if !shared.quiet {
                    let took = seconds(begin.elapsed().as_secs_f64());
                    let line = format!("{}: {score} in {took}", run.title());
                    if shared.total.is_hidden() {
                        note!("{line}")
                    } else {
                        shared.total.println(line)
                    }
                }
            }
            Ok(None) => {}
            Err(e) => lock(&shared.failed).push(format!("{}: {}", run.title(), message(&e))),
        }
    }
    bar.finish_and_clear();
}

/// One run, if no other process has it; its score in words, none if it was interrupted or is done
/// elsewhere.
fn one(shared: &Shared<'_>, planned: &Planned, bar: &ProgressBar) -> Result<Option<String>> {
    let args = &planned.args;
    let mut out = match OutFolder::open(&args.out, &FOLDER) {
        Err(FolderError::Busy { .. }) => {
            shared.elsewhere.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        other => other?,
    };
    // Folders of machines that share no disk are no bar to doing a run twice; a server is.
    if !lock(&shared.store).claim(&planned.key)? {
        shared.elsewhere.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    }
    let done = claimed(shared, planned, &mut out, bar);
    lock(&shared.store).release(&planned.key);
    let Some(trained) = done? else { return Ok(None) };
    let record = &trained.record;
    end(out, record)?;
    let score = record
        .chosen()
        .map_or("no validation".into(), |s| format!("{} {}", record.metric, in_words(s)));
    Ok(Some(score))
}

/// A run that no other process does, trained and recorded; none if it is recorded already, or was
/// interrupted.
fn claimed(
    shared: &Shared<'_>,
    planned: &Planned,
    out: &mut OutFolder,
    bar: &ProgressBar,
) -> Result<Option<Trained>> {
    let args = &planned.args;
    if lock(&shared.store).has(&planned.key)? {
        return Ok(None);
    }
    let data = RunData::read(&args.spec, args.resources.limits, &mut base::told())?;
    let base = lock(&shared.bases).get(&args.spec, data.task.head, &mut base::told())?;
    let resources = with_threads(planned, shared.threads);
    let mut run = Run::new(&args.spec, &resources, base, data)?;
    let on_event = |event: Event<'_>| {
        match event {
            Event::Started { steps, .. } => bar.set_length(steps as u64),
            Event::Step { step, .. } => bar.set_position(step as u64),
            _ => {}
        }
        if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // A run that was saved and not recorded is not trained again.
    let identity = run.identity()?;
    let left = Trained::pending(out).filter(|left| left.identity == identity);
    let trained = match left {
        Some(left) => left,
        None if out.is_whole() && Trained::is_settled(out.path()) => bail!(
            "{} holds the adapter of a run that {} does not have; give another --out, or the \
             --store that has it",
            args.out.display(),
            lock(&shared.store).address()
        ),
        None => {
            let Some(mut unsaved) = run.train(Some(out), &args.out, on_event)? else {
                return Ok(None);
            };
            let record = &mut unsaved.trained.record;
            (record.sweep, record.group) = (shared.file.name.clone(), planned.group.clone());
            if shared.jobs > 1 {
                record.peak_bytes = 0;
            }
            if !shared.file.keep_adapters {
                record.adapter = None;
            }
            if shared.file.ablate {
                let metric = record.metric.clone();
                let more = ablation(&mut run, &mut unsaved.adapter, &metric)?;
                unsaved.trained.record.metrics.extend(more);
            }
            unsaved.save(out, &args.out)?.0
        }
    };
    add_to(&trained, &mut lock(&shared.store), &args.out)?;
    Ok(Some(trained))
}

/// What is done with the folder of a run that is recorded: an adapter stays where its record says
/// so, whatever the file says by now.
fn end(out: OutFolder, record: &RunRecord) -> Result<()> {
    if record.adapter.is_none() {
        return Ok(out.remove()?);
    }
    Ok(Trained::settle(out.path())?)
}

/// Does that for a run that is recorded, if a process was killed before it could.
fn end_of_killed(folder: &Path, record: &RunRecord) -> Result<()> {
    let whole = folder.join("adapter.json").exists();
    let ended = if record.adapter.is_some() { Trained::is_settled(folder) } else { !whole };
    if ended && !OutFolder::was_killed(folder) {
        return Ok(());
    }
    match OutFolder::open(folder, &FOLDER) {
        // Another process is about to.
        Err(FolderError::Busy { .. }) => Ok(()),
        other => end(other?, record),
    }
}

/// Refuses a folder that holds something else, or lies in what the runs read.
fn check_out(args: &Args, planned: &[Planned]) -> Result<()> {
    let mut inputs: Vec<&str> = planned.iter().flat_map(|run| run.args.spec.inputs()).collect();
    inputs.sort_unstable();
    inputs.dedup();
    out::check_folder(&args.out, &inputs)?;
    let store = args.place();
    let store =
        store.file().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    out::check_shared(&args.out, "a sweep", &[ADAPTERS, cluster::FOLDER, "runs.db", store])
}

/// The scores on the validation set without the adapter's parts in each span of layers (Houlsby et
/// al. 2019, Fig. 6): split `ablation`, named `FIRST-LAST`.
fn ablation(run: &mut Run, adapter: &mut Adapter, metric: &str) -> Result<Vec<MetricValue>> {
    let layers = run.layers();
    let mut values = Vec::new();
    for first in 0..layers {
        for last in first..layers {
            adapter.leave_out(first..last + 1);
            let score = run.dev_score(adapter, metric)?;
            values.extend(score.map(|(value, rows)| MetricValue {
                split: "ablation".into(),
                name: format!("{first}-{last}"),
                value,
                primary: false,
                rows,
            }));
        }
    }
    adapter.leave_out(0..0);
    Ok(values)
}

/// What a run may take of the machine, with its share of the threads.
fn with_threads(planned: &Planned, threads: usize) -> Resources {
    Resources { threads: Some(threads), ..planned.args.resources.clone() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs and time, from a few steps of every method on every task.
fn dry_run(
    settings: &Settings,
    file: &SweepFile,
    all: usize,
    left: &[Planned],
    jobs: usize,
    threads: usize,
) -> Result<ExitCode> {
    let mut bases = TrainingBases::default();
    let mut rates: HashMap<String, f64> = HashMap::new();
    let (mut total, mut longest) = (0.0, 0.0f64);
    for planned in left {
        let spec = &planned.args.spec;
        let of_rate = (&spec.data.data, spec.data.train_rows, &spec.method);
        let key = format!("{:?}", (of_rate, TrainingBaseOptions::of(spec, None)));
        let a_pass = match rates.get(&key) {
            Some(&rate) => rate,
            None => {
                let resources = with_threads(planned, threads);
                let data = RunData::read(spec, resources.limits, &mut base::told());
                let data = data.with_context(|| planned.title())?;
                let base = bases.get(spec, data.task.head, &mut base::told())?;
                let rate = Run::seconds_a_pass(spec, &resources, base, data)?;
                rates.insert(key, rate);
                rate
            }
        };
        let one = a_pass * spec.epochs.unwrap_or(PASSES) as f64;
        total += one;
        longest = longest.max(one);
    }
    let estimate = (total / jobs as f64).max(longest);
    if settings.json {
        let runs: Vec<_> = left
            .iter()
            .map(|r| json!({ "key": r.key, "group": r.group, "settings": r.args.spec.settings() }))
            .collect();
        json(&json!({
            "sweep": file.name, "about": file.about, "runs": all, "left": runs.len(), "jobs": jobs,
            "seconds_estimated": estimate, "planned": runs,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for run in left {
        say!("{}", run.title())?;
    }
    say!(
        "{all} runs, {} done before, {} left; about {} with {jobs} at a time",
        all - left.len(),
        left.len(),
        seconds(estimate)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The runs that a store does not hold. Without a store there are none in it, and none is made: a
/// plan writes nothing.
fn not_recorded(planned: &[Planned], store: &Address) -> Result<Vec<Planned>> {
    let Some(store) = Store::find(store)? else { return Ok(planned.to_vec()) };
    let mut left = Vec::new();
    for run in planned {
        if !store.has(&run.key)? {
            left.push(run.clone());
        }
    }
    Ok(left)
}
