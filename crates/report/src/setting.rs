//! Runs that differ in nothing but the seed, as one.

use std::collections::BTreeMap;

use budwood_base::record::{RunRecord, in_words};
use budwood_base::statistics::mean_and_error;
use budwood_tasks::metric::{is_better, is_error};
use serde_json::Value;

/// Runs of one task, method and configuration over seeds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name of the task.
    pub task: String,
    /// The area that it is counted to; empty for none.
    pub area: String,
    /// Methods that are compared as one.
    pub group: String,
    /// The method as the user wrote it.
    pub method: String,
    /// The method with all options in force.
    pub method_in_force: String,
    /// The metric.
    pub metric: String,
    /// The split of `scores`: `test` where there is one, else `dev`, or `cv` by cross-validation.
    pub split: String,
    /// SHA-256 of the examples behind `scores`.
    pub data: String,
    /// Learning rate.
    pub rate: f64,
    /// Trained parameters, head included.
    pub trained: f64,
    /// Parameters of the base.
    pub base_parameters: f64,
    /// Name of the base and form of its weights.
    pub base: (String, String),
    /// The seeds, in the order of the scores.
    pub seeds: Vec<u64>,
    /// Scores on the validation set, which choose among settings.
    pub dev: Vec<f64>,
    /// Scores that are reported.
    pub scores: Vec<f64>,
    /// For each seed, scores without each span of layers.
    pub ablations: Vec<BTreeMap<(usize, usize), f64>>,
}

impl Setting {
    /// Mean score on the validation set; not a number without one.
    pub fn dev_mean(&self) -> f64 {
        mean_and_error(&self.dev).0
    }

    /// Whether the validation set says that it is better than another; one without a score is not.
    fn is_better(&self, than: &Self) -> bool {
        let (own, other) = (self.dev_mean(), than.dev_mean());
        !own.is_nan() && (other.is_nan() || is_better(&self.metric, own, other))
    }

    /// Whether its scores are errors in the unit of the data, and no shares.
    pub(crate) fn is_error(&self) -> bool {
        is_error(&self.metric)
    }

    /// What scores are multiplied by to be shown: shares are in per cent.
    pub(crate) fn scale(&self) -> f64 {
        if self.is_error() { 1.0 } else { 100.0 }
    }

    /// A score, or the error of one, as it is shown.
    pub(crate) fn shown(&self, score: f64) -> String {
        if self.is_error() { in_words(score) } else { format!("{:.1}", 100.0 * score) }
    }

    /// What the axis of its scores is called.
    pub(crate) fn axis(&self) -> String {
        let unit = if self.is_error() { "" } else { ", per cent" };
        format!("{} on {}{unit}", self.metric, self.split)
    }

    /// Mean of the scores and its standard error.
    pub fn mean(&self) -> (f64, Option<f64>) {
        mean_and_error(&self.scores)
    }

    /// The value of an option of the method, if it is a number.
    pub fn option(&self, name: &str) -> Option<f64> {
        let at = self.method_in_force.find(&format!("{name}="))?;
        let rest = &self.method_in_force[at + name.len() + 1..];
        rest.split([',', ']']).next()?.parse().ok()
    }
}

/// The settings of some runs, in the order of their first run.
pub fn settings<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> Vec<Setting> {
    let mut keys: Vec<String> = Vec::new();
    let mut all: Vec<Setting> = Vec::new();
    for run in runs {
        let mut rest = run.settings.clone();
        rest.remove("seed");
        let rest = serde_json::to_string(&rest).unwrap_or_default();
        // Settings name files and folders; what these hold may have been another thing each time.
        let base = (&run.base.weights_sha256, &run.base.tokenizer_sha256);
        let data: Vec<_> = run.data.iter().map(|d| (&d.split, &d.sha256)).collect();
        let key = format!("{:?}", (&run.task, &run.group, base, data, rest));
        let place = keys.iter().position(|k| *k == key).unwrap_or_else(|| {
            keys.push(key);
            all.push(new(run));
            all.len() - 1
        });
        let setting = &mut all[place];
        let score = run.score(&setting.split, &run.metric);
        let Some(score) = score else { continue };
        setting.seeds.push(run.seed);
        setting.scores.push(score);
        setting.dev.extend(run.chosen());
        let spans = run.metrics.iter().filter(|m| m.split == "ablation").filter_map(|m| {
            let (first, last) = m.name.split_once('-')?;
            Some(((first.parse().ok()?, last.parse().ok()?), m.value))
        });
        setting.ablations.push(spans.collect());
    }
    all.retain(|s| !s.scores.is_empty());
    tell_apart(&mut all);
    all
}

