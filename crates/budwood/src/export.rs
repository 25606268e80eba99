//! Adapters as folders that Python's libraries load.

use std::fs;
use std::path::Path;

use budwood_base::encoder::InputSpec;
use budwood_base::folder::{Kind, Ours};
use budwood_base::tensor::TensorMap;
use budwood_formats::export::Exported;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_formats::{BaseModel, adapterhub, model_folder, peft, sentence_transformers};
use budwood_images::Processor;
use budwood_model::merged;

use crate::checked::{Written, check};
use crate::onnx::{export_onnx, prepare_images};
use crate::{Error, OnnxPrecision};

/// A folder for the files of `adapters` or `peft`; that of a whole model is
/// [`model_folder::KIND`].
pub static EXPORT_FOLDER: Kind = Kind { what: "an export", ours: Ours::Listed };

/// Whose form an adapter is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ExportForm {
    /// A folder of `adapters`: `model.load_adapter(DIR, use_safetensors=True)`.
    Adapterhub,
    /// A folder of `peft`: `PeftModel.from_pretrained(model, DIR)`.
    Peft,
    /// A whole model of `transformers`, the adapter merged into it.
    Transformers,
    /// A whole model of `sentence-transformers`, the adapter merged into it and the head as dense
    /// layers: `SentenceTransformer(DIR).encode(texts)` gives the logits. For heads over the mean.
    SentenceTransformers,
    /// A whole model with any adapter as a graph: `onnx/model.onnx`, for ONNX Runtime.
    Onnx,
}

impl ExportForm {
    /// The folder that is written.
    pub fn kind(self) -> &'static Kind {
        match self {
            Self::Transformers | Self::SentenceTransformers => &model_folder::KIND,
            Self::Adapterhub | Self::Peft | Self::Onnx => &EXPORT_FOLDER,
        }
    }
}

/// A form, with what it leaves open. What is of another form does nothing.
#[derive(Clone, Debug)]
pub struct Export {
    /// Whose form it is.
    pub form: ExportForm,
    /// Name of the adapter in AdapterHub's folder.
    pub name: String,
    /// Whether trained layer norms are written to AdapterHub's folder as those of the base.
    pub norms: bool,
    /// Whether the head stands beside AdapterHub's adapter in a file of its own.
    pub headless: bool,
    /// Whether PEFT's modules are named as in `transformers` 5, not 4.
    pub since_5: bool,
    /// Graphs of ONNX; f32 where it is empty.
    pub precisions: Vec<OnnxPrecision>,
}

impl Export {
    /// A form with its defaults.
    pub fn new(form: ExportForm) -> Self {
        let (name, precisions) = ("task".into(), Vec::new());
        Self { form, name, norms: false, headless: false, since_5: false, precisions }
    }
}

/// Writes an adapter in the form of another library into `out`, an empty folder: returns the
/// files' names, and what should be known of them. A form that is a whole model needs the base;
/// that of `adapters` can say more with it.
///
/// # Errors
/// If the library has no such adapter, the base is missing, not the adapter's or stored in int8, or
/// a file cannot be written.
pub fn export(
    folder: &AdapterFolder,
    base: Option<&BaseModel>,
    export: &Export,
    out: &Path,
) -> Result<Written, Error> {
    let needed = || {
        let message = "this form is a whole model and needs the base".into();
        base.ok_or(Error::Setting { name: "base", message })
    };
    let exported = match export.form {
        ExportForm::Adapterhub => {
            let Export { name, norms, headless, .. } = export;
            let options = adapterhub::Options { name, norms: *norms, headless: *headless };
            adapterhub::export(folder, options, base)?
        }
        ExportForm::Peft => peft::export(folder, export.since_5)?,
        ExportForm::Transformers => whole(folder, needed()?, model_folder::tuned)?,
        ExportForm::SentenceTransformers => {
            whole(folder, needed()?, sentence_transformers::export)?
        }
        ExportForm::Onnx => return export_onnx(folder, needed()?, &export.precisions, out),
    };
    for (name, bytes) in &exported.files {
        let path = out.join(name);
        fs::create_dir_all(path.parent().unwrap_or(out))
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| budwood_formats::Error::Io { path, source })?;
    }
    let names = exported.files.into_iter().map(|(name, _)| name).collect();
    let AdapterFolder { meta, .. } = folder;
    let told = meta.without_thresholds().into_iter().chain(of_another_size(meta)?);
    let told = told.chain(meta.trained_on_bytes());
    let notes = exported.notes.into_iter().chain(told).collect();
    Ok((names, notes))
}

/// That an adapter's images are of another size than those whose positions the base has.
fn of_another_size(meta: &AdapterMeta) -> Result<Option<String>, Error> {
    let (InputSpec::Image(base), Some(recorded)) = (&meta.encoder.input, &meta.task.images) else {
        return Ok(None);
    };
    let ((height, width), side) = (Processor::recorded(recorded)?.output()?, base.image_size);
    Ok((height != side || width != side).then(|| {
        format!(
            "the adapter's images are of {height} x {width} pixels: prepare them so. The model's \
             positions are of {side} x {side}; one that does not follow by itself, as ViT, is \
             asked with interpolate_pos_encoding=True"
        )
    }))
}

/// Writes a base, tensors in the place of its own, and an adapter's head.
type Write = fn(&BaseModel, &TensorMap, &AdapterFolder) -> Result<Exported, budwood_formats::Error>;

/// The base with the adapter merged into it, and the head.
fn whole(folder: &AdapterFolder, model: &BaseModel, write: Write) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = folder;
    let warnings = check([folder], model)?;
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let changed = merged(&meta.method, model.spec(), tensors, fetch)?;
    let mut exported = write(model, &changed, folder)?;
    if let InputSpec::Image(_) = model.spec().input {
        prepare_images(meta, model, &mut exported.files)?;
    }
    exported.notes.splice(0..0, warnings);
    Ok(exported)
}
