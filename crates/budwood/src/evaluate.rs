//! Scores of an adapter on data whose right answers are known.

use std::collections::BTreeMap;

use budwood_base::record::Prediction;
use budwood_base::statistics::{exchanged, mcnemar, sign_flips};
use budwood_model::Targets;
use budwood_tasks::metric::classes::confusion as counted;
use budwood_tasks::read::Table;
use budwood_tasks::{Cell, Dataset, Split, task};
use budwood_train::recipe::{Calibration, Covered, accuracy_over_coverage};
use budwood_train::{Answers, Judged, Score};

use crate::answer::answered;
use crate::reader::Reader;
use crate::run::source_named;
use crate::spec::{ColumnSpec, ReadLimits};
use crate::{Adapter, Error, Notice};

/// Which data an adapter is scored on.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalSpec {
    /// A file, LAYOUT=FOLDER, or the name of a data set of a package.
    pub data: String,
    /// Split of a layout.
    pub split: Split,
    /// How files are read and where the columns are; those that are not named are the adapter's.
    pub columns: ColumnSpec,
    /// How large files may be.
    pub limits: ReadLimits,
    /// Further columns of a table, by which scores may be shown.
    pub slices: Vec<String>,
}

/// Data as an adapter reads them, with their right answers.
pub struct Labelled {
    /// The examples, and the rows that were left out.
    pub data: Dataset,
    /// What should be known of how the files were read.
    pub notes: Vec<String>,
    /// The further columns that were asked for: names, and a value for each example.
    pub slices: Vec<(String, Vec<String>)>,
}

/// The scores of an adapter on labelled examples.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// All scores that fit the task; not a number where one is undefined on these examples.
    pub scores: Vec<Score>,
    /// Of several labels with thresholds of their own: all scores at 0.5 for each.
    pub without_thresholds: Option<Vec<Score>>,
    /// The answer to each example in words, beside the right one.
    pub predictions: Vec<Prediction>,
    /// Examples that were longer than the adapter reads, and were cut.
    pub truncated: usize,
    /// For classes, up to 1,000 of them: rows by right class and by given class.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// For classes: how far probabilities can be trusted.
    pub calibration: Option<Calibration>,
    /// For classes: the accuracy of the surest answers.
    pub coverage: Option<Vec<Covered>>,
    /// For classes: the probability of each class, for each example.
    pub probabilities: Option<Vec<Vec<f32>>>,
    /// Answers beside what they should be: what scores of a part of the examples are made from.
    pub judged: Judged,
    /// The probability that outputs which say nothing of these examples would look as good; none
    /// for answers to questions and tags of words.
    pub chance: Option<f64>,
    /// For classes: the probability that answers which are right no more often than the most
    /// frequent class would be right more often by as much. McNemar's test.
    pub chance_of_accuracy: Option<f64>,
    /// Tokens of each text before it was cut; of images nothing.
    pub tokens: Vec<usize>,
}

/// The probability above which answers may as well be those of nothing learned.
const CHANCE: f64 = 0.05;

impl Evaluation {
    /// Whether these examples show nothing of what was learned.
    pub fn shows_nothing(&self) -> bool {
        self.chance.is_some_and(|p| p > CHANCE)
    }

    /// Where something is shown: whether the answers are nevertheless right no more often than the
    /// most frequent class, as far as these examples say.
    pub fn is_no_oftener_right(&self) -> bool {
        !self.shows_nothing() && self.chance_of_accuracy.is_some_and(|p| p > CHANCE)
    }
}

impl Adapter {
    /// Names the columns of the texts or of the image that the adapter was trained on, where none
    /// is named.
    pub fn take_columns(&self, columns: &mut ColumnSpec) {
        let known = &self.meta().task.text_columns;
        match self.reader() {
            Reader::Texts(_) if columns.text_column.is_empty() => {
                columns.text_column.clone_from(known);
            }
            Reader::Images(..) if columns.image_column.is_none() => {
                columns.image_column = known.first().cloned();
            }
            _ => {}
        }
    }

