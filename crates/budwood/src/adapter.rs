//! An adapter on its base: predictions and scores.

use std::path::Path;
use std::sync::Arc;

use budwood_base::head::HeadKind;
use budwood_base::record::Prediction;
use budwood_formats::foreign;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_tasks::{Dataset, Example, Input, Target, task};
use budwood_train::{Answers, Doubt, Lengths, Prepared, Score, mixed_answers, scores};

use crate::answer::{Answer, AnswerOptions, answered, typed};
use crate::foreign::read_folder;
use crate::reader::{ImageReading, Reader};
use crate::{Base, Error};

/// Tokens between windows of a long text with an answer, where nothing else is said: as BERT's
/// code.
pub const DOC_STRIDE: usize = 128;

/// An adapter, ready to answer. Cloning shares it; any number of threads may use it at once.
#[derive(Clone)]
pub struct Adapter(Arc<Loaded>);

struct Loaded {
    base: Base,
    meta: AdapterMeta,
    adapter: budwood_model::Adapter,
    reader: Reader,
    positive: u32,
    warnings: Vec<String>,
}

/// How an adapter is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterOptions {
    /// Layers, counted from 0, whose adapters are left out (AdapterDrop, Rücklé et al. 2021);
    /// trained layer norms and the head stay.
    pub leave_out: Vec<usize>,
    /// The class that F1 is about, of two; `None` is that of the adapter's training.
    pub positive: Option<String>,
}

/// The scores of an adapter on labelled examples.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// All scores that fit the task; not a number where one is undefined on these examples.
    pub scores: Vec<Score>,
    /// The answer to each example in words, beside the right one.
    pub predictions: Vec<Prediction>,
    /// Examples that were longer than the adapter reads, and were cut.
    pub truncated: usize,
}

impl Base {
    /// Opens the folder of an adapter that was trained on this base.
    ///
    /// # Errors
    /// As [`Adapter::open`].
    pub fn adapter(&self, folder: impl AsRef<Path>) -> Result<Adapter, Error> {
        Adapter::open(self, folder)
    }
}

impl Adapter {
    /// Opens the folder of an adapter that was trained on this base.
    ///
    /// # Errors
    /// If the folder is no adapter, was changed, or was trained on another base.
    pub fn open(base: &Base, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let name = base.model().folder().to_string_lossy();
        let folder = read_folder(folder.as_ref(), base.model(), &name)?;
        Self::from_folder(base, folder, AdapterOptions::default())
    }

    /// An adapter whose folder was read, on the base that it was trained on.
    ///
    /// # Errors
    /// As [`Adapter::open`], and [`Error::Setting`] if an option does not fit the adapter.
    pub fn from_folder(
        base: &Base,
        folder: AdapterFolder,
        options: AdapterOptions,
    ) -> Result<Self, Error> {
        let AdapterFolder { mut meta, tensors } = folder;
        let layers = base.model().spec().layers;
        if let Some(layer) = options.leave_out.iter().find(|&&layer| layer >= layers) {
            let message = format!("{layer} is not a layer; there are 0 to {}", layers - 1);
            return Err(Error::Setting { name: "leave-out", message });
        }
        meta.task.positive = options.positive.or(meta.task.positive);
        let mut warnings = meta.check_base(base.model())?;
        warnings.extend(foreign::warning(&meta));
        let reader = Reader::of_adapter(base.model(), &meta.task)?;
        let (task, kind) = (task::find(&meta.task.kind)?, meta.head.kind);
        if task.head != kind {
            return Err(Error::Adapter(format!(
                "adapter.json: a task of {} cannot have a head for {kind:?}",
                task.name
            )));
        }
        if base.precision() != meta.precision {
            warnings.push(format!(
                "the adapter was trained on weights in {}, but {} is used",
                meta.precision,
                base.precision()
            ));
        }
        let positive = positive(meta.task.positive.as_deref(), &meta.labels)?;
        let mut adapter = budwood_model::Adapter::from_tensors(
            base.packed(),
            &meta.method,
            meta.head.clone(),
            &tensors,
        )?;
        adapter.leave_out(options.leave_out);
        let base = base.clone();
        Ok(Self(Arc::new(Loaded { base, meta, adapter, reader, positive, warnings })))
    }

    /// What the adapter's file says of it: method, task, labels, metrics.
    pub fn meta(&self) -> &AdapterMeta {
        &self.0.meta
    }

    /// Its base.
    pub fn base(&self) -> &Base {
        &self.0.base
    }

    /// What should be known before its answers are relied on; empty is the usual case.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Answers inputs, in their order.
    ///
    /// # Errors
    /// [`Error::Input`] if an input is not of the adapter's kind.
    pub fn predict(&self, inputs: &[Input]) -> Result<Vec<Answer>, Error> {
        let pairs: Vec<(&Self, Input)> = inputs.iter().map(|i| (self, i.clone())).collect();
        predict_mixed(&self.0.base, &pairs)
    }

