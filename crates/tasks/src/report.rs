//! What data hold, for people and programs: `train` prints the short form, `budwood data` all of
//! it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use serde_json::{Value, json};

use crate::dataset::Rows;
use crate::read::{Column, Form};
use crate::task::Task;
use crate::{Dataset, Example, Input, Opened, Target, literal};

/// What data hold.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DataReport {
    /// The file or folder, as the user wrote it.
    pub source: String,
    /// What the file is.
    pub form: Form,
    /// Its columns.
    pub columns: Vec<ColumnReport>,
    /// Kind of the task.
    pub task: String,
    /// Why it is that.
    pub why: String,
    /// Examples that can be used.
    pub rows: usize,
    /// Rows that were left out.
    pub left_out: u64,
    /// Why the first of them were.
    pub left_out_rows: Vec<String>,
    /// Classes, labels or tags with the number of rows, or of words, that have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassCount>,
    /// The numbers of a regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Questions whose text holds no answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_answer: usize,
    /// Rows whose text is empty.
    pub empty_texts: usize,
    /// Rows that repeat an earlier one, label included.
    pub repeated: usize,
    /// Rows with the text of an earlier one and another label.
    pub contradictory: usize,
    /// The first of those texts.
    pub contradictions: Vec<String>,
    /// Examples of each split.
    pub splits: Vec<SplitCount>,
    /// Lengths of texts in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<Lengths>,
    /// Lengths of texts in words between blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Lengths>,
    /// Lengths in tokens of a model, where one is known, special ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Lengths>,
    /// What was noticed.
    pub notes: Vec<String>,
    /// The first examples as they are read.
    pub examples: Vec<Value>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// What it holds, in words.
    pub holds: String,
    /// Rows in which it is empty or missing.
    pub missing: usize,
    /// `text`, `first text`, `second text`, `label` or `image`, if it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<&'static str>,
}

/// A class with its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Rows that have it; of tags, words.
    pub rows: usize,
}

/// A split with its examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCount {
    /// `train`, `dev` or `test`.
    pub split: &'static str,
    /// Its examples.
    pub rows: usize,
    /// Those whose text stands in the training data too.
    pub in_training: usize,
}

/// Numbers to be predicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// The least.
    pub least: f32,
    /// Their mean.
    pub mean: f64,
    /// The standard deviation around it.
    pub deviation: f64,
    /// The largest.
    pub largest: f32,
}

impl Numbers {
    /// Of the targets of examples; none where there are no numbers.
    pub fn of(examples: &[Example]) -> Option<Self> {
        let values = || {
            examples
                .iter()
                .filter_map(|e| if let Target::Value(v) = e.target { Some(v) } else { None })
        };
        let n = values().count() as f64;
        let least = values().reduce(f32::min)?;
        let largest = values().reduce(f32::max)?;
        let mean = values().map(f64::from).sum::<f64>() / n;
        let variance = values().map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        Some(Self { least, mean, deviation: variance.sqrt(), largest })
    }
}

/// Lengths at 50, 95 and 100 per cent of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// Half of the rows are as long at most.
    pub half: usize,
    /// 95 per cent of the rows are.
    pub most: usize,
    /// The longest.
    pub longest: usize,
}

impl Lengths {
    /// Of all rows; none where there is none.
    pub fn of(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let at = |share: f64| {
            let place = (lengths.len() as f64 * share).ceil() as usize;
            lengths.get(place.saturating_sub(1)).copied()
        };
        Some(Self { half: at(0.5)?, most: at(0.95)?, longest: at(1.0)? })
    }
}

/// Examples that are shown.
const SHOWN: usize = 10;

impl DataReport {
    /// On examples, before they are divided.
    pub(crate) fn new(data: &Rows, task: &Task, labels: &[String]) -> Self {
        let examples = &data.examples;
        let mut report = Self {
            source: data.source.clone(),
            task: task.name.into(),
            rows: examples.len(),
            left_out: data.left_out,
            left_out_rows: data.skipped.iter().take(SHOWN).cloned().collect(),
            classes: class_counts(examples, labels),
            numbers: Numbers::of(examples),
            examples: examples.iter().take(SHOWN).map(|e| shown(e, labels)).collect(),
            ..Self::default()
        };
        let none = |e: &&Example| matches!(&e.target, Target::Answers(a) if a.is_empty());
        report.without_answer = examples.iter().filter(none).count();
        report.empty_texts = examples.iter().filter(|e| is_empty(&e.input)).count();
        let is_text = |e: &&Example| !matches!(e.input, Input::Image(_));
        let count = |of: fn(&str) -> usize| {
            let texts = examples.iter().filter(is_text);
            Lengths::of(texts.map(|e| length(&e.input, of)).collect())
        };
        // Both go through all texts.
        std::thread::scope(|scope| {
            let lengths = scope.spawn(|| (count(|text| text.chars().count()), count(words)));
            report.repeat(examples);
            (report.characters, report.words) = lengths.join().unwrap_or_default();
        });
        report
    }

