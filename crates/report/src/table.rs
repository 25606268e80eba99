//! The table of methods by tasks.

use budwood_base::statistics::mean_and_error;

use crate::Setting;
use crate::setting::{best, caption, distinct};

/// Methods by tasks; scores in per cent, errors in the unit of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the tasks with metric and split, before them the method and the parameters that it
    /// trains, after them the mean.
    pub columns: Vec<String>,
    /// A row for each method.
    pub rows: Vec<Vec<String>>,
    /// What the runs are.
    pub caption: Vec<String>,
}

/// For each group of methods and task, the mean test score (validation where there is no test) of
/// the setting with the best validation score, with its standard error over seeds, and their number
/// where other settings of the task have more. The mean is over the tasks; where tasks are counted
/// to areas, over the means of the areas, as VTAB's. There is none where a score is an error in the
/// unit of the data.
pub fn table(settings: &[Setting]) -> Table {
    let tasks = distinct(settings.iter().map(|s| s.task.clone()));
    let groups = distinct(settings.iter().map(|s| s.group.clone()));
    let mut columns = vec!["method".to_string(), "trained".to_string()];
    for task in &tasks {
        let first = settings.iter().find(|s| s.task == *task);
        let (metric, split) = first.map_or(("", ""), |s| (s.metric.as_str(), s.split.as_str()));
        columns.push(format!("{task} ({metric}, {split})"));
    }
    let area = |task: &String| match settings.iter().find(|s| s.task == *task) {
        Some(setting) if !setting.area.is_empty() => setting.area.clone(),
        _ => "other".into(),
    };
    let areas = match settings.iter().any(|s| !s.area.is_empty()) {
        true => distinct(tasks.iter().map(area)),
        false => Vec::new(),
    };
    columns.extend(areas.iter().map(|area| format!("{area} (mean)")));
    columns.push(if areas.is_empty() { "mean".into() } else { "mean of areas".into() });
    let seeds_of = |task: &String| {
        let of_task = settings.iter().filter(|s| s.task == *task);
        of_task.map(|s| s.seeds.len()).max().unwrap_or_default()
    };
    let mut rows = Vec::new();
    for group in &groups {
        let (mut cells, mut means, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for task in &tasks {
            let fitting = settings.iter().filter(|s| s.group == *group && s.task == *task);
            let Some(chosen) = best(fitting) else {
                cells.push("-".to_string());
                continue;
            };
            let (mean, error) = chosen.mean();
            // Errors are in the unit of their data, which has no mean with others.
            means.extend((!chosen.is_error()).then_some(mean));
            shares.push(100.0 * chosen.trained / chosen.base_parameters);
            let error = error.map_or(String::new(), |e| format!(" ±{}", chosen.shown(e)));
            // A mean that lacks seeds which others have is not to be taken for one like theirs.
            let (seeds, most) = (chosen.seeds.len(), seeds_of(task));
            let few = match seeds {
                _ if seeds == most => String::new(),
                1 => " (1 seed)".into(),
                _ => format!(" ({seeds} seeds)"),
            };
            cells.push(format!("{}{error}{few}", chosen.shown(mean)));
        }
        let complete = means.len() == tasks.len();
        let per_area: Vec<f64> = areas
            .iter()
            .filter(|_| complete)
            .map(|wanted| {
                let of_area = tasks.iter().zip(&means).filter(|(t, _)| area(t) == *wanted);
                mean_and_error(&of_area.map(|(_, mean)| *mean).collect::<Vec<_>>()).0
            })
            .collect();
        let mut row = vec![group.clone(), format!("{:.2} %", mean_and_error(&shares).0)];
        row.extend(cells);
        let per_cent = |mean: f64| format!("{:.1}", 100.0 * mean);
        if complete {
            row.extend(per_area.iter().map(|mean| per_cent(*mean)));
            let over = if areas.is_empty() { &means } else { &per_area };
            row.push(per_cent(mean_and_error(over).0));
        } else {
            row.extend(std::iter::repeat_n("-".to_string(), areas.len() + 1));
        }
        rows.push(row);
    }
    let all: Vec<&Setting> = settings.iter().collect();
    let mut caption = caption(&all);
    caption.push("of each method, the setting with the best validation score; trained: share of the base's parameters, mean over tasks".into());
    Table { columns, rows, caption }
}

impl Table {
    /// As CSV.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for row in [&self.columns].into_iter().chain(&self.rows) {
            out.write_record(row)?;
        }
        out.into_inner().map_err(|e| e.into_error().into())
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let escaped: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", escaped.join(" | "))
        };
        let mut out = line(&self.columns);
        out += &format!("|{}\n", "---|".repeat(self.columns.len()));
        self.rows.iter().for_each(|row| out += &line(row));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(task: &str, area: &str, group: &str, score: f64) -> Setting {
        Setting {
            task: task.into(),
            area: area.into(),
            group: group.into(),
            method: group.into(),
            method_in_force: group.into(),
            metric: "accuracy".into(),
            split: "test".into(),
            data: String::new(),
            rate: 1e-3,
            trained: 10.0,
            base_parameters: 1000.0,
            base: ("a base".into(), "f32".into()),
            seeds: vec![0],
            dev: Vec::new(),
            scores: vec![score],
            ablations: Vec::new(),
        }
    }

    /// VTAB's mean is that of its three groups' means: with 2, 1 and 1 tasks it is not that of the
    /// tasks.
    #[test]
    fn the_mean_is_of_the_areas_where_there_are_some() {
        let tasks = [
            ("a", "natural", 0.9),
            ("b", "natural", 0.7),
            ("c", "special", 0.5),
            ("d", "structured", 0.3),
        ];
        let of = |areas: bool| -> Vec<Setting> {
            let one = |(task, area, score): (&str, &str, f64)| {
                setting(task, if areas { area } else { "" }, "m", score)
            };
            tasks.into_iter().map(one).collect()
        };
        let with = table(&of(true));
        let names = ["natural (mean)", "special (mean)", "structured (mean)", "mean of areas"];
        assert_eq!(with.columns[6..], names);
        assert_eq!(with.rows[0][6..], ["80.0", "50.0", "30.0", "53.3"]);
        let without = table(&of(false));
        assert_eq!(without.columns[6..], ["mean"]);
        assert_eq!(without.rows[0][6..], ["60.0"]);
        // Errors are in a unit: the least is the best, there is no per cent and no mean.
        let error = |dev: f64, score: f64| Setting {
            metric: "rmse".into(),
            dev: vec![dev],
            ..setting("e", "", "m", score)
        };
        let mut mixed = of(false);
        mixed.extend([error(304.0, 310.0), error(2.0, 2.5), error(7.0, 8.0)]);
        assert_eq!(table(&mixed).rows[0][2..], ["90.0", "70.0", "50.0", "30.0", "2.5000", "-"]);
        assert_eq!(table(&[error(1e-9, 2e-9)]).rows[0][2..], ["2.000e-9", "-"]);
        // A name with a bar is one cell.
        let bar = table(&[setting("a", "", "m|n", 0.5)]).markdown();
        assert!(bar.ends_with("| m\\|n | 1.00 % | 50.0 | 50.0 |\n"), "{bar}");
        // A method that lacks a task has no mean.
        let mut some = of(true);
        some.push(setting("a", "natural", "other method", 0.1));
        assert_eq!(table(&some).rows[1][6..], ["-", "-", "-", "-"]);
    }
}