/// Scores of one task that are not to be compared, of other metrics, splits or examples, become
/// those of two.
fn tell_apart(all: &mut [Setting]) {
    let scored = |s: &Setting| (s.metric.clone(), s.split.clone());
    let kinds = distinct(all.iter().map(|s| (s.task.clone(), scored(s))));
    let examples = distinct(all.iter().map(|s| (s.task.clone(), scored(s), s.data.clone())));
    for s in all {
        let (task, scored) = (s.task.clone(), scored(s));
        if kinds.iter().filter(|k| k.0 == task).count() > 1 {
            s.task += &format!(" by {} on {}", s.metric, s.split);
        }
        if examples.iter().filter(|e| e.0 == task && e.1 == scored).count() > 1 {
            s.task += &format!(" {:.8}", s.data);
        }
    }
}

fn new(run: &RunRecord) -> Setting {
    let text = |name: &str| run.settings.get(name).and_then(Value::as_str).map(ToString::to_string);
    let scored = |split: &&str| run.score(split, &run.metric).is_some();
    let split = ["test", "dev", "cv"].into_iter().find(scored).unwrap_or("dev");
    let rows = if split == "cv" { "train" } else { split };
    let data = run.data.iter().find(|d| d.split == rows);
    Setting {
        task: run.task.clone(),
        area: text("area").unwrap_or_default(),
        group: run.group.clone(),
        method: text("method").unwrap_or_else(|| run.method.clone()),
        method_in_force: run.method.clone(),
        metric: run.metric.clone(),
        split: split.into(),
        data: data.map(|d| d.sha256.clone()).unwrap_or_default(),
        rate: run.settings.get("lr").and_then(Value::as_f64).unwrap_or_default(),
        trained: run.parameters_trained as f64,
        base_parameters: run.parameters_base as f64,
        base: (run.base.name.clone(), run.precision.clone()),
        seeds: Vec::new(),
        dev: Vec::new(),
        scores: Vec::new(),
        ablations: Vec::new(),
    }
}

/// Different values in the order in which they first occur.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// The setting with the best validation score: what the paper reports.
pub(crate) fn best<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> Option<&'a Setting> {
    settings.into_iter().fold(None, |best: Option<&Setting>, s| match best {
        Some(b) if !s.is_better(b) => Some(b),
        _ => Some(s),
    })
}

/// What the runs are, in lines below a figure.
pub(crate) fn caption(settings: &[&Setting]) -> Vec<String> {
    let bases = distinct(settings.iter().map(|s| s.base.0.clone()));
    let forms = distinct(settings.iter().map(|s| s.base.1.clone()));
    let seeds = settings.iter().map(|s| s.seeds.len());
    let (fewest, most) = (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0));
    let seeds = match (fewest, most) {
        // A single seed has no error.
        (_, 1) => "1 seed".to_owned(),
        (a, b) if a == b => format!("{b} seeds, error bars: standard error"),
        (a, b) => format!("{a} to {b} seeds, error bars: standard error"),
    };
    let tasks = distinct(settings.iter().map(|s| format!("{} ({})", s.task, s.split)));
    let mut lines =
        vec![format!("base {} (weights in {}), {seeds}", bases.join(", "), forms.join(" and "))];
    let mut line = String::from("data: ");
    for (i, task) in tasks.iter().enumerate() {
        if line.len() + task.len() > 110 {
            lines.push(std::mem::take(&mut line));
        }
        line += task;
        line += if i + 1 < tasks.len() { ", " } else { "" };
    }
    lines.push(line);
    lines
}