    /// Counts rows that occur before.
    fn repeat(&mut self, examples: &[Example]) {
        let mut first: HashMap<u64, usize> = HashMap::with_capacity(examples.len());
        for (i, example) in examples.iter().enumerate() {
            let before = *first.entry(key(&example.input)).or_insert(i);
            if before == i {
                continue;
            }
            if examples[before].target == example.target {
                self.repeated += 1;
                continue;
            }
            self.contradictory += 1;
            if self.contradictions.len() < SHOWN {
                let cells = example.input.cells();
                let text = cells.iter().map(|(_, cell)| &**cell).collect::<Vec<_>>().join(" | ");
                self.contradictions.push(text.chars().take(80).collect());
            }
        }
    }

    /// Notes how the examples are divided, and what stands in several parts.
    pub(crate) fn parts(&mut self, train: &Dataset, dev: Option<&Dataset>, test: Option<&Dataset>) {
        let known: std::collections::HashSet<u64> = match (dev, test) {
            (None, None) => Default::default(),
            _ => train.examples.iter().map(|e| key(&e.input)).collect(),
        };
        let count = |split, data: &Dataset| {
            let there = data.examples.iter().filter(|e| known.contains(&key(&e.input))).count();
            SplitCount { split, rows: data.examples.len(), in_training: there }
        };
        self.splits =
            vec![SplitCount { split: "train", rows: train.examples.len(), in_training: 0 }];
        self.splits.extend(dev.map(|d| count("dev", d)));
        self.splits.extend(test.map(|t| count("test", t)));
    }

    /// The facts that `train` prints, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Form { name, packed, encoding, separator, .. } = self.form;
        if !name.is_empty() {
            let rest = [packed, encoding, separator].into_iter().flatten();
            lines.push(format!(
                "file: {}",
                [name].into_iter().chain(rest).collect::<Vec<_>>().join(", ")
            ));
        }
        let used = |c: &ColumnReport| c.used.map(|used| format!("{used} '{}'", c.name));
        let columns: Vec<String> = self.columns.iter().filter_map(used).collect();
        let unused: Vec<&str> =
            self.columns.iter().filter(|c| c.used.is_none()).map(|c| c.name.as_str()).collect();
        if !columns.is_empty() {
            let shown = |n: &&str| if n.is_empty() { "(no name)".into() } else { n.to_string() };
            let mut others = unused.iter().take(10).map(shown).collect::<Vec<_>>().join(", ");
            if unused.len() > 10 {
                others += ", ...";
            }
            let others = if unused.is_empty() { others } else { format!(" (not used: {others})") };
            lines.push(format!("columns: {}{others}", columns.join(", ")));
        }
        lines.push(format!("task: {}, because {}", self.task, self.why));
        if !self.classes.is_empty() {
            let count = |c: &ClassCount| format!("{} {}", c.name, c.rows);
            let mut shown: Vec<String> = self.classes.iter().take(10).map(count).collect();
            if self.classes.len() > 10 {
                shown.push(format!("and {} more", self.classes.len() - 10));
            }
            lines.push(format!("classes: {}", shown.join(", ")));
        }
        if let Some(Numbers { least, mean, deviation, largest }) = self.numbers {
            lines.push(format!(
                "numbers: from {least} to {largest}, mean {mean:.4}, standard deviation {deviation:.4}"
            ));
        }
        let share = |n: usize| 100.0 * n as f64 / self.rows.max(1) as f64;
        let input = if self.task == "image-classification" { "image" } else { "text" };
        let other = format!("with the {input} of another and another label");
        let facts = [
            ("without an answer in their text", self.without_answer),
            ("with an empty text", self.empty_texts),
            ("repeated", self.repeated),
            (&other, self.contradictory),
        ];
        let facts = facts.into_iter().filter(|(_, n)| *n > 0);
        let facts: Vec<String> =
            facts.map(|(what, n)| format!("{n} {what} ({:.1} %)", share(n))).collect();
        if !facts.is_empty() {
            lines.push(format!("rows: {} of {}", facts.join(", "), self.rows));
        }
        for split in self.splits.iter().filter(|s| s.in_training > 0) {
            let SplitCount { split, rows, in_training } = split;
            lines.push(format!(
                "{in_training} of the {rows} {split} rows have the {input} of a training row"
            ));
        }
        lines.extend(self.notes.iter().map(|n| format!("note: {n}")));
        lines
    }
}

/// Words between blanks of ASCII.
fn words(text: &str) -> usize {
    let (mut words, mut inside) = (0, false);
    for byte in text.bytes() {
        let blank = byte.is_ascii_whitespace();
        words += usize::from(!blank && !inside);
        inside = !blank;
    }
    words
}

