//! `budwood train --minutes N`: a search over settings by successive halving (Jamieson and
//! Talwalkar 2016), in which the run as it was asked for takes part.
//!
//! The run itself comes first, on all rows. Then brackets follow until the time is up: nine drawn
//! settings on a ninth of the rows, the best three of them on a third, the best one on all. With
//! few rows a part of them says too little: settings are tried on all rows one after another. All
//! trials are judged by the same validation rows, or by cross-validation where rows are few.
//!
//! Each trial is a record of the store, so that a search which was killed goes on with what it
//! knows.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use budwood::RunSpec;
use budwood::run::{FOLDER, Run, RunData, Trained, TrainingBase, TrainingBaseOptions};
use budwood::spec::{PoolingChoice, Resources};
use budwood_base::folder::OutFolder;
use budwood_base::random::Key;
use budwood_base::record::{RunRecord, in_words};
use budwood_formats::native;
use budwood_store::{Address, Filter, Store};
use budwood_tasks::metric::is_better;
use budwood_train::Event;
use budwood_train::recipe::{FEW_ROWS, plan};
use serde_json::{Value, json};

use crate::finished::add_to;
use crate::output::{json, note, say, seconds, table, thousands};
use crate::progress::{catch_interrupt, stopped};
use crate::results::Results;
use crate::settings::Settings;
use crate::{base, out, store};

/// Settings that a bracket begins with, and what their number is divided by on each of its rungs;
/// the rows grow as much.
const BRACKET: usize = 9;
const HALVING: usize = 3;
/// Drawn settings at most: whatever the time, a search ends.
const MOST: u64 = 900;
/// Share of the rows for validation, where there are enough and none was named.
const DEV_SHARE: f64 = 0.1;

const METHODS: [&str; 7] = [
    "adapter[width=16]",
    "adapter",
    "adapter[width=128]",
    "seq_bn",
    "lora[r=8]",
    "lora[r=16,targets=[query,value,ffn_in,ffn_out]]",
    "compacter",
];
const FASTER: [f64; 3] = [1.0 / 3.0, 1.0, 3.0];
const DROPOUT: [f32; 3] = [0.0, 0.1, 0.2];
const POOLING: [PoolingChoice; 3] = [PoolingChoice::Auto, PoolingChoice::Mean, PoolingChoice::Cls];
const LENGTHS: [usize; 3] = [64, 128, 256];

/// The run that was asked for.
pub(super) struct Asked<'a> {
    pub(super) spec: &'a RunSpec,
    pub(super) resources: &'a Resources,
    pub(super) out: &'a Path,
    pub(super) overwrite: bool,
    pub(super) store: Option<&'a Address>,
}

/// A trial that has a score.
#[derive(Clone)]
struct Tried {
    spec: RunSpec,
    rows: usize,
    score: f64,
    seconds: f64,
}

/// A search under way.
struct Search<'a> {
    args: &'a Asked<'a>,
    settings: &'a Settings,
    /// Folder of the trials, and what they are recorded as.
    folder: PathBuf,
    name: String,
    store: Store,
    metric: String,
    tried: Vec<Tried>,
    /// Trials of the same search before this process, by their keys. That they had the data and the
    /// base of today is known by the first, which is the run as it was asked for.
    known: HashMap<String, RunRecord>,
    /// Time of trials before this process.
    before: Duration,
    begin: Instant,
    budget: Duration,
}

/// How a trial ended.
enum Ended {
    Scored(Box<Tried>),
    /// The time was up, or it was interrupted.
    Stopped,
    /// The settings do not fit this model or these data, or no time is left to try them.
    Unfit,
}

