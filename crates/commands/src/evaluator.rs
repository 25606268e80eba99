//! What the board's re-evaluations run: an adapter on a base and data of this machine, in a process
//! of its own whose memory and time are limited, so that a hostile file can end that process and
//! nothing else.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use budwood::spec::{ReadLimits, RecipeChoice};
use budwood::{Adapter, DOC_STRIDE, DataSpec, RunSpec};
use budwood_base::encoder::InputSpec;
use budwood_base::statistics::bootstrap;
use budwood_board::submit::scale;
use budwood_board::verify::{EvaluatedScore, Evaluation, Evaluator, Job};
use budwood_tasks::Dataset;
use budwood_tasks::metric;
use budwood_train::{Judged, Lengths, Score, base_seconds, judged};
use clap::Parser;
use serde_json::Value;

use crate::adapter::Opening;
use crate::base::{self, check_original};
use crate::limited::{self, Allowed, without_places};
use crate::output::note;
use crate::scratch::Scratches;
use crate::settings::Settings;
use budwood::answer::answered;
use budwood::reader::ImageReading;
use budwood::run::RunData;

/// Limits of one evaluation.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Limits {
    /// Memory that one evaluation may take, in GB.
    #[arg(long, default_value_t = 8, value_name = "GB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    memory: u64,
    /// Time that one evaluation may take, in minutes.
    #[arg(long, default_value_t = 60, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    minutes: u64,
}

/// Runs each evaluation as a process.
pub(crate) struct Separate<'a> {
    settings: &'a Settings,
    limits: Limits,
    scratches: Scratches,
}

impl Evaluator for Separate<'_> {
    fn evaluate(&mut self, job: &Job) -> Result<Evaluation, String> {
        self.run(job).map_err(|e| told(&format!("result {}", job.result), &e, &job.base))
    }
}

impl<'a> Separate<'a> {
    /// Evaluations for the board in a folder.
    pub(crate) fn new(settings: &'a Settings, limits: Limits, board: &Path) -> Result<Self> {
        Ok(Self { settings, limits, scratches: Scratches::open(board)? })
    }

    fn run(&self, job: &Job) -> Result<Evaluation> {
        let scratch = self.scratches.adapter(&job.weights, &job.description)?;
        let source = job.data.source.to_string();
        let adapter = scratch.path.to_string_lossy();
        let words = ["board", "evaluate", "--base", &job.base, "--sha256", &job.data.sha256];
        let more = ["--source", &source, "--adapter", &adapter];
        let allowed = Allowed {
            memory: self.limits.memory,
            time: Duration::from_secs(60 * self.limits.minutes),
            threads: self.settings.threads,
        };
        let printed = limited::run(&[&words[..], &more[..]].concat(), allowed)?;
        serde_json::from_slice(&printed)
            .context("the evaluation printed something else than its result")
    }
}

