//! An adapter: predictions, scores, and its folder in other forms.

use std::collections::HashMap;
use std::path::PathBuf;

use budwood::answer::{Answer, AnswerOptions};
use budwood::reader::Reader;
use budwood::run::{FOLDER, cut, write_adapter};
use budwood::spec::ColumnSpec;
use budwood::{
    AdapterOptions, BaseOptions, EvalSpec, Evaluation, Export, ExportForm, Input, Labelled, Notice,
    read_named,
};
use budwood_base::head::HeadKind;
use budwood_formats::native::AdapterFolder;
use budwood_tasks::{AnswerLimits, Split, task};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList};
use serde_json::json;

use crate::base::{Base, PIECE, PIECE_OF_IMAGES, embedded};
use crate::cells::table;
use crate::errors::{raised, raised_at, warn_all};
use crate::export::{self, new_folder};
use crate::inputs::{Kind, inputs};

/// An adapter on its base.
#[pyclass(frozen)]
pub(crate) struct Adapter {
    own: budwood::Adapter,
    /// What is written and pickled: what computes holds its matrices in another form.
    folder: AdapterFolder,
}

impl Adapter {
    fn kind(&self) -> Kind {
        match self.own.meta().head.kind {
            HeadKind::QuestionAnswering => Kind::Questions,
            HeadKind::TokenClassification => Kind::Words,
            _ if matches!(self.own.reader(), Reader::Images(..)) => Kind::Images,
            _ => Kind::Texts,
        }
    }

    /// The answers to a list, piece by piece, so that Ctrl-C is heard; and what was cut, in words.
    fn answers(
        &self,
        py: Python<'_>,
        (name, values): (&str, &Bound<'_, PyList>),
        options: &AnswerOptions,
    ) -> PyResult<(Vec<Answer>, Option<String>)> {
        let kind = self.kind();
        self.check_name(name)?;
        let size = if kind == Kind::Images { PIECE_OF_IMAGES } else { PIECE };
        let mut rest = inputs(kind, name, values)?.into_iter();
        let (mut all, mut truncated) = (Vec::with_capacity(values.len()), 0);
        loop {
            let piece: Vec<Input> = rest.by_ref().take(size).collect();
            if piece.is_empty() {
                break;
            }
            let predicted = py.detach(|| self.own.predict_with(piece, options));
            let predicted = predicted.map_err(|e| raised_at(&e, all.len()))?;
            all.extend(predicted.answers);
            truncated += predicted.truncated;
            py.check_signals()?;
        }
        let what = cut(self.own.meta().head.kind, self.own.lengths());
        Ok((all, (truncated > 0).then(|| format!("{truncated} of {} {what}", values.len()))))
    }
}

#[pymethods]
impl Adapter {
    /// Opens a folder on a base, or without one the base that the folder names: then `open` is
    /// called with its name and the form of its weights.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        base: Option<&Bound<'_, PyAny>>,
        open: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let given = base.and_then(|b| b.cast::<Base>().ok()).map(|b| b.get().own.clone());
        let name: Option<String> = match (&given, base) {
            (Some(base), _) => Some(base.model().folder().display().to_string()),
            (None, Some(name)) => Some(name.extract::<PathBuf>()?.display().to_string()),
            (None, None) => None,
        };
        let mut warnings = Vec::new();
        let mut noticed = |notice: Notice<'_>| warnings.extend(notice.warning());
        let read = || read_named(&path, name.as_deref(), &mut noticed);
        let folder = py.detach(read).map_err(raised)?;
        warn_all(py, warnings)?;
        let base = match given {
            Some(base) => base,
            None => {
                let options = BaseOptions::of_adapter(&folder.meta).map_err(raised)?;
                let precision = options.precision.map(|_| folder.meta.precision.as_str());
                let name = name.as_deref().unwrap_or(&folder.meta.base.name);
                open.call1((name, precision))?.cast::<Base>()?.get().own.clone()
            }
        };
        let read = folder.clone();
        let own =
            py.detach(|| budwood::Adapter::from_folder(&base, read, AdapterOptions::default()));
        Ok(Self { own: own.map_err(raised)?, folder })
    }

    /// What its description says, as JSON.
    fn meta(&self) -> String {
        serde_json::to_string(self.own.meta()).unwrap_or_default()
    }

    /// What should be known before its answers are relied on.
    fn warnings(&self) -> Vec<String> {
        self.own.warnings().to_vec()
    }

    /// The base.
    fn has_base(&self, base: &Base) -> bool {
        self.own.base().is(&base.own)
    }

