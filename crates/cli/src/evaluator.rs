//! What the board's re-evaluations run: an adapter on a base and data of this machine, in a process of its own whose
//! memory and time are limited, so that a hostile file can end that process and nothing else.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use budwood_base::statistics::bootstrap;
use budwood_board::Board;
use budwood_board::submit::{metric_title, scale};
use budwood_board::verify::{self, EvaluatedScore, Evaluation, Evaluator, Job};
use budwood_tasks::Dataset;
use budwood_tasks::metric::ERRORS;
use budwood_train::{Judged, Score, answers, judged};
use budwood_web::{Answer, Predictor};
use clap::Parser;
use serde_json::Value;

use crate::Settings;
use crate::answer::answered;
use crate::commands::predict::Loaded;
use crate::commands::train;
use crate::training::{Data, read_data};

/// Limits of one evaluation.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Limits {
    /// Memory that one evaluation may take, in GB.
    #[arg(long, default_value_t = 8, value_name = "GB")]
    memory: u64,
    /// Time that one evaluation may take, in minutes.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    minutes: u64,
}

/// Runs each evaluation as a process.
pub(crate) struct Separate<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) limits: Limits,
}

impl Evaluator for Separate<'_> {
    fn evaluate(&mut self, job: &Job) -> Result<Evaluation, String> {
        self.run(job).map_err(|e| format!("{e:#}"))
    }
}

impl Separate<'_> {
    fn run(&self, job: &Job) -> Result<Evaluation> {
        let scratch =
            Scratch::new(&job.weights, &job.description, &format!("check-{}", job.check))?;
        let source = job.data.source.to_string();
        let adapter = scratch.path.to_string_lossy();
        let words = ["board", "evaluate", "--base", &job.base, "--sha256", &job.data.sha256];
        let more = ["--source", &source, "--adapter", &adapter];
        let printed = limited(
            &[&words[..], &more[..]].concat(),
            self.settings.threads,
            self.limits.memory,
            Duration::from_secs(60 * self.limits.minutes),
        )?;
        serde_json::from_slice(&printed)
            .context("the evaluation printed something else than its result")
    }
}

/// What this program prints when it is run with these words in a process of its own, with so many threads, GB of memory, and so
/// much time.
fn limited(words: &[&str], threads: usize, memory: u64, time: Duration) -> Result<Vec<u8>> {
    let program = std::env::current_exe().context("cannot find the program itself")?;
    // The shell sets the limit and becomes the program; nothing of a submission is among its words.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "ulimit -v \"$0\" && exec \"$@\""])
        .arg((memory * 1_000_000).to_string())
        .arg(program)
        .args(["--threads", &threads.to_string()])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a process for the adapter")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>, most: u64| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.map(|p| p.take(most).read_to_end(&mut text));
            text
        })
    };
    let out = read(out.map(|o| Box::new(o) as _), 1 << 30);
    let err = read(err.map(|e| Box::new(e) as _), 1 << 16);
    let end = Instant::now() + time;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} and was ended", crate::output::seconds(time.as_secs_f64()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&err);
    let last = said.trim().lines().last().unwrap_or_default().trim_start_matches("error: ");
    match status.code() {
        Some(1) => bail!("{last}"),
        _ => {
            bail!("ended with {status}; it may have needed more than {memory} GB of memory. {last}")
        }
    }
}

/// Lets readers of a board try an adapter: each text in a process of its own.
pub(crate) struct Trial {
    /// The board's folder.
    pub(crate) board: PathBuf,
}

impl Predictor for Trial {
    fn predict(&self, result: i64, text: &str) -> Result<Vec<Answer>, String> {
        self.answer(result, text).map_err(|e| format!("{e:#}"))
    }
}

impl Trial {
    const MEMORY: u64 = 4;
    const TIME: Duration = Duration::from_secs(20);

    fn answer(&self, result: i64, text: &str) -> Result<Vec<Answer>> {
        static TRIALS: AtomicU64 = AtomicU64::new(0);
        let board = Board::open_to_read(&self.board)?;
        let adapter = verify::adapter(&board, result)?.map_err(anyhow::Error::msg)?;
        let name = format!("trial-{}", TRIALS.fetch_add(1, Ordering::Relaxed));
        let scratch = Scratch::new(&adapter.weights, &adapter.description, &name)?;
        check_options(&scratch.path)?;
        // For a task of images the words would be names of files of this machine.
        let meta: Value =
            serde_json::from_slice(&std::fs::read(scratch.path.join("adapter.json"))?)?;
        let kind = meta["task"]["kind"].as_str().unwrap_or_default();
        let texts =
            ["classification", "multilabel", "regression", "token-classification"].contains(&kind);
        if !texts {
            bail!("this adapter is for {kind}: it can be tried with `budwood predict` only");
        }
        let folder = scratch.path.to_string_lossy();
        let mut words =
            vec!["predict", "--json", "--adapter", &folder, "--base", &adapter.base, "--"];
        words.extend(text.lines().map(str::trim).filter(|l| !l.is_empty()).take(2));
        let printed = limited(&words, 1, Self::MEMORY, Self::TIME)?;
        let line = printed.split(|b| *b == b'\n').next().unwrap_or_default();
        let answer: Value = serde_json::from_slice(line).context("the answer is not JSON")?;
        Ok(shown(&answer))
    }
}

