//! The table of methods by tasks.

use budwood_base::statistics::mean_and_error;

use crate::Setting;
use crate::setting::{best, caption, distinct};

/// Methods by tasks; scores in per cent.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the tasks with metric and split, before them the method and the parameters that it trains, after them the mean.
    pub columns: Vec<String>,
    /// A row for each method.
    pub rows: Vec<Vec<String>>,
    /// What the runs are.
    pub caption: Vec<String>,
}

/// For each group of methods and task, the mean test score (validation where there is no test) of the
/// setting with the best validation score, with its standard error over seeds.
pub fn table(settings: &[Setting]) -> Table {
    let tasks = distinct(settings.iter().map(|s| s.task.clone()));
    let groups = distinct(settings.iter().map(|s| s.group.clone()));
    let mut columns = vec!["method".to_string(), "trained".to_string()];
    for task in &tasks {
        let first = settings.iter().find(|s| s.task == *task);
        let (metric, split) = first.map_or(("", ""), |s| (s.metric.as_str(), s.split.as_str()));
        columns.push(format!("{task} ({metric}, {split})"));
    }
    columns.push("mean".into());
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
            means.push(mean);
            shares.push(100.0 * chosen.trained / chosen.base_parameters);
            let error = error.map_or(String::new(), |e| format!(" ±{:.1}", 100.0 * e));
            cells.push(format!("{:.1}{error}", 100.0 * mean));
        }
        let complete = means.len() == tasks.len();
        let mut row = vec![group.clone(), format!("{:.2} %", mean_and_error(&shares).0)];
        row.extend(cells);
        row.push(if complete {
            format!("{:.1}", 100.0 * mean_and_error(&means).0)
        } else {
            "-".into()
        });
        rows.push(row);
    }
    let all: Vec<&Setting> = settings.iter().collect();
    let mut caption = caption(&all);
    caption.push("of each method, the setting with the best validation score; trained: share of the base's parameters, mean over tasks".into());
    Table { columns, rows, caption }
}

impl Table {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut out = line(&self.columns);
        out += &format!("|{}\n", "---|".repeat(self.columns.len()));
        self.rows.iter().for_each(|row| out += &line(row));
        out
    }
}