pub(super) fn run(settings: &Settings, args: &Asked<'_>, minutes: f64) -> Result<ExitCode> {
    if args.spec.is_paper() {
        bail!("--minutes searches for good results; it is for --recipe auto and contrastive");
    }
    let out = out::folder(args.out, &FOLDER, &args.spec.inputs())?;
    if out.is_whole() && !args.overwrite {
        bail!("{}", out::there(args.out, &FOLDER));
    }
    args.spec.check_settings()?;
    let folder = beside(out.shown())?;
    out::check_folder(&folder, &args.spec.inputs())?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let path = args.store.cloned().unwrap_or_else(|| folder.join("runs.db").into());
    let store = Store::open(&path)?;
    let mut asked = args.spec.clone();
    let data = RunData::read(&asked, args.resources.limits, &mut base::told())?;
    let rows = data.train.examples.len();
    let all = rows + data.dev.as_ref().map_or(0, |dev| dev.examples.len());
    if all >= FEW_ROWS && asked.data.dev_data.is_none() && asked.data.dev_share.is_none() {
        // The same rows for all, also for those that train on few.
        asked.data.dev_share = Some(DEV_SHARE);
    }
    let metric = asked.config(&data)?.metric;
    let images = data.task.name == "image-classification";
    drop(data);
    let name = format!("search {}", &asked.key()[..12]);
    let known = store.runs(&Filter { sweep: Some(name.clone()), ..Filter::default() })?;
    let before = known.iter().map(|run| run.record.seconds).sum();
    let mut search = Search {
        args,
        settings,
        folder,
        name,
        store,
        metric,
        tried: Vec::new(),
        known: known.into_iter().map(|run| (run.record.key.clone(), run.record)).collect(),
        before: Duration::from_secs_f64(before),
        begin: Instant::now(),
        budget: Duration::from_secs_f64(60.0 * minutes),
    };
    catch_interrupt();
    search.say(&format!("the run as it was asked for, on {} rows", thousands(rows as u64)))?;
    // It is the least that there must be, whatever the time.
    let first = match search.one(&asked, rows, false)? {
        Ended::Scored(tried) => *tried,
        Ended::Stopped => return Ok(interrupted()),
        Ended::Unfit => bail!(
            "--minutes chooses by validation rows, and there are none: give --dev-data or --dev-share"
        ),
    };
    let drawn = |i: u64| draw(&asked, rows, images, i);
    if rows >= FEW_ROWS {
        search.brackets(rows, drawn)?;
    } else {
        for i in 0..MOST {
            if stopped() {
                break;
            }
            search.one(&drawn(i), rows, true)?;
        }
    }
    if stopped() {
        return Ok(interrupted());
    }
    let best = search.best(rows).unwrap_or(first);
    if !search.keep(out, &best)? {
        return Ok(interrupted());
    }
    search.tell(&best, &path)?;
    Ok(ExitCode::SUCCESS)
}

fn interrupted() -> ExitCode {
    note!("interrupted; what was tried is kept. The same command goes on from there.");
    ExitCode::from(130)
}

/// The folder of the trials.
fn beside(out: &Path) -> Result<PathBuf> {
    let Some(name) = out.file_name() else { bail!("--out {} names no folder", out.display()) };
    Ok(out.with_file_name(format!("{}-search", name.to_string_lossy())))
}

/// Settings that are drawn; those that were given by hand stay.
fn draw(asked: &RunSpec, rows: usize, images: bool, number: u64) -> RunSpec {
    let key = Key::new(asked.seed).named("search").child(number);
    let usual = RunSpec::default();
    let mut spec = asked.clone();
    let pick = |name: &str, n: usize| key.named(name).below(0, n);
    if spec.method == usual.method {
        spec.method = METHODS[pick("method", METHODS.len())].into();
    }
    if spec.lr.is_none()
        && let Ok(method) = spec.method.parse()
        && let Ok(method) = budwood_model::method::resolve(&method)
    {
        let rate = plan(&method, rows, None).learning_rate;
        spec.lr = Some(rate * FASTER[pick("rate", FASTER.len())]);
    }
    if spec.dropout.is_none() {
        spec.dropout = Some(DROPOUT[pick("dropout", DROPOUT.len())]);
    }
    if spec.pooling == PoolingChoice::Auto {
        spec.pooling = POOLING[pick("pooling", POOLING.len())];
    }
    if spec.max_length.is_none() && !images {
        spec.max_length = Some(LENGTHS[pick("length", LENGTHS.len())]);
    }
    spec
}

