//! Adapters as commands open them: by flags, with what is to be said on standard error.

use std::path::Path;

use anyhow::{Result, bail};
use budwood::run::cut;
use budwood::spec::Form;
use budwood::{Adapter, AdapterOptions, Base, BaseOptions, Dataset};
use budwood_base::head::HeadKind;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_tasks::Input;
use budwood_train::{Answers, Prepared};

use crate::output::note;
use crate::settings::Settings;
use crate::{base, foreign};

/// The flags of a command that opens an adapter.
#[derive(Default)]
pub(crate) struct Opening<'a> {
    /// Base model, instead of the one that the adapter names.
    pub(crate) base: Option<&'a str>,
    /// Form of the frozen weights, instead of that of the adapter's training.
    pub(crate) precision: Option<Form>,
    /// Layers that are left out, as `0-2,5`.
    pub(crate) leave_out: Option<&'a str>,
    /// The class that F1 is about.
    pub(crate) positive: Option<&'a str>,
}

impl Opening<'_> {
    /// Opens an adapter and its base, which must be the one that it was trained on.
    pub(crate) fn open(&self, settings: &Settings, path: &Path) -> Result<Adapter> {
        self.open_read(settings, foreign::load(path, self.base)?)
    }

    /// As [`Opening::open`], of an adapter that is read already.
    pub(crate) fn open_read(&self, settings: &Settings, folder: AdapterFolder) -> Result<Adapter> {
        let meta = &folder.meta;
        let as_trained = BaseOptions::of_adapter(meta)?;
        let options = BaseOptions {
            precision: self.precision.or(as_trained.precision),
            threads: settings.threads,
            ranks: settings.ranks.clone(),
            ..as_trained
        };
        let name = self.base.unwrap_or(&meta.base.name);
        let base = Base::open_with(base::folder(name)?, options)?;
        let layers = self.leave_out.map(|text| layers(text, meta.encoder.layers)).transpose()?;
        let options = AdapterOptions {
            leave_out: layers.unwrap_or_default(),
            positive: self.positive.map(Into::into),
        };
        let adapter = Adapter::from_folder(&base, folder, options)?;
        adapter.warnings().iter().for_each(|warning| note!("{warning}"));
        Ok(adapter)
    }
}

/// Layers given as `0-2,5`.
fn layers(text: &str, all: usize) -> Result<Vec<usize>> {
    let number = |part: &str| -> Result<usize> {
        match part.trim().parse() {
            Ok(layer) if layer < all => Ok(layer),
            _ => bail!("--leave-out {text}: '{part}' is not a layer; there are 0 to {}", all - 1),
        }
    };
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            bail!("--leave-out {text}: '{part}' is no layer; the lower one comes first");
        }
        list.extend(first..=last);
    }
    Ok(list)
}

/// The adapter's outputs; how many examples were cut is told.
pub(crate) fn answer(adapter: &Adapter, data: &Dataset) -> Result<(Prepared, Answers)> {
    let (prepared, answers) = adapter.answers(data)?;
    if prepared.truncated > 0 {
        let what = cut(adapter.meta().head.kind, adapter.lengths());
        note!("{} of {} {what}", prepared.truncated, prepared.examples());
    }
    Ok((prepared, answers))
}

/// One or two texts as the adapter's task takes them.
pub(crate) fn input(meta: &AdapterMeta, a: &str, b: Option<&str>) -> Result<Input> {
    Ok(match (meta.head.kind, meta.task.text_columns.len(), b) {
        (HeadKind::QuestionAnswering, _, Some(context)) => {
            Input::Question { question: a.into(), context: context.into(), article: context.into() }
        }
        (HeadKind::QuestionAnswering, _, None) => bail!(
            "this adapter answers questions: give --question and --context, or lines with a question, a tab and its text"
        ),
        (HeadKind::TokenClassification, _, None) => Input::words_of(a),
        (_, 2, Some(_)) | (_, 1, None) => Input::texts(a, b),
        (_, 2, None) => bail!("this adapter answers two texts at a time"),
        _ => bail!("this adapter answers one text at a time"),
    })
}