/// An error as readers of the board are told it. The operator's log has all of it.
pub(crate) fn told(what: &str, error: &anyhow::Error, base: &str) -> String {
    let all = format!("{error:#}");
    let shown = without_places(&all, &[Path::new(base)]);
    if shown != all {
        note!("{what}: {all}");
    }
    shown
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

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<()> {
    let begin = Instant::now();
    let source = data_source(&serde_json::from_str(&args.source).context("--source is not JSON")?)?;
    let opening = Opening { base: Some(&args.base), ..Opening::default() };
    let adapter = opening.open(settings, &args.adapter)?;
    check_original(adapter.base().model())?;
    let data = read_source(&source)?;
    let (labels, kind) = (data.labels.clone(), data.task.name);
    let Some(split) = splits(data).into_iter().find(|d| d.digest.sha256 == args.sha256) else {
        bail!(
            "the data at `{}` are no longer those that the result was scored on",
            Value::Object(source.source())
        );
    };
    if labels != adapter.meta().labels || kind != adapter.meta().task.kind {
        bail!("the adapter's classes or its kind of task are not those of the data");
    }
    let base_time = base_time(&adapter, &split, settings.threads)?;
    let allowed = LEAST_TIME + base_time.mul_f64(TIMES_BASE);
    limited::end_after(
        allowed,
        format!(
            "the adapter took longer than {}; its base alone needs about {} for these data",
            crate::output::seconds(allowed.as_secs_f64()),
            crate::output::seconds(base_time.as_secs_f64())
        ),
    );
    let (prepared, answers) = adapter.answers(&split)?;
    let Some(judged) = judged(&answers, &prepared) else { bail!("the data have no labels") };
    let found = judged.scores(&(0..judged.len()).collect::<Vec<_>>());
    // Errors are no shares and have no place on a board, nor have scores that are undefined.
    let fits = |s: &&(usize, Score)| s.1.value.is_finite() && !metric::is_error(&s.1.name);
    let found: Vec<(usize, Score)> = found.into_iter().enumerate().filter(|s| fits(&s)).collect();
    let intervals = found.iter().map(|(which, _)| interval(&judged, *which)).collect::<Vec<_>>();
    let evaluation = Evaluation {
        scores: found
            .iter()
            .zip(intervals)
            .map(|((_, s), interval)| EvaluatedScore {
                name: metric::title(&s.name).into(),
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

/// Time that every adapter may take beyond what its base needs: for reading, and for clocks.
const LEAST_TIME: Duration = Duration::from_secs(5);
/// How many times as long as its base an adapter may take. Prompts as long as the texts are twice
/// the rows, and so at most four times the work.
const TIMES_BASE: f64 = 20.0;
/// Examples that the base is timed on, and the time for it.
const TIMED: usize = 256;
const TIMED_FOR: Duration = Duration::from_secs(2);
/// The longest input that the base is timed on, in tokens: no adapter's own words decide.
const TIMED_LENGTH: usize = 512;

/// How long the base alone needs for the data, from some of them.
fn base_time(adapter: &Adapter, data: &Dataset, threads: usize) -> Result<Duration> {
    let begin = Instant::now();
    let all = data.examples.len();
    let step = all.div_ceil(TIMED).max(1);
    let examples: Vec<_> = data.examples.iter().step_by(step).cloned().collect();
    let scale = all as f64 / examples.len().max(1) as f64;
    let some = Dataset { examples, digest: data.digest.clone(), skipped: Vec::new() };
    let longest = match &adapter.base().model().spec().input {
        InputSpec::Text(text) => text.length_max(),
        InputSpec::Image(_) => TIMED_LENGTH,
    };
    let lengths = Lengths { max: longest.min(TIMED_LENGTH), stride: DOC_STRIDE };
    let images = ImageReading::default();
    let labels = &adapter.meta().labels;
    let prepared = adapter.reader().prepare(&some, labels, lengths, images, threads)?;
    let reading = begin.elapsed().as_secs_f64();
    let base = adapter.base();
    let timed = |workers: &mut _| base_seconds(workers, base.packed(), &prepared, TIMED_FOR);
    let running = base.with_workers(timed)?;
    Ok(Duration::from_secs_f64((scale * (reading + running)).min(1e9)))
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

/// Flags that say which data, as the parser of `budwood train` takes them.
pub(crate) fn data_flags(words: &[String]) -> Result<DataSpec> {
    #[derive(Parser)]
    #[command(name = "data", no_binary_name = true, disable_help_flag = true)]
    struct Flags {
        #[command(flatten)]
        data: DataSpec,
    }
    let parsed = Flags::try_parse_from(words);
    Ok(parsed
        .map_err(|e| {
            anyhow::anyhow!("{}", e.to_string().lines().next().unwrap_or_default().to_owned())
        })?
        .data)
}

/// The data of a board's source: settings by name, or the list of flags of an older board.
pub(crate) fn data_source(source: &Value) -> Result<DataSpec> {
    match source {
        Value::Object(settings) => Ok(DataSpec::from_settings(settings)?),
        older => {
            let words = serde_json::from_value::<Vec<String>>(older.clone());
            data_flags(&words.context("the data's source is neither settings nor flags")?)
        }
    }
}

/// Reads data to score on.
///
/// The paper's recipe always keeps validation rows; where another one keeps none, the other splits
/// are the same.
pub(crate) fn read_source(data: &DataSpec) -> Result<RunData> {
    let spec = RunSpec { data: data.clone(), recipe: RecipeChoice::Paper, ..RunSpec::default() };
    Ok(RunData::read(&spec, ReadLimits::default(), &mut base::told())?)
}

/// The labelled splits that results are scored on.
pub(crate) fn splits(data: RunData) -> Vec<Dataset> {
    [data.dev, data.test].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a board of version 0.1 noted is the same data as what is noted now.
    #[test]
    fn flags_of_older_boards_are_settings() {
        let older = json!([
            "--data=glue:MRPC=/d",
            "--dev-share=0.1",
            "--encoding=utf-8",
            "--label-column=quality",
            "--no-header",
            "--test-share=0.0",
            "--text-column=a",
            "--text-column=b",
            "--test",
        ]);
        let now = json!({
            "data": "glue:MRPC=/d", "dev-share": 0.1, "encoding": "utf-8",
            "label-column": "quality", "no-header": true, "text-column": ["a", "b"], "test": true,
        });
        let (older, now) = (data_source(&older).unwrap(), data_source(&now).unwrap());
        assert_eq!(older, now);
        assert_eq!(data_source(&Value::Object(now.source())).unwrap(), now);
        assert!(data_source(&json!(["--data=a.csv", "--lr=1"])).is_err());
        assert!(data_source(&json!("a.csv")).is_err());
    }
}
