//! The data of a run: files that are read, checked and split, with a report on what they hold.

use crate::damage;
use crate::layout::Split;
use crate::metric::entities::goes_on_with_nothing;
use crate::report::{DataReport, column_reports};
use crate::task::{self, Task};
use crate::{DataSource, Dataset, Error, Example, Target};

/// Which data, and how they are divided.
pub struct DataRequest {
    /// What is trained on.
    pub train: DataSource,
    /// What chooses; without it the layout's own, or a share of the training data.
    pub dev: Option<DataSource>,
    /// What is reported.
    pub test: Option<DataSource>,
    /// Whether the layout's own test split is reported.
    pub test_of_layout: bool,
    /// Share of the training data kept for validation where there is none.
    pub dev_share: f64,
    /// Training rows below which no such share is kept: something else takes its place.
    pub dev_share_from: usize,
    /// Share of the training data kept for a test where there is none.
    pub test_share: f64,
    /// Seed of what the shares choose.
    pub split_seed: u64,
    /// So many training rows are used, chosen at random.
    pub train_rows: Option<usize>,
    /// Kind of task; by default as the labels say.
    pub task: Option<String>,
}

/// The data of a run.
pub struct Data {
    /// Kind of the task.
    pub task: &'static Task,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// What is trained on.
    pub train: Dataset,
    /// What chooses.
    pub dev: Option<Dataset>,
    /// What is reported.
    pub test: Option<Dataset>,
    /// Names of the columns of the texts or the image, and of the labels.
    pub columns: (Vec<String>, Vec<String>),
    /// What the files hold.
    pub report: DataReport,
}

impl Data {
    /// Rows and images that were left out of all files, the first thousand of each.
    pub fn skipped(&self) -> Vec<String> {
        let all = [Some(&self.train), self.dev.as_ref(), self.test.as_ref()];
        all.into_iter().flatten().flat_map(|d| d.skipped.clone()).collect()
    }
}

impl DataRequest {
    /// Reads each file once, checks it and divides it.
    ///
    /// # Errors
    /// If a file cannot be read or does not fit, or nothing would be left to train on.
    pub fn read(&self) -> Result<Data, Error> {
        let (test_share, dev_share) = (self.test_share, self.dev_share);
        if !(test_share >= 0.0 && dev_share >= 0.0 && test_share + dev_share < 1.0) {
            let message = format!(
                "--dev-share {dev_share} and --test-share {test_share} leave nothing to train on"
            );
            return Err(Error::Usage(message));
        }
        let chosen = self.task.as_deref().map(task::find).transpose()?;
        let labelled = chosen.is_none_or(|task| task.labelled);
        let mut opened = self.train.open(Split::Train, labelled)?;
        let (task, why) = opened.settle(chosen)?;
        let columns = opened.column_names();
        let form = opened.table().form.clone();
        let reports = column_reports(&opened);
        let labels = opened.labels(task)?;
        let (mut train, mut notes) = opened.rows(task, &labels)?;
        let given = |source: &DataSource, split, notes: &mut Vec<String>| {
            let mut opened = source.open(split, task.labelled)?;
            opened.settle(Some(task))?;
            let (data, more) = opened.examples(task, &labels)?;
            notes.extend(more.into_iter().map(|n| format!("{}: {n}", split.name())));
            Ok::<_, Error>(data)
        };
        let mut test = match &self.test {
            Some(source) => Some(given(source, Split::Test, &mut notes)?),
            None if self.test_of_layout && !self.train.has_splits() => {
                let message = "--test is for data whose layout has a test split; name the file with --test-data";
                return Err(Error::Usage(message.into()));
            }
            None if self.test_of_layout => Some(given(&self.train, Split::Test, &mut notes)?),
            None => None,
        };
        let mut dev = match &self.dev {
            Some(source) => Some(given(source, Split::Dev, &mut notes)?),
            None if self.train.has_splits() && self.train.has(Split::Dev) => {
                Some(given(&self.train, Split::Dev, &mut notes)?)
            }
            None => None,
        };
        notes.extend(damage::note(&train.examples));
        notes.extend(unbegun(&train.examples, &labels));
        let mut report = DataReport::new(&train, task, &labels);
        // Shares are of all rows, so that the test share is cut first.
        let test_share = if test.is_none() { test_share } else { 0.0 };
        let left = (train.examples.len() as f64 * (1.0 - test_share)) as usize;
        let few = self.train_rows.unwrap_or(usize::MAX).min(left) < self.dev_share_from;
        let few = few && !task.head.over_tokens();
        let dev_share = if dev.is_none() && !few { dev_share } else { 0.0 };
        if test_share > 0.0 {
            let (rest, part) = train.divide(test_share, self.split_seed, "test")?;
            notes.push(format!("test: {} of the training rows", part.examples.len()));
            (train, test) = (rest, Some(part.into_dataset()));
        }
        if dev_share > 0.0 {
            let (rest, part) =
                train.divide(dev_share / (1.0 - test_share), self.split_seed, "dev")?;
            notes.push(format!("validation: {} of the training rows", part.examples.len()));
            (train, dev) = (rest, Some(part.into_dataset()));
        }
        let mut train = train.into_dataset();
        if let Some(n) = self.train_rows {
            train = train.sample(n, self.split_seed);
        }
        report.parts(&train, dev.as_ref(), test.as_ref());
        report.form = form;
        report.columns = reports;
        report.why = why;
        report.notes = notes;
        Ok(Data { task, labels, train, dev, test, columns, report })
    }
}

/// A note on entities that begin with another mark than `B`, which is right in IOB1 and a fault
/// elsewhere.
fn unbegun(examples: &[Example], labels: &[String]) -> Option<String> {
    let (mut n, mut first) = (0, None);
    for (i, example) in examples.iter().enumerate() {
        let Target::Tags(tags) = &example.target else { return None };
        let mut before = None;
        for (word, &tag) in tags.iter().enumerate() {
            let tag = labels[tag as usize].as_str();
            if goes_on_with_nothing(before, tag) {
                n += 1;
                first = first.or(Some((i + 1, word + 1, tag.to_string())));
            }
            before = Some(tag);
        }
    }
    let (sentence, word, tag) = first?;
    Some(format!(
        "{n} entities of the training data begin without B- (the first in sentence {sentence}, word {word}: {tag}); they count as entities, as in IOB1"
    ))
}