/// An input by its content.
fn key(input: &Input) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.parts().hash(&mut hasher);
    hasher.finish()
}

fn is_empty(input: &Input) -> bool {
    match input {
        Input::Text(text) => text.trim().is_empty(),
        Input::Pair(a, b) => a.trim().is_empty() || b.trim().is_empty(),
        Input::Question { question, context, .. } => {
            question.is_empty() || context.trim().is_empty()
        }
        Input::Words(words) => words.is_empty(),
        Input::Image(_) => false,
    }
}

/// The length of an input, where `of` is that of a text.
fn length(input: &Input, of: fn(&str) -> usize) -> usize {
    match input {
        Input::Text(text) => of(text),
        Input::Pair(a, b) => of(a) + of(b),
        Input::Question { question, context, .. } => of(question) + of(context),
        Input::Words(words) => words.iter().map(|w| of(w)).sum(),
        Input::Image(_) => 0,
    }
}

fn class_counts(examples: &[Example], labels: &[String]) -> Vec<ClassCount> {
    let mut counts = vec![0usize; labels.len()];
    for example in examples {
        match &example.target {
            Target::Class(c) => counts[*c as usize] += 1,
            Target::Labels(holds) => {
                counts.iter_mut().zip(holds).for_each(|(n, h)| *n += usize::from(*h > 0.0));
            }
            Target::Tags(tags) => tags.iter().for_each(|t| counts[*t as usize] += 1),
            Target::Value(_) | Target::Answers(_) | Target::None => {}
        }
    }
    let count = |(name, rows): (&String, usize)| ClassCount { name: name.clone(), rows };
    labels.iter().zip(counts).map(count).collect()
}

/// An example as people read it.
fn shown(example: &Example, labels: &[String]) -> Value {
    let mut object = serde_json::Map::new();
    for (name, cell) in example.input.cells() {
        object.insert(name.into(), json!(cell));
    }
    let name = |class: u32| labels.get(class as usize).map_or("", String::as_str);
    let label = match &example.target {
        Target::Class(c) => json!(name(*c)),
        Target::Labels(holds) => {
            (0u32..).zip(holds).filter(|(_, h)| **h > 0.0).map(|(l, _)| name(l)).collect()
        }
        Target::Value(v) => json!(v),
        Target::Answers(answers) => answers.iter().map(|a| a.text.as_str()).collect(),
        Target::Tags(tags) => tags.iter().map(|t| name(*t)).collect(),
        Target::None => Value::Null,
    };
    object.insert("label".into(), label);
    Value::Object(object)
}

/// What the columns of a file hold.
pub(crate) fn column_reports(opened: &Opened) -> Vec<ColumnReport> {
    let columns = opened.columns();
    let of = |(i, column): (usize, &Column)| {
        let used = match () {
            () if columns.texts == [i] => Some("text"),
            () if columns.texts.first() == Some(&i) => Some("first text"),
            () if columns.texts.contains(&i) => Some("second text"),
            () if columns.labels.contains(&i) => Some("label"),
            () if columns.image == Some(i) => Some("image"),
            () => None,
        };
        let missing = column.cells.iter().filter(|c| c.is_empty()).count();
        ColumnReport { name: column.name.clone(), holds: holds(column), missing, used }
    };
    opened.table().columns.iter().enumerate().map(of).collect()
}

/// What a column holds, in words; texts that are all numbers or lists are called so.
fn holds(column: &Column) -> String {
    use crate::Cell;
    let mut kinds: Vec<&'static str> = Vec::new();
    let mut is_text = false;
    for cell in column.cells.iter().filter(|c| !c.is_empty()) {
        let kind = match cell {
            // One word settles a column of texts.
            Cell::Text(_) if is_text => continue,
            Cell::Text(text) => match cell.number() {
                Some(x) if x.fract() == 0.0 && !text.contains(['.', 'e', 'E']) => "whole number",
                Some(_) => "number",
                None if cell.truth().is_some() => "true or false",
                None if literal::looks_like(text) && literal::parse(text).is_ok() => {
                    "list or dictionary as text"
                }
                None => {
                    is_text = true;
                    "text"
                }
            },
            other => other.kind(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    // Of a column of texts, it does not matter that some look like numbers.
    let typed = |k: &&str| {
        !["whole number", "number", "true or false", "list or dictionary as text"].contains(k)
    };
    if is_text && kinds.iter().all(|k| *k == "text" || !typed(k)) {
        kinds = vec!["text"];
    }
    if kinds == ["whole number", "number"] || kinds == ["number", "whole number"] {
        kinds = vec!["number"];
    }
    let names =
        column.names.as_ref().map_or(String::new(), |n| format!(", with {} names", n.len()));
    match kinds.is_empty() {
        true => "nothing".into(),
        false => kinds.join(" and ") + &names,
    }
}