    /// The answers as JSON, as `budwood predict` prints them, and what was cut.
    #[pyo3(signature = (name, values, top, abstain_below, n_best, max_answer_length))]
    fn answers_json(
        &self,
        py: Python<'_>,
        name: &str,
        values: &Bound<'_, PyList>,
        top: Option<usize>,
        abstain_below: Option<f32>,
        n_best: usize,
        max_answer_length: usize,
    ) -> PyResult<(String, Option<String>)> {
        self.check_abstain(abstain_below)?;
        let limits = AnswerLimits { n_best, max_tokens: max_answer_length };
        let options = AnswerOptions { limits, top, abstain_below };
        let (answers, cut) = self.answers(py, (name, values), &options)?;
        // As a value, in which numbers are those that the program prints.
        Ok((json!(answers).to_string(), cut))
    }

    /// The likeliest class of each, by its place among the labels, and what was cut; for classes.
    fn classes(
        &self,
        py: Python<'_>,
        name: &str,
        values: &Bound<'_, PyList>,
    ) -> PyResult<(Vec<u32>, Option<String>)> {
        let (answers, cut) = self.answers(py, (name, values), &AnswerOptions::default())?;
        let labels = &self.own.meta().labels;
        let place: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let class = |answer: Answer| match answer {
            Answer::Class { label, .. } => place.get(label.as_str()).copied(),
            _ => None,
        };
        let classes: Option<Vec<u32>> = answers.into_iter().map(class).collect();
        Ok((classes.ok_or_else(|| self.has_no("classes"))?, cut))
    }

    /// The probability of each label as `f32`, row by row, their number, and what was cut.
    fn probabilities<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        values: &Bound<'py, PyList>,
    ) -> PyResult<(Bound<'py, PyByteArray>, usize, Option<String>)> {
        let kind = self.own.meta().head.kind;
        if !matches!(kind, HeadKind::Classification | HeadKind::MultiLabel) {
            return Err(self.has_no("probabilities of classes"));
        }
        let (answers, cut) = self.answers(py, (name, values), &AnswerOptions::default())?;
        let mut bytes = Vec::new();
        for answer in answers {
            if let Answer::Class { scores, .. } | Answer::Labels { scores, .. } = answer {
                bytes.extend(scores.iter().flat_map(|(_, p)| p.to_ne_bytes()));
            }
        }
        Ok((PyByteArray::new(py, &bytes), self.own.meta().labels.len(), cut))
    }

    /// The vectors that its head sees, as `f32`, and the numbers of each.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        values: &Bound<'py, PyList>,
    ) -> PyResult<(Bound<'py, PyByteArray>, usize)> {
        let vectors = py.detach(|| self.own.base().vectors_of(&self.folder));
        let vectors = vectors.map_err(raised)?;
        embedded(py, &vectors, (name, values))
    }

    /// Scores on a file, as JSON.
    fn evaluate(
        &self,
        py: Python<'_>,
        data: String,
        split: &str,
        columns: &str,
    ) -> PyResult<String> {
        let named = Split::ALL.into_iter().find(|known| known.name() == split);
        let split = named.ok_or_else(|| {
            PyValueError::new_err(format!("split='{split}' is not 'train', 'dev' or 'test'"))
        })?;
        let (run, resources) = crate::arguments::parse(columns)?;
        let spec = EvalSpec {
            data,
            split,
            columns: run.data.columns,
            limits: resources.limits,
            slices: Vec::new(),
        };
        let labelled = py.detach(|| self.own.read(&spec, &mut |_| ())).map_err(raised)?;
        self.scored(py, labelled)
    }

    /// Scores on columns that are lists, as JSON. The last is that of the labels.
    fn evaluate_columns(
        &self,
        py: Python<'_>,
        columns: Vec<(String, Bound<'_, PyList>)>,
    ) -> PyResult<String> {
        let mut names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let label_column = names.pop().into_iter().collect();
        let table = table(columns)?;
        let is_image = self.kind() == Kind::Images;
        let spec = ColumnSpec {
            label_column,
            image_column: names.first().filter(|_| is_image).cloned(),
            text_column: if is_image { Vec::new() } else { names },
            ..ColumnSpec::default()
        };
        let read = || -> Result<Labelled, budwood::Error> {
            let meta = self.own.meta();
            let task = task::find(&meta.task.kind)?;
            let mut opened = spec.of_table(table).open(Split::Dev, true)?;
            opened.settle(Some(task))?;
            let (data, notes) = opened.examples(task, &meta.labels)?;
            Ok(Labelled { data, notes, slices: Vec::new() })
        };
        let labelled = py.detach(read).map_err(raised)?;
        self.scored(py, labelled)
    }

    /// Writes its folder, which must be new or empty.
    fn save(&self, py: Python<'_>, out: PathBuf) -> PyResult<()> {
        let mut folder = self.folder.clone();
        py.detach(|| {
            let place = new_folder(&out, &FOLDER)?;
            place.replace(|new| write_adapter(&mut folder, new, &out)).map_err(raised)
        })
    }

    /// Writes a folder of another library, and says what should be known of it. `switches` are the
    /// names of those that are on.
    fn export(
        &self,
        py: Python<'_>,
        to: &str,
        out: PathBuf,
        name: String,
        switches: Vec<String>,
        precisions: Vec<String>,
    ) -> PyResult<Vec<String>> {
        let on = |switch: &str| switches.iter().any(|name| name == switch);
        let (norms, headless, since_5) = (on("norms"), on("headless"), on("since_5"));
        let mut form = Export { name, norms, headless, since_5, ..export::form(to)? };
        if form.form == ExportForm::Onnx {
            form.precisions = export::precisions(&precisions)?;
        }
        let base = self.own.base().model().folder();
        py.detach(|| export::write(&self.folder, base, &form, &out))
    }

    /// What each answer hangs on, as JSON.
    #[pyo3(signature = (name, values, top, abstain_below))]
    fn explain(
        &self,
        py: Python<'_>,
        name: &str,
        values: &Bound<'_, PyList>,
        top: Option<usize>,
        abstain_below: Option<f32>,
    ) -> PyResult<String> {
        self.own.can_explain().map_err(raised)?;
        self.check_abstain(abstain_below)?;
        self.check_name(name)?;
        let options = AnswerOptions { top, abstain_below, ..AnswerOptions::default() };
        let mut all = Vec::with_capacity(values.len());
        for (i, input) in inputs(self.kind(), name, values)?.iter().enumerate() {
            let explained = py.detach(|| self.own.explain(input, &options));
            all.push(explained.map_err(|e| raised_at(&e, i))?);
            py.check_signals()?;
        }
        Ok(json!(all).to_string())
    }
}