    /// Reads labelled data for the adapter. `report` is told of data sets that are fetched.
    ///
    /// # Errors
    /// If the data cannot be found, fetched or read, or are not of the adapter's kind of task.
    pub fn read(
        &self,
        spec: &EvalSpec,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<Labelled, Error> {
        let mut columns = spec.columns.clone();
        let mut source = source_named(&columns, &spec.data, spec.limits, report)?;
        let meta = self.meta();
        if source.is_table() {
            self.take_columns(&mut columns);
            if columns.label_column.is_empty() {
                columns.label_column = match meta.task.label_column.as_str() {
                    // Several columns are named as the labels are.
                    "" if meta.task.kind == "multilabel" => meta.labels.clone(),
                    "" => Vec::new(),
                    one => vec![one.into()],
                };
            }
            source = source_named(&columns, &spec.data, spec.limits, report)?;
        }
        let task = task::find(&meta.task.kind)?;
        let mut opened = source.read_for(task).open(spec.split, task.is_labelled())?;
        opened.settle(Some(task))?;
        let columns = spec.slices.iter().map(|name| slice(opened.table(), name));
        let slices = columns.collect::<Result<Vec<_>, _>>()?;
        let (data, notes) = opened.examples(task, &meta.labels)?;
        if slices.iter().any(|(_, values)| values.len() != data.examples.len()) {
            let message = "needs an example of each row, and here rows make several or are left out; leave it out".into();
            return Err(Error::Setting { name: "slice", message });
        }
        Ok(Labelled { data, notes, slices })
    }

    /// Scores the adapter on examples whose right answers are known.
    ///
    /// # Errors
    /// [`Error::Input`] if the examples are not of the adapter's kind, or have no targets.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, Error> {
        for (row, example) in data.examples.iter().enumerate() {
            self.check(row, &example.input)?;
        }
        let (mut prepared, answers) = self.answers_for_scores(data)?;
        let (Some(targets), Some(judged)) =
            (&prepared.targets, budwood_train::judged(&answers, &prepared))
        else {
            return Err(Error::Input {
                row: 1,
                message: "has no right answer to compare with; give data with labels".into(),
            });
        };
        let labels = &self.meta().labels;
        let right = if let Targets::Classes(right) = targets { Some(right) } else { None };
        let all = |right: &Vec<u32>| (0..right.len()).map(|i| answers.probabilities(i)).collect();
        let probabilities: Option<Vec<Vec<f32>>> = right.map(all);
        let certainty = right.zip(probabilities.as_ref());
        let certainty = certainty.map(|(right, all)| certainty_of(&answers, right, all));
        let (calibration, coverage) = certainty.unzip();
        let confusion = right.and_then(|right| counted(&answers.classes(), right, labels.len()));
        let chance_of_accuracy = right.map(|right| beside_most_frequent(&answers.classes(), right));
        let predictions = answered(data, &prepared, &answers, labels);
        let every: Vec<usize> = (0..judged.len()).collect();
        let usual = match prepared.thresholds.is_empty() {
            true => None,
            false => {
                prepared.thresholds.clear();
                budwood_train::judged(&answers, &prepared)
            }
        };
        Ok(Evaluation {
            scores: judged.scores(&every),
            without_thresholds: usual.map(|usual| usual.scores(&every)),
            predictions,
            truncated: prepared.truncated,
            confusion,
            calibration,
            coverage,
            probabilities,
            chance: chance(&judged),
            chance_of_accuracy,
            judged,
            tokens: prepared.whole.clone(),
        })
    }
}

/// Draws of the tests.
const DRAWS: usize = 2000;

/// How likely outputs as good as these are if nothing was learned: with the classes exchanged among
/// the rows, or beside the mean, or the labels that most rows have, errors whose signs fall as
/// coins do.
fn chance(judged: &Judged) -> Option<f64> {
    let errors = |away: &[f64]| {
        if away.iter().sum::<f64>() < 0.0 { sign_flips(away, DRAWS, 0) } else { 1.0 }
    };
    match judged {
        Judged::Classes(outputs, right, _) | Judged::Images(outputs, right) => {
            Some(exchanged(outputs, right, DRAWS, 0))
        }
        Judged::Values(given, right) => {
            let mean = right.iter().map(|&y| f64::from(y)).sum::<f64>() / right.len() as f64;
            let square = |a: f64, b: f32| (a - f64::from(b)).powi(2);
            let away = |(x, y): (&f32, &f32)| square(f64::from(*x), *y) - square(mean, *y);
            Some(errors(&given.iter().zip(right).map(away).collect::<Vec<_>>()))
        }
        Judged::Labels(given, right, labels) => {
            let often = |l: &u32| 2 * right.iter().filter(|r| r.contains(l)).count() > right.len();
            let usual: Vec<u32> = (0..*labels as u32).filter(often).collect();
            let wrong = |a: &[u32], b: &[u32]| {
                let lacks = |a: &[u32], b: &[u32]| a.iter().filter(|l| !b.contains(l)).count();
                (lacks(a, b) + lacks(b, a)) as f64
            };
            let away = |(x, y): (&Vec<u32>, &Vec<u32>)| wrong(x, y) - wrong(&usual, y);
            Some(errors(&given.iter().zip(right).map(away).collect::<Vec<_>>()))
        }
        Judged::Answers(_) | Judged::Doubted(..) | Judged::Sentences(_) | Judged::Words(_) => None,
    }
}

/// McNemar's test of answers beside the most frequent class; 1 where they are not right more often.
fn beside_most_frequent(given: &[u32], right: &[u32]) -> f64 {
    let mut rows = BTreeMap::new();
    right.iter().for_each(|class| *rows.entry(*class).or_insert(0) += 1);
    let most = rows.into_iter().max_by_key(|(_, rows)| *rows).map(|(class, _)| class);
    let (mut better, mut worse) = (0, 0);
    for (given, right) in given.iter().zip(right) {
        better += u64::from(given == right && most != Some(*right));
        worse += u64::from(given != right && most == Some(*right));
    }
    if better > worse { mcnemar(better, worse) } else { 1.0 }
}

/// The values of a column of a table, in words.
fn slice(table: &Table, name: &str) -> Result<(String, Vec<String>), Error> {
    let Some(column) = table.columns.iter().find(|c| c.name == name) else {
        let message =
            format!("there is no column '{name}'; there are {}", table.names().join(", "));
        return Err(Error::Setting { name: "slice", message });
    };
    let value = |cell: &Cell| match cell {
        Cell::Absent | Cell::Missing => "(none)".to_string(),
        other => other.text().into_owned(),
    };
    Ok((name.into(), column.cells.iter().map(value).collect()))
}

/// How far probabilities can be trusted, and the accuracy of the surest answers.
fn certainty_of(answers: &Answers, right: &[u32], all: &[Vec<f32>]) -> (Calibration, Vec<Covered>) {
    let calibration = Calibration::of(all.iter().map(Vec::as_slice).zip(right.iter().copied()));
    let row = |(i, right): (usize, &u32)| {
        let class = answers.class(i);
        (all[i].get(class as usize).copied().unwrap_or(0.0), class == *right)
    };
    (calibration, accuracy_over_coverage(right.iter().enumerate().map(row).collect()))
}
