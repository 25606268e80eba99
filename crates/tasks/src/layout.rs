//! Data sets whose files have a layout of their own, by name: `glue:CoLA=FOLDER`, `trec=FOLDER`.

use std::path::{Path, PathBuf};

use crate::read::{Encoding, Form, ReadOptions, Table, conll, squad, table, text, unpacked};
use crate::{Cell, ColumnChoice, Error};

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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

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
    /// Reads a file that is not a table, into the columns of `headed`.
    reader: Option<Reader>,
}

type Reader = fn(&Path, Option<u64>) -> Result<Table, Error>;

const TRAIN: &[&str] = &["train.tsv", "train.csv"];
const DEV: &[&str] = &["dev.tsv", "dev.csv", "dev_matched.tsv"];
const TEST: &[&str] = &["test.tsv", "test.csv"];

/// All layouts: GLUE's files as GLUE ships them, with or without their headers, TREC, SQuAD, and
/// words with tags.
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
        files: [
            &["train-v1.1.json", "train-v2.0.json"],
            &["dev-v1.1.json", "dev-v2.0.json"],
            &["test-v1.1.json", "test-v2.0.json"],
        ],
        headless: None,
        headed: (&["question", "context"], "answers"),
        reader: Some(squad),
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
        reader: Some(|path, max| conll::read(path, unpacked(path, max)?, ReadOptions::default())),
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

    /// The file of a split, if it is there; a file given in the folder's place is that of any
    /// split.
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
    pub fn read(&self, path: &Path, max: Option<u64>) -> Result<(Table, ColumnChoice), Error> {
        let choice = |(texts, label): (&[&str], &str)| ColumnChoice {
            texts: texts.iter().map(ToString::to_string).collect(),
            labels: vec![label.to_string()],
            image: None,
        };
        if let Some(reader) = self.reader {
            return Ok((reader(path, max)?, choice(self.headed)));
        }
        // In the tables of papers a tab stands in .tsv and a comma in .csv, whatever else the texts
        // hold.
        let comma = path.extension().is_some_and(|e| e == "csv").then_some(b',');
        let options = ReadOptions { max_unpacked: max, separator: comma, ..ReadOptions::default() };
        let headed = table(path, options);
        if let Ok(table) = &headed
            && table.columns.iter().any(|c| c.name.eq_ignore_ascii_case(self.headed.0[0]))
        {
            let mut table = headed?;
            // What quotes mean in these files is known.
            table.notes.retain(|note| !note.contains("--tsv-quotes"));
            return Ok((table, choice(self.headed)));
        }
        let Some((columns, texts, label)) = self.headless else {
            let columns = headed?.names().join(", ");
            let message = format!(
                "is not a file of {}: it has no column '{}'. Its columns are: {columns}",
                self.name, self.headed.0[0]
            );
            return Err(Error::file(path, message));
        };
        let mut table = table(path, ReadOptions { header: false, ..options })?;
        table.notes.retain(|note| !note.contains("--tsv-quotes"));
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

fn squad(path: &Path, max: Option<u64>) -> Result<Table, Error> {
    let content = unpacked(path, max)?;
    let packed = content.packed;
    let (text, encoding) = text(path, content.bytes, None)?;
    let form = Form { name: "SQuAD's JSON", places: "question", packed, ..Form::default() };
    squad::read(path, Form { encoding: Some(encoding), ..form }, &text)
}

/// Li and Roth's question classes: `COARSE:fine question`, in ISO 8859-1. The coarse class is the
/// label.
fn trec(path: &Path, max: Option<u64>) -> Result<Table, Error> {
    let content = unpacked(path, max)?;
    let packed = content.packed;
    let (text, encoding) = text(path, content.bytes, Some(Encoding::WINDOWS_1252))?;
    let form = Form { name: "TREC's lines", places: "line", packed, ..Form::default() };
    let mut table = Table::new(path, Form { encoding: Some(encoding), ..form }, &["label", "text"]);
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let parts = line.split_once(' ').and_then(|(l, q)| Some((l.split_once(':')?.0, q)));
        match parts {
            Some((label, question)) => {
                table.push(i + 1, [Cell::from(label), question.trim().into()])
            }
            None => {
                table.bad.push(i as u32 + 1, || "is not of the form 'COARSE:fine question'".into())
            }
        }
    }
    Ok(table)
}
