//! An adapter on its base: predictions and scores.

use std::path::Path;
use std::sync::Arc;

use budwood_base::head::HeadKind;
use budwood_formats::foreign;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_tasks::{Dataset, Example, Input, task};
use budwood_train::{Answers, Doubt, Lengths, Prepared};

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
    reader: Arc<Reader>,
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
    /// If the folder is not an adapter, was changed, or was trained on another base.
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
        let reader = match &meta.task.images {
            None => base.reader()?,
            Some(_) => Arc::new(Reader::of_adapter(base.model(), &meta.task)?),
        };
        let (task, kind) = (task::find(&meta.task.kind)?, meta.head.kind);
        if task.head != kind {
            return Err(Error::Adapter(format!(
                "adapter.json: a task of {} cannot have a head for {kind:?}",
                task.name
            )));
        }
        if base.precision() != meta.precision {
            warnings.push(format!(
                "the adapter was trained on weights in {}, but {} is used: scores on six tasks \
                 differed by 0.5 points at most",
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

    /// Whether two are the same one in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its base.
    pub fn base(&self) -> &Base {
        &self.0.base
    }

    /// What should be known before its answers are relied on; empty is the usual case.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The trained parameters, for work below this crate.
    pub fn packed(&self) -> &budwood_model::Adapter {
        &self.0.adapter
    }

    /// Examples as the adapter reads them, and the outputs of its head: what answers and scores
    /// are made from.
    ///
    /// # Errors
    /// If the examples are not of the adapter's kind, or an output is not a finite number.
    pub fn answers(&self, data: &Dataset) -> Result<(Prepared, Answers), Error> {
        let prepared = self.prepare(data)?;
        let answers = self.answers_to(&prepared)?;
        Ok((prepared, answers))
    }

    /// As [`Adapter::answers`], for scores: of texts of a masked language model some tokens are
    /// masked here.
    pub(crate) fn answers_for_scores(&self, data: &Dataset) -> Result<(Prepared, Answers), Error> {
        let Loaded { base, meta, reader, .. } = &*self.0;
        if meta.head.kind != HeadKind::MaskedLm {
            return self.answers(data);
        }
        let masking = Some(meta.task.masking.unwrap_or_default());
        let prepared = reader.prepare_masked(data, masking, self.lengths().max, base.threads())?;
        let answers = self.answers_to(&prepared)?;
        Ok((prepared, answers))
    }

    /// The outputs of the head for examples that were read.
    fn answers_to(&self, prepared: &Prepared) -> Result<Answers, Error> {
        let base = &self.0.base;
        let answers = base.with_workers(|workers| {
            budwood_train::answers(workers, base.packed(), &self.0.adapter, prepared)
        })?;
        Ok(answers)
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
    pub(crate) fn prepare(&self, data: &Dataset) -> Result<Prepared, Error> {
        let Loaded { base, meta, reader, positive, .. } = &*self.0;
        let (lengths, images) = (self.lengths(), ImageReading::default());
        if let Some(mask) = self.mask()? {
            let has = |e: &Example| matches!(&e.input, Input::Text(text) if text.contains(mask));
            if let Some(row) = data.examples.iter().position(|example| !has(example)) {
                let message =
                    format!("this adapter fills in {mask}: write it where a word is wanted");
                return Err(Error::Input { row: row + 1, message });
            }
            return reader.prepare_masked(data, None, lengths.max, base.threads());
        }
        let mut prepared = reader.prepare(data, &meta.labels, lengths, images, base.threads())?;
        prepared.positive = *positive;
        prepared.thresholds = meta.task.thresholds.clone().unwrap_or_default();
        // A threshold is never chosen on the data that are scored.
        match meta.task.none_threshold {
            Some(threshold) => prepared.doubt = Doubt::Above(threshold),
            None if prepared.doubt == Doubt::Best => prepared.doubt = Doubt::Above(f32::MAX),
            None => {}
        }
        Ok(prepared)
    }

    /// The place that a masked language model fills, as it stands in texts; none of other adapters.
    ///
    /// # Errors
    /// If the base's tokenizer has none.
    pub fn mask(&self) -> Result<Option<&'static str>, Error> {
        match (&self.0.meta.head.kind, &*self.0.reader) {
            (HeadKind::MaskedLm, Reader::Texts(tokenizer)) => Ok(Some(tokenizer.mask()?.0)),
            _ => Ok(None),
        }
    }

    /// Refuses an input that the adapter's task does not take.
    pub(crate) fn check(&self, row: usize, input: &Input) -> Result<(), Error> {
        let meta = &self.0.meta;
        let wanted = match (meta.head.kind, meta.task.text_columns.len()) {
            (HeadKind::QuestionAnswering, _) => "a question with its text",
            (HeadKind::TokenClassification, _) => "the words of a sentence",
            _ if self.0.reader.processor().is_some() => "an image",
            (_, 2) => "two texts",
            // Layouts name no columns: an adapter of theirs may be for pairs.
            (_, 0) if matches!(input, Input::Pair(..)) => "two texts",
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

/// The class that F1 is about, by its place: the second of two, unless another is named.
///
/// # Errors
/// [`Error::Setting`] if there are not two classes, or none has that name.
pub fn positive(name: Option<&str>, labels: &[String]) -> Result<u32, Error> {
    let Some(name) = name else { return Ok(1) };
    let message = match (labels.len(), labels.iter().position(|l| l == name)) {
        (2, Some(class)) => return Ok(class as u32),
        (2, None) => format!("{name} is not a class; there are {}", labels.join(" and ")),
        _ => format!("is for two classes; there are {}", labels.len()),
    };
    Err(Error::Setting { name: "positive", message })
}
