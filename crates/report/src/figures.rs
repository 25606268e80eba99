//! The figures that some runs allow.

use std::collections::BTreeMap;

use budwood_base::statistics::{mean_and_error, percentile};
use budwood_charts::{Axis, Chart, HeatMap, Point, Scale, Series};

use crate::Setting;
use crate::setting::{best, caption, distinct};

/// A figure with the name of its file.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of the file, without ending.
    pub name: String,
    /// The drawing.
    pub svg: String,
}

/// All figures that these runs allow.
pub fn figures(settings: &[Setting]) -> Vec<Figure> {
    let mut all: Vec<Figure> = trade_off(settings).into_iter().collect();
    let tasks = distinct(settings.iter().map(|s| s.task.clone()));
    for task in &tasks {
        let of_task: Vec<&Setting> = settings.iter().filter(|s| s.task == *task).collect();
        all.extend(task_trade_off(task, &of_task));
        all.extend(over(task, &of_task, "learning-rate", "largest learning rate", |s| {
            Some(s.rate)
        }));
        all.extend(over(task, &of_task, "init-scale", "deviation of the initial weights", |s| {
            s.option("init_scale")
        }));
        all.extend(ablations(task, &of_task));
    }
    all
}

/// Whether a setting trains the whole model.
fn is_full(s: &&Setting) -> bool {
    s.method == "full" || s.method.starts_with("full[")
}

/// The settings of one method over tasks: best learning rate and epochs for each.
fn point(s: &Setting, mean: f64, error: Option<f64>) -> Point {
    let half = error.map(|e| s.scale() * e);
    let y = s.scale() * mean;
    let note = format!(
        "{}: {}{} with {} trained parameters",
        s.method,
        s.shown(mean),
        error.map_or(String::new(), |e| format!(" ±{}", s.shown(e))),
        s.trained
    );
    Point { x: s.trained, y, low: half.map(|h| y - h), high: half.map(|h| y + h), note }
}

/// Figures 1 and 3: score less that of full fine-tuning against trained parameters; the 20th, 50th
/// and 80th percentile over tasks whose scores are shares.
fn trade_off(settings: &[Setting]) -> Option<Figure> {
    let settings: Vec<&Setting> = settings.iter().filter(|s| !s.is_error()).collect();
    let mut full = BTreeMap::new();
    for task in distinct(settings.iter().map(|s| &s.task)) {
        let best = best(settings.iter().copied().filter(is_full).filter(|s| s.task == *task))?;
        full.insert(task, best.mean().0);
    }
    let mut series = Vec::new();
    for group in distinct(settings.iter().map(|s| &s.group)) {
        let of_group: Vec<&Setting> =
            settings.iter().copied().filter(|s| s.group == *group).collect();
        let mut points = Vec::new();
        for method in distinct(of_group.iter().map(|s| &s.method)) {
            let (mut differences, mut trained) = (Vec::new(), Vec::new());
            for (task, reference) in &full {
                let fitting =
                    of_group.iter().copied().filter(|s| s.method == *method && s.task == **task);
                let Some(s) = best(fitting) else { continue };
                differences.push(100.0 * (s.mean().0 - reference));
                trained.push(s.trained);
            }
            if differences.len() < full.len() {
                continue;
            }
            let y = percentile(&differences, 50.0);
            let (low, high) = (percentile(&differences, 20.0), percentile(&differences, 80.0));
            let x = mean_and_error(&trained).0;
            let note = format!(
                "{method}: median {y:.1}, 20th {low:.1}, 80th percentile {high:.1}, {x:.0} trained parameters"
            );
            points.push(Point { x, y, low: Some(low), high: Some(high), note });
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        if !points.is_empty() {
            let line = points.len() > 1;
            series.push(Series { name: group.clone(), points, line, band: line });
        }
    }
    let parameters: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p.x).collect();
    if distinct(parameters).len() < 2 {
        return None;
    }
    let mut caption = caption(&settings);
    caption[0] = caption[0].replace(
        "error bars: standard error",
        "median over tasks; bands and bars: 20th to 80th percentile",
    );
    let chart = Chart {
        title: "Score less that of full fine-tuning, over trained parameters".into(),
        caption,
        x: Axis { label: "trained parameters of a task, head included".into(), scale: Scale::Log },
        y: Axis { label: "points below or above full".into(), scale: Scale::Linear },
        series,
    };
    Some(Figure { name: "trade-off".into(), svg: chart.svg() })
}

