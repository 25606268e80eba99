//! Data sets whose files have a layout of their own, by name: `glue:CoLA=FOLDER`, `trec=FOLDER`.

use std::path::{Path, PathBuf};

use crate::read::{Encoding, ReadOptions, Row, Table, bytes, conll, squad, table, text};
use crate::{ColumnChoice, Error};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What chooses.
    Dev,
    /// What is reported.
    Test,
}

impl Split {
    /// `train`, `dev` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }
}

/// A data set with a layout of its own.
pub struct Layout {
    /// Its name on the command line.
    pub name: &'static str,
    /// Name of the task in records.
    pub task: &'static str,
    /// Kind of the task.
    pub kind: &'static str,
    /// Classes in the order that its papers use; empty for the order of their names.
    pub labels: &'static [&'static str],
    /// Names of the files of each split, the first that is there is taken.
    files: [&'static [&'static str]; 3],
    /// Number of columns of a file without a header, and which are texts and label, from 1.
    headless: Option<(usize, &'static [&'static str], &'static str)>,
    /// Texts and label of a file with a header.
    headed: (&'static [&'static str], &'static str),
    /// Reads a file that is no table, into the columns of `headed`.
    reader: Option<Reader>,
}

type Reader = fn(&Path) -> Result<Table, Error>;

const TRAIN: &[&str] = &["train.tsv", "train.csv"];
const DEV: &[&str] = &["dev.tsv", "dev.csv", "dev_matched.tsv"];
const TEST: &[&str] = &["test.tsv", "test.csv"];

/// All layouts: GLUE's files as GLUE ships them, with or without their headers, TREC, SQuAD 1.1, and words with tags.
pub const LAYOUTS: &[Layout] = &[
    glue("glue:CoLA", "cola", &[], Some((4, &["4"], "2")), (&["sentence"], "label")),
    glue("glue:SST-2", "sst-2", &[], None, (&["sentence"], "label")),
    glue("glue:MRPC", "mrpc", &[], None, (&["#1 String", "#2 String"], "Quality")),
    Layout {
        kind: "regression",
        ..glue(
            "glue:STS-B",
            "sts-b",
            &[],
            Some((3, &["1", "2"], "3")),
            (&["sentence1", "sentence2"], "score"),
        )
    },
    glue("glue:QQP", "qqp", &[], None, (&["question1", "question2"], "is_duplicate")),
    glue(
        "glue:MNLI",
        "mnli",
        &["entailment", "neutral", "contradiction"],
        None,
        (&["sentence1", "sentence2"], "gold_label"),
    ),
    glue(
        "glue:QNLI",
        "qnli",
        &["entailment", "not_entailment"],
        None,
        (&["question", "sentence"], "label"),
    ),
    glue(
        "glue:RTE",
        "rte",
        &["entailment", "not_entailment"],
        None,
        (&["sentence1", "sentence2"], "label"),
    ),
    glue("glue:WNLI", "wnli", &[], None, (&["sentence1", "sentence2"], "label")),
    Layout {
        name: "trec",
        task: "trec",
        kind: "classification",
        labels: &[],
        files: [&["TREC.train", "train_5500.label"], &[], &["TREC.test", "TREC_10.label"]],
        headless: None,
        headed: (&["text"], "label"),
        reader: Some(trec),
    },
    Layout {
        name: "squad",
        task: "squad",
        kind: "question-answering",
        labels: &[],
        files: [&["train-v1.1.json"], &["dev-v1.1.json"], &["test-v1.1.json"]],
        headless: None,
        headed: (&["question", "context"], "answers"),
        reader: Some(|path| squad::read(path, &text(path, bytes(path)?, Encoding::Utf8)?)),
    },
    Layout {
        name: "conll",
        task: "conll",
        kind: "token-classification",
        labels: &[],
        files: [
            &["train.conll", "train.txt", "eng.train"],
            &["dev.conll", "valid.conll", "dev.txt", "valid.txt", "eng.testa"],
            &["test.conll", "test.txt", "eng.testb"],
        ],
        headless: None,
        headed: (&["tokens"], "tags"),
        reader: Some(|path| conll::read(path, bytes(path)?, ReadOptions::default())),
    },
];

const fn glue(
    name: &'static str,
    task: &'static str,
    labels: &'static [&'static str],
    headless: Option<(usize, &'static [&'static str], &'static str)>,
    headed: (&'static [&'static str], &'static str),
) -> Layout {
    Layout {
        name,
        task,
        kind: "classification",
        labels,
        files: [TRAIN, DEV, TEST],
        headless,
        headed,
        reader: None,
    }
}

impl Layout {
    /// The layout of that name, in any capitals.
    pub fn find(name: &str) -> Option<&'static Layout> {
        LAYOUTS.iter().find(|l| l.name.eq_ignore_ascii_case(name))
    }

    /// The file of a split, if it is there; a file given in the folder's place is that of any split.
    pub fn file(&self, folder: &Path, split: Split) -> Option<PathBuf> {
        if folder.is_file() {
            return Some(folder.into());
        }
        self.files[split as usize].iter().map(|f| folder.join(f)).find(|f| f.exists())
    }

    /// The rows of a file with the columns that matter.
    ///
    /// # Errors
    /// If the file is not of this layout.
    pub fn read(&self, path: &Path) -> Result<(Table, ColumnChoice), Error> {
        let choice = |(texts, label): (&[&str], &str)| ColumnChoice {
            texts: texts.iter().map(ToString::to_string).collect(),
            label: Some(label.to_string()),
            image: None,
        };
        if let Some(reader) = self.reader {
            return Ok((reader(path)?, choice(self.headed)));
        }
        let headed = table(path, ReadOptions::default());
        if let Ok(table) = &headed
            && table.columns.iter().any(|c| c.eq_ignore_ascii_case(self.headed.0[0]))
        {
            return Ok((headed?, choice(self.headed)));
        }
        let Some((columns, texts, label)) = self.headless else {
            let columns = headed?.columns.join(", ");
            let message = format!(
                "is not a file of {}: it has no column '{}'. Its columns are: {columns}",
                self.name, self.headed.0[0]
            );
            return Err(Error::file(path, message));
        };
        let table = table(path, ReadOptions { header: false, ..ReadOptions::default() })?;
        if table.columns.len() != columns {
            let message = format!(
                "is not a file of {}: {columns} columns are expected, {} found",
                self.name,
                table.columns.len()
            );
            return Err(Error::file(path, message));
        }
        Ok((table, choice((texts, label))))
    }
}

/// Li and Roth's question classes: `COARSE:fine question`, in ISO 8859-1. The coarse class is the label.
fn trec(path: &Path) -> Result<Table, Error> {
    let text = text(path, bytes(path)?, Encoding::Latin1)?;
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let parts = line.split_once(' ').and_then(|(l, q)| Some((l.split_once(':')?.0, q)));
        let (label, question) = parts
            .ok_or_else(|| Error::row(path, i + 1, "is not of the form 'COARSE:fine question'"))?;
        rows.push(Row { number: i + 1, cells: vec![label.into(), question.trim().into()] });
    }
    Ok(Table { path: path.into(), columns: vec!["label".into(), "text".into()], rows })
}