impl Adapter {
    /// Refuses images for an adapter of texts, and the other way round.
    fn check_name(&self, name: &str) -> PyResult<()> {
        let images = self.kind() == Kind::Images;
        if images == (name == "images") {
            return Ok(());
        }
        let reads = if images { "images" } else { "texts" };
        let message = format!("this adapter reads {reads}, but {name} are given: {reads}=");
        Err(PyTypeError::new_err(message))
    }

    fn check_abstain(&self, below: Option<f32>) -> PyResult<()> {
        if below.is_some() && self.own.meta().head.kind != HeadKind::Classification {
            let message = "abstain_below is for adapters that give one of several classes";
            return Err(PyValueError::new_err(message));
        }
        Ok(())
    }

    fn has_no(&self, what: &str) -> PyErr {
        let kind = &self.own.meta().task.kind;
        PyTypeError::new_err(format!("an adapter for {kind} has no {what}"))
    }

    fn scored(&self, py: Python<'_>, labelled: Labelled) -> PyResult<String> {
        let Labelled { data, notes, .. } = labelled;
        let evaluation = py.detach(|| self.own.evaluate(&data)).map_err(raised)?;
        let Evaluation {
            scores,
            predictions,
            truncated,
            confusion,
            calibration,
            coverage,
            probabilities,
            ..
        } = evaluation;
        let scores: serde_json::Map<_, _> =
            scores.into_iter().map(|s| (s.name, json!(s.value))).collect();
        Ok(json!({
            "scores": scores, "rows": data.examples.len(), "labels": self.own.meta().labels,
            "predictions": predictions, "truncated": truncated, "confusion": confusion,
            "calibration": calibration, "coverage": coverage, "probabilities": probabilities,
            "skipped": data.skipped, "notes": notes, "data": data.digest,
        })
        .to_string())
    }
}

/// The answers of many adapters in shared batches, as JSON.
#[pyfunction]
pub(crate) fn predict_mixed(
    py: Python<'_>,
    base: &Base,
    name: &str,
    values: &Bound<'_, PyList>,
    adapters: Vec<PyRef<'_, Adapter>>,
) -> PyResult<String> {
    if values.len() != adapters.len() {
        let (n, m) = (values.len(), adapters.len());
        let message = format!("there are {n} {name}, but {m} adapters: give one for each");
        return Err(PyValueError::new_err(message));
    }
    let mut read = Vec::with_capacity(adapters.len());
    for (i, adapter) in adapters.iter().enumerate() {
        let one = PyList::new(py, [values.get_item(i)?])?;
        let input = inputs(adapter.kind(), name, &one).map_err(|e| at_index(py, e, i))?;
        read.extend(input.into_iter().map(|input| (&adapter.own, input)));
    }
    let (mut all, size) = (Vec::with_capacity(read.len()), PIECE);
    for piece in read.chunks(size) {
        let answers = py.detach(|| budwood::predict_mixed(&base.own, piece));
        let offset = all.len();
        all.extend(answers.map_err(|e| raised_at(&e, offset))?);
        py.check_signals()?;
    }
    Ok(json!(all).to_string())
}

/// The same error of the row that it is of.
fn at_index(py: Python<'_>, error: PyErr, index: usize) -> PyErr {
    let said = error.value(py).to_string().replacen("index 0", &format!("index {index}"), 1);
    PyErr::from_type(error.get_type(py), said)
}