/// Figures 4 and 5: scores of one task against trained parameters, that of full fine-tuning as a
/// line.
fn task_trade_off(task: &str, settings: &[&Setting]) -> Option<Figure> {
    let mut series = Vec::new();
    let fewest = settings.iter().map(|s| s.trained).fold(f64::INFINITY, f64::min);
    for group in distinct(settings.iter().map(|s| &s.group)) {
        let of_group: Vec<&&Setting> = settings.iter().filter(|s| s.group == *group).collect();
        let mut points = Vec::new();
        for method in distinct(of_group.iter().map(|s| &s.method)) {
            let s = best(of_group.iter().map(|s| **s).filter(|s| s.method == *method))?;
            let (mean, error) = s.mean();
            points.push(point(s, mean, error));
        }
        if of_group.iter().all(|s| is_full(s)) {
            points.extend(points.first().cloned().map(|p| Point { x: fewest, ..p }));
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        let line = points.len() > 1;
        series.push(Series { name: group.clone(), points, line, band: false });
    }
    let parameters: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p.x).collect();
    if distinct(parameters).len() < 2 {
        return None;
    }
    let first = settings.first()?;
    let chart = Chart {
        title: format!("{task}: score over trained parameters"),
        caption: caption(settings),
        x: Axis { label: "trained parameters, head included".into(), scale: Scale::Log },
        y: Axis { label: first.axis(), scale: Scale::Linear },
        series,
    };
    Some(Figure { name: format!("parameters-{task}"), svg: chart.svg() })
}

/// Figures 6 (right) and 7: score over something that was varied, the best of everything else at
/// each value.
fn over(
    task: &str,
    settings: &[&Setting],
    name: &str,
    label: &str,
    value: impl Fn(&Setting) -> Option<f64>,
) -> Option<Figure> {
    let mut series = Vec::new();
    for group in distinct(settings.iter().map(|s| &s.group)) {
        let of_group: Vec<&Setting> =
            settings.iter().copied().filter(|s| s.group == *group).collect();
        let mut values: Vec<f64> = distinct(of_group.iter().filter_map(|s| value(s)));
        if values.len() < 2 {
            continue;
        }
        values.sort_by(f64::total_cmp);
        let points = values.iter().filter_map(|&x| {
            let s = best(of_group.iter().copied().filter(|s| value(s) == Some(x)))?;
            let (mean, error) = s.mean();
            Some(Point { x, ..point(s, mean, error) })
        });
        series.push(Series {
            name: group.clone(),
            points: points.collect(),
            line: true,
            band: false,
        });
    }
    let first = settings.first().filter(|_| !series.is_empty())?;
    let chart = Chart {
        title: format!("{task}: score over the {label}"),
        caption: caption(settings),
        x: Axis { label: label.into(), scale: Scale::Log },
        y: Axis { label: first.axis(), scale: Scale::Linear },
        series,
    };
    Some(Figure { name: format!("{name}-{task}"), svg: chart.svg() })
}

/// Figure 6, left and middle: what the validation score loses, in per cent of itself, without the
/// trained adapters of each span of layers.
fn ablations(task: &str, settings: &[&Setting]) -> Vec<Figure> {
    let mut all = Vec::new();
    let with_spans = settings.iter().filter(|s| s.ablations.iter().any(|a| !a.is_empty()));
    for (number, s) in with_spans.enumerate() {
        let layers = s.ablations.iter().flat_map(|a| a.keys()).map(|k| k.1 + 1).max().unwrap_or(0);
        let cell = |first: usize, last: usize| {
            let pairs = s.ablations.iter().zip(&s.dev);
            let falls: Vec<f64> = pairs
                .filter_map(|(a, whole)| Some(100.0 * (a.get(&(first, last))? - whole) / whole))
                .collect();
            (!falls.is_empty()).then(|| mean_and_error(&falls).0)
        };
        let names: Vec<String> = (0..layers).map(|l| l.to_string()).collect();
        let mut caption = caption(&[*s]);
        caption[0] = caption[0].replace(", error bars: standard error", ", mean over seeds");
        caption[1] = caption[1].replace("(test)", "(dev)");
        caption.push(format!("{}; layer norms and head stay in place", s.method));
        let map = HeatMap {
            title: format!("{task}: change of {} without a span's adapters, per cent", s.metric),
            caption,
            x_label: "last layer removed".into(),
            y_label: "first layer removed".into(),
            columns: names.clone(),
            rows: names,
            digits: 1,
            values: (0..layers).map(|f| (0..layers).map(|l| cell(f, l)).collect()).collect(),
        };
        let more = if number > 0 { format!("-{number}") } else { String::new() };
        all.push(Figure { name: format!("ablation-{task}{more}"), svg: map.svg() });
    }
    all
}