/// The answer of `predict`, the likeliest first.
fn shown(answer: &Value) -> Vec<Answer> {
    let mut all: Vec<Answer> = match (&answer["scores"], &answer["value"], &answer["entities"]) {
        (Value::Object(scores), _, _) => {
            let one = |(label, p): (&String, &Value)| Answer {
                label: label.clone(),
                probability: p.as_f64(),
            };
            scores.iter().map(one).collect()
        }
        (_, Value::Number(value), _) => {
            vec![Answer { label: value.to_string(), probability: None }]
        }
        (_, _, Value::Array(entities)) => {
            let text = |e: &Value, name: &str| e[name].as_str().unwrap_or_default().to_string();
            let one = |e: &Value| Answer {
                label: format!("{}: {}", text(e, "type"), text(e, "text")),
                probability: e["score"].as_f64(),
            };
            entities.iter().map(one).collect()
        }
        _ => Vec::new(),
    };
    all.sort_by(|a, b| b.probability.unwrap_or(0.0).total_cmp(&a.probability.unwrap_or(0.0)));
    all
}

/// A folder with an adapter's files under their names, removed at the end.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A copy beside the board's files.
    fn new(weights: &Path, description: &Path, name: &str) -> Result<Self> {
        let files = weights.parent().context("the adapter's file has no folder")?;
        let path = files.with_file_name(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path)?;
        let scratch = Self { path };
        for (file, name) in [(weights, "adapter.safetensors"), (description, "adapter.json")] {
            std::fs::copy(file, scratch.path.join(name))?;
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// One evaluation, in its own process.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    adapter: PathBuf,
    #[arg(long)]
    base: String,
    #[arg(long)]
    sha256: String,
    #[arg(long)]
    source: String,
}

/// Largest count among a method's options: far beyond any use, and small enough to allocate.
const LARGEST_OPTION: u64 = 8192;

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<()> {
    let begin = Instant::now();
    let flags: Vec<String> = serde_json::from_str(&args.source).context("the data's source")?;
    check_options(&args.adapter)?;
    let mut loaded = Loaded::open(settings, &args.adapter, Some(&args.base), None)?;
    let data = read_data(&data_flags(&flags)?)?;
    let (labels, kind) = (data.labels.clone(), data.task.name);
    let Some(split) = splits(data).into_iter().find(|d| d.digest.sha256 == args.sha256) else {
        bail!(
            "the data at `{}` are no longer those that the result was scored on",
            flags.join(" ")
        );
    };
    if labels != loaded.meta.labels || kind != loaded.meta.task.kind {
        bail!("the adapter's classes or its kind of task are not those of the data");
    }
    let prepared = loaded.prepare(&split, settings.threads)?;
    let answers = answers(&mut loaded.workers, &loaded.base, &loaded.adapter, &prepared)?;
    if answers.outputs.iter().flatten().any(|x| !x.is_finite()) {
        bail!("the adapter's answers are not finite numbers");
    }
    let Some(judged) = judged(&answers, &prepared) else { bail!("the data have no labels") };
    let found = judged.scores(&(0..judged.len()).collect::<Vec<_>>());
    // Errors are no shares and have no place on a board, nor have scores that are undefined.
    let fits = |s: &&(usize, Score)| s.1.value.is_finite() && !ERRORS.contains(&s.1.name.as_str());
    let found: Vec<(usize, Score)> = found.into_iter().enumerate().filter(|s| fits(&s)).collect();
    let intervals = found.iter().map(|(which, _)| interval(&judged, *which)).collect::<Vec<_>>();
    let evaluation = Evaluation {
        scores: found
            .iter()
            .zip(intervals)
            .map(|((_, s), interval)| EvaluatedScore {
                name: metric_title(&s.name),
                value: scale(s.value),
                interval: interval.map(|(low, high)| (scale(low), scale(high))),
            })
            .collect(),
        predictions: answered(&split, &prepared, &answers, &labels),
        seconds: begin.elapsed().as_secs_f64(),
        machine: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        version: format!("budwood {}", env!("CARGO_PKG_VERSION")),
    };
    crate::output::json(&evaluation)
}

/// Options of a description that would make the adapter larger than any memory are refused before anything is made.
fn check_options(folder: &Path) -> Result<()> {
    let text = std::fs::read_to_string(folder.join("adapter.json"))?;
    let meta: Value = serde_json::from_str(&text)?;
    if let Some(number) = largest(&meta["method"]).filter(|n| *n > LARGEST_OPTION as f64) {
        bail!("adapter.json: the method's option {number} is larger than {LARGEST_OPTION}");
    }
    for place in ["/head/outputs", "/task/max_length"] {
        let value = meta.pointer(place).and_then(Value::as_u64).unwrap_or(0);
        if value > 100_000 {
            bail!("adapter.json: {value} at {place} is too large");
        }
    }
    Ok(())
}

/// The largest number anywhere in a value.
fn largest(value: &Value) -> Option<f64> {
    let of = |inside: &mut dyn Iterator<Item = &Value>| inside.filter_map(largest).reduce(f64::max);
    match value {
        Value::Number(n) => n.as_f64(),
        Value::Array(list) => of(&mut list.iter()),
        Value::Object(map) => of(&mut map.values()),
        // Options may be written as texts too.
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The 95 % interval of a score, by its place.
fn interval(judged: &Judged, which: usize) -> Option<(f64, f64)> {
    let rows = judged.len();
    let resamples = (2_000_000 / rows.max(1)).clamp(200, 1000);
    let interval = bootstrap(rows, resamples, 0, |drawn| {
        judged.scores(drawn).get(which).map_or(f64::NAN, |s| s.value)
    });
    interval.filter(|(a, b)| a.is_finite() && b.is_finite())
}

/// Flags of `budwood train` that say which data, as their parser takes them.
pub(crate) fn data_flags(words: &[String]) -> Result<train::Args> {
    #[derive(Parser)]
    #[command(name = "data", no_binary_name = true, disable_help_flag = true)]
    struct Flags {
        #[command(flatten)]
        args: train::Args,
    }
    let parsed = Flags::try_parse_from(words.iter().map(String::as_str).chain(["--out=none"]));
    Ok(parsed
        .map_err(|e| {
            anyhow::anyhow!("{}", e.to_string().lines().next().unwrap_or_default().to_owned())
        })?
        .args)
}

/// Names of the settings of a run that say which data it used.
const DATA_FLAGS: &[&str] = &[
    "data",
    "dev-data",
    "test-data",
    "test",
    "dev-share",
    "test-share",
    "split-seed",
    "text-column",
    "image-column",
    "image-root",
    "skip-bad",
    "label-column",
    "encoding",
    "no-header",
    "tsv-quotes",
    "separator",
    "missing",
    "label-names",
    "max-classes",
    "max-unpacked",
    "task",
];

/// The flags of a run's data, from its settings.
pub(crate) fn flags_of(settings: &std::collections::BTreeMap<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    for (name, value) in settings.iter().filter(|(n, _)| DATA_FLAGS.contains(&n.as_str())) {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), Into::into);
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => words.push(format!("--{name}")),
            Value::Array(list) => {
                words.extend(list.iter().map(|v| format!("--{name}={}", text(v))))
            }
            other => words.push(format!("--{name}={}", text(other))),
        }
    }
    words
}

/// The labelled splits that results are scored on.
pub(crate) fn splits(data: Data) -> Vec<Dataset> {
    [data.dev, data.test].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_beyond_any_use_are_found_wherever_they_stand() {
        let spec =
            json!({ "parts": [{ "name": "lora", "options": { "r": 8, "alpha": 0.00001234567 } }] });
        assert_eq!(largest(&spec), Some(8.0));
        let hostile =
            json!({ "parts": [{ "name": "adapter", "options": { "width": 4_000_000_000u64 } }] });
        assert_eq!(largest(&hostile), Some(4e9));
        let map = json!({ "options": { "reduction_factor": { "0": "99999", "default": 2 } } });
        assert_eq!(largest(&map), Some(99_999.0));
    }

    #[test]
    fn answers_come_likeliest_first() {
        let answer = json!({ "label": "b", "scores": { "a": 0.2, "b": 0.8 } });
        let labels: Vec<_> = shown(&answer).into_iter().map(|a| a.label).collect();
        assert_eq!(labels, ["b", "a"]);
        assert_eq!(shown(&json!({ "value": 2.5 }))[0].label, "2.5");
    }
}