    /// Scores the adapter on examples whose right answers are known.
    ///
    /// # Errors
    /// [`Error::Input`] if the examples are not of the adapter's kind, or have no targets.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, Error> {
        for (row, example) in data.examples.iter().enumerate() {
            self.check(row, &example.input)?;
        }
        let (prepared, answers) = self.answers(data)?;
        if prepared.targets.is_none() {
            return Err(Error::Input { row: 1, message: "the examples have no targets".into() });
        }
        Ok(Evaluation {
            scores: scores(&answers, &prepared),
            predictions: answered(data, &prepared, &answers, &self.0.meta.labels),
            truncated: prepared.truncated,
        })
    }

    /// Examples as the adapter reads them, and the outputs of its head: what answers and scores
    /// are made from.
    ///
    /// # Errors
    /// If the examples are not of the adapter's kind, or an output is not a finite number.
    pub fn answers(&self, data: &Dataset) -> Result<(Prepared, Answers), Error> {
        let prepared = self.prepare(data)?;
        let base = &self.0.base;
        let answers = base.with_workers(|workers| {
            budwood_train::answers(workers, base.packed(), &self.0.adapter, &prepared)
        })?;
        Ok((prepared, answers))
    }

    /// What makes the model's input.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// How long inputs are, in tokens, as in the adapter's training.
    pub fn lengths(&self) -> Lengths {
        let task = &self.0.meta.task;
        Lengths { max: task.max_length, stride: task.doc_stride.unwrap_or(DOC_STRIDE) }
    }

    /// Examples as in the adapter's training.
    fn prepare(&self, data: &Dataset) -> Result<Prepared, Error> {
        let Loaded { base, meta, reader, positive, .. } = &*self.0;
        let (lengths, images) = (self.lengths(), ImageReading::default());
        let mut prepared = reader.prepare(data, &meta.labels, lengths, images, base.threads())?;
        prepared.positive = *positive;
        // A threshold is never chosen on the data that are scored.
        match meta.task.none_threshold {
            Some(threshold) => prepared.doubt = Doubt::Above(threshold),
            None if prepared.doubt == Doubt::Best => prepared.doubt = Doubt::Above(f32::MAX),
            None => {}
        }
        Ok(prepared)
    }

    /// Refuses an input that the adapter's task does not take.
    fn check(&self, row: usize, input: &Input) -> Result<(), Error> {
        let meta = &self.0.meta;
        let wanted = match (meta.head.kind, meta.task.text_columns.len()) {
            (HeadKind::QuestionAnswering, _) => "a question with its text",
            (HeadKind::TokenClassification, _) => "the words of a sentence",
            _ if self.0.reader.processor().is_some() => "an image",
            (_, 2) => "two texts",
            _ => "one text",
        };
        let given = match input {
            Input::Question { .. } => "a question with its text",
            Input::Words(_) => "the words of a sentence",
            Input::Image(_) => "an image",
            Input::Pair(..) => "two texts",
            Input::Text(_) => "one text",
        };
        match wanted == given {
            true => Ok(()),
            false => {
                let message = format!("this adapter reads {wanted}, but {given} is given");
                Err(Error::Input { row: row + 1, message })
            }
        }
    }
}

/// Answers inputs of many adapters of one base, in their order. Texts of all adapters share their
/// batches; an answer is the same to the bit as that of its adapter alone.
///
/// # Errors
/// [`Error::Input`] with the row, counted from 1, if an adapter is of another base, or an input is
/// not of its adapter's kind.
pub fn predict_mixed(base: &Base, inputs: &[(&Adapter, Input)]) -> Result<Vec<Answer>, Error> {
    // The rows of each adapter, adapters in the order of their first rows.
    let mut groups: Vec<(&Adapter, Vec<usize>)> = Vec::new();
    for (row, (adapter, input)) in inputs.iter().enumerate() {
        if !adapter.0.base.is(base) {
            let message = "its adapter was opened on another base".into();
            return Err(Error::Input { row: row + 1, message });
        }
        adapter.check(row, input)?;
        match groups.iter_mut().find(|(there, _)| Arc::ptr_eq(&there.0, &adapter.0)) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((adapter, vec![row])),
        }
    }
    let mut sets = Vec::with_capacity(groups.len());
    for (adapter, rows) in &groups {
        let example = |&row: &usize| Example { input: inputs[row].1.clone(), target: Target::None };
        let examples = rows.iter().map(example).collect();
        let data = Dataset::from_examples(examples, "input", "memory");
        let prepared = adapter.prepare(&data)?;
        sets.push((data, prepared));
    }
    let parts: Vec<_> =
        groups.iter().zip(&sets).map(|((a, _), (_, prepared))| (&a.0.adapter, prepared)).collect();
    let answers = base.with_workers(|workers| mixed_answers(workers, base.packed(), &parts))?;
    let mut all: Vec<Option<Answer>> = inputs.iter().map(|_| None).collect();
    for (((adapter, rows), (data, prepared)), answers) in groups.iter().zip(&sets).zip(&answers) {
        let meta = adapter.meta();
        let head = (meta.head.kind, &meta.labels[..]);
        let typed = typed(head, (data, prepared), answers, &AnswerOptions::default());
        for (&row, answer) in rows.iter().zip(typed) {
            all[row] = Some(answer);
        }
    }
    Ok(all.into_iter().flatten().collect())
}

/// The class that F1 is about, by its place: the second of two, unless another is named.
///
/// # Errors
/// [`Error::Setting`] if there are not two classes, or none has that name.
pub fn positive(name: Option<&str>, labels: &[String]) -> Result<u32, Error> {
    let Some(name) = name else { return Ok(1) };
    let message = match (labels.len(), labels.iter().position(|l| l == name)) {
        (2, Some(class)) => return Ok(class as u32),
        (2, None) => format!("{name} is no class; there are {}", labels.join(" and ")),
        _ => format!("is for two classes; there are {}", labels.len()),
    };
    Err(Error::Setting { name: "positive", message })
}