/// Whether settings do not fit the model: a width that an option does not divide, a method that
/// cannot act on it.
fn does_not_fit(error: &budwood::Error) -> bool {
    use budwood_train::Error as Training;
    matches!(error, budwood::Error::Model(_) | budwood::Error::Train(Training::Model(_)))
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        stopped() || self.before + self.begin.elapsed() >= self.budget
    }

    fn say(&self, line: &str) -> Result<()> {
        if !self.settings.json {
            note!("{line}");
        }
        Ok(())
    }

    /// Brackets of successive halving.
    fn brackets(&mut self, rows: usize, drawn: impl Fn(u64) -> RunSpec) -> Result<()> {
        for bracket in 0..MOST / BRACKET as u64 {
            let first = bracket * BRACKET as u64;
            let mut specs: Vec<RunSpec> = (first..first + BRACKET as u64).map(&drawn).collect();
            let mut share = HALVING * HALVING;
            loop {
                let mut scored = Vec::new();
                for spec in &specs {
                    if stopped() {
                        return Ok(());
                    }
                    let n = rows / share;
                    let spec = match share {
                        1 => spec.clone(),
                        _ => {
                            let mut part = spec.clone();
                            part.data.train_rows = Some(n);
                            part
                        }
                    };
                    if let Ended::Scored(tried) = self.one(&spec, n, true)? {
                        scored.push(*tried);
                    }
                }
                if share == 1 || scored.is_empty() {
                    break;
                }
                scored.sort_by(|a, b| match is_better(&self.metric, a.score, b.score) {
                    true => std::cmp::Ordering::Less,
                    false if a.score == b.score => std::cmp::Ordering::Equal,
                    false => std::cmp::Ordering::Greater,
                });
                scored.truncate(scored.len().div_ceil(HALVING));
                specs = scored.into_iter().map(|tried| tried.spec).collect();
                // Of the rows, as before; without a number of its own where all are used.
                specs.iter_mut().for_each(|s| s.data.train_rows = self.args.spec.data.train_rows);
                share /= HALVING;
            }
        }
        Ok(())
    }

    /// The best trial on all rows.
    fn best(&self, rows: usize) -> Option<Tried> {
        let on_all = self.tried.iter().filter(|tried| tried.rows == rows);
        let better = |a: &Tried, b: &Tried| is_better(&self.metric, b.score, a.score);
        on_all.cloned().reduce(|a, b| if better(&a, &b) { b } else { a })
    }

    /// Where the trial of a specification lies.
    fn place(&self, spec: &RunSpec) -> PathBuf {
        self.folder.join(&spec.key()[..16])
    }

    /// One trial, unless the store knows it. Where it may be cut, it ends when the time is up.
    fn one(&mut self, spec: &RunSpec, rows: usize, may_be_cut: bool) -> Result<Ended> {
        // The same settings may be drawn again.
        if let Some(tried) = self.tried.iter().find(|tried| tried.spec == *spec) {
            return Ok(Ended::Scored(Box::new(tried.clone())));
        }
        // What was tried takes none of the time, and the best may be among it.
        if may_be_cut {
            if let Some(record) = self.known.remove(&spec.key()) {
                return Ok(self.scored(spec, rows, &record));
            }
            if self.is_over() && !self.store.has(&spec.key())? {
                return Ok(Ended::Unfit);
            }
        }
        let mut run = match self.ready(spec)? {
            Ok(run) => run,
            // A model without a pooler, or whose inputs are shorter than what was drawn.
            Err(e) if may_be_cut => return self.unfit(spec, &e),
            Err(e) => return Err(e.into()),
        };
        let known = store::known(&self.store, &spec.key(), |record| run.changed_since(record))?;
        if let Some(known) = known {
            return Ok(self.scored(spec, rows, &known.record));
        }
        let trained = match self.train(spec, &mut run, may_be_cut)? {
            Ok(trained) => trained,
            Err(ended) => return Ok(ended),
        };
        let place = self.place(spec);
        add_to(&trained, &mut self.store, &place)?;
        Trained::settle(&place)?;
        let ended = self.scored(spec, rows, &trained.record);
        if let Ended::Scored(tried) = &ended {
            let line = format!(
                "{} {} on {} rows in {}: {}",
                self.metric,
                in_words(tried.score),
                thousands(rows as u64),
                seconds(tried.seconds),
                described(spec)
            );
            self.say(&line)?;
        }
        Ok(ended)
    }

    /// A trial with everything loaded, or why its settings do not fit.
    fn ready(&self, spec: &RunSpec) -> Result<Result<Run, budwood::Error>> {
        let data = RunData::read(spec, self.args.resources.limits, &mut base::told())?;
        Ok((|| {
            let options = TrainingBaseOptions::of(spec, Some(data.task.head));
            let base = TrainingBase::open(&options, &mut base::told())?;
            let threads = Some(self.settings.threads);
            let resources = Resources { threads, ..self.args.resources.clone() };
            Run::new(spec, &resources, Arc::new(base), data)
        })())
    }

    /// Trains a trial into its folder, unless a killed process had done so; else how it ended.
    fn train(
        &self,
        spec: &RunSpec,
        run: &mut Run,
        may_be_cut: bool,
    ) -> Result<Result<Trained, Ended>> {
        let place = self.place(spec);
        let mut out = OutFolder::open(&place, &FOLDER)?;
        let identity = run.identity()?;
        if let Some(left) = Trained::pending(&out).filter(|left| left.identity == identity) {
            return Ok(Ok(left));
        }
        let on_event = |_: Event<'_>| match stopped() || may_be_cut && self.is_over() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let mut unsaved = match run.train(Some(&mut out), &place, on_event) {
            Err(e) if may_be_cut && does_not_fit(&e) => return Ok(Err(self.unfit(spec, &e)?)),
            Err(e) => return Err(e.into()),
            Ok(None) => return Ok(Err(Ended::Stopped)),
            Ok(Some(unsaved)) => unsaved,
        };
        unsaved.trained.record.sweep.clone_from(&self.name);
        Ok(Ok(unsaved.save(&out, &place)?.0))
    }

    fn unfit(&self, spec: &RunSpec, why: &budwood::Error) -> Result<Ended> {
        self.say(&format!("left out: {}: {why}", described(spec)))?;
        Ok(Ended::Unfit)
    }

    fn scored(&mut self, spec: &RunSpec, rows: usize, record: &RunRecord) -> Ended {
        let Some(score) = record.chosen().filter(|s| s.is_finite()) else { return Ended::Unfit };
        let tried = Tried { spec: spec.clone(), rows, score, seconds: record.seconds };
        self.tried.push(tried.clone());
        Ended::Scored(Box::new(tried))
    }

    /// Puts the adapter of a trial into the folder that was asked for, and says whether it could:
    /// it may have been interrupted. The others' adapters go.
    fn keep(&self, out: Results, best: &Tried) -> Result<bool> {
        let from = self.place(&best.spec);
        if !native::FILES.iter().all(|file| from.join(file).exists()) {
            // A run of another command, which has its adapter elsewhere, if anywhere.
            self.say(&format!("training the best anew: {}", described(&best.spec)))?;
            if self.train(&best.spec, &mut self.ready(&best.spec)??, false)?.is_err() {
                return Ok(false);
            }
            Trained::settle(&from)?;
        }
        out.replace(|new| -> Result<()> {
            for file in native::FILES {
                let path = from.join(file);
                std::fs::copy(&path, new.join(file))
                    .with_context(|| format!("cannot read {}", path.display()))?;
            }
            Ok(())
        })?;
        for tried in &self.tried {
            let place = self.place(&tried.spec);
            if place != from && place.exists() {
                OutFolder::open(&place, &FOLDER)?.remove()?;
            }
        }
        Ok(true)
    }

    fn tell(&self, best: &Tried, store: &Address) -> Result<()> {
        let is_best = |tried: &Tried| tried.spec.key() == best.spec.key();
        if self.settings.json {
            let trial = |tried: &Tried| -> Value {
                json!({
                    "key": tried.spec.key(), "settings": tried.spec.settings(), "rows": tried.rows,
                    "score": tried.score, "seconds": tried.seconds, "best": is_best(tried),
                })
            };
            return json(&json!({
                "adapter": self.args.out, "metric": self.metric, "score": best.score, "store": store,
                "tried": self.tried.iter().map(trial).collect::<Vec<_>>(),
            }));
        }
        let head = [&self.metric, "rows", "time", "settings", ""].map(ToString::to_string);
        let mut rows = vec![head.to_vec()];
        rows.extend(self.tried.iter().map(|tried| {
            vec![
                in_words(tried.score),
                thousands(tried.rows as u64),
                seconds(tried.seconds),
                described(&tried.spec),
                if is_best(tried) { "kept" } else { "" }.into(),
            ]
        }));
        table(&rows)?;
        say!("{} trials in {}; store: {}", self.tried.len(), self.folder.display(), store)?;
        say!("the score of the best of many is too good: test it on rows of its own")?;
        say!("adapter: {}", self.args.out.display())?;
        Ok(())
    }
}

/// What a trial changes, in words.
fn described(spec: &RunSpec) -> String {
    let mut words = vec![spec.method.clone()];
    words.extend(spec.lr.map(|lr| format!("lr {lr:.1e}")));
    words.extend(spec.dropout.map(|p| format!("dropout {p}")));
    if spec.pooling != PoolingChoice::Auto {
        words.push(format!("pooling {:?}", spec.pooling).to_lowercase());
    }
    words.extend(spec.max_length.map(|n| format!("{n} tokens")));
    words.join(", ")
}
