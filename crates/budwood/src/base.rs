//! A base model in memory, shared by adapters and threads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterMeta;
use budwood_ranks::Ranks;

use crate::reader::Reader;
use crate::spec::Form;
use crate::{Error, Notice};

/// How a base model is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseOptions {
    /// Form of the frozen weights; `None` is that in which the model is stored.
    pub precision: Option<Form>,
    /// Form in which the matrices of adapters are held: int8 takes a quarter of the memory of f32,
    /// and changes answers a little.
    pub adapters: Form,
    /// Threads that one call computes with, at least 1.
    pub threads: usize,
    /// The processes that answer together ([`crate::Adapter::answers`]); this one alone unless
    /// said.
    pub ranks: Ranks,
}

impl BaseOptions {
    /// As in the training of an adapter.
    ///
    /// # Errors
    /// If the adapter's file names a form that is not known.
    pub fn of_adapter(meta: &AdapterMeta) -> Result<Self, Error> {
        let precision = match meta.precision.as_str() {
            "int8" => Some(Form::Int8),
            // A model that is stored in int8 has none in f32.
            "f32" => None,
            other => {
                let message = format!("the adapter's precision '{other}' is not known");
                return Err(Error::Adapter(message));
            }
        };
        Ok(Self { precision, ..Self::default() })
    }
}

impl Default for BaseOptions {
    /// The stored form, and all processors.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { precision: None, adapters: Form::F32, threads, ranks: Ranks::default() }
    }
}

/// A frozen base model. Cloning shares it; any number of threads may use it at once.
#[derive(Clone)]
pub struct Base(Arc<Shared>);

struct Shared {
    model: BaseModel,
    packed: budwood_model::Base,
    threads: usize,
    warnings: Vec<String>,
    ranks: Ranks,
    /// The reader of texts, which all adapters share, once it is needed.
    reader: Mutex<Option<Arc<Reader>>>,
    /// Workers with warm memory that no call uses at the moment.
    idle: Mutex<Vec<Workers>>,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({}, {})", self.0.model.folder().display(), self.precision())
    }
}

impl Base {
    /// Opens a base model in the form in which it is stored, for all processors. It is named by
    /// its folder, by a name of [`budwood_hub::MODELS`], or as `OWNER/NAME` of the Hugging Face
    /// hub; what is not in a cache is fetched.
    ///
    /// # Errors
    /// If nothing has that name or it cannot be fetched, and if it is not a model of a known
    /// family, or a damaged one.
    pub fn open(name_or_folder: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(name_or_folder, BaseOptions::default())
    }

    /// Opens a base model, named as for [`Base::open`].
    ///
    /// # Errors
    /// As [`Base::open`], and if a model in int8 is asked for in f32.
    pub fn open_with(
        name_or_folder: impl AsRef<Path>,
        options: BaseOptions,
    ) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let mut noticed = |notice: Notice<'_>| warnings.extend(notice.warning());
        let model = BaseModel::open(&folder(name_or_folder.as_ref(), &mut noticed)?)?;
        let stored = if model.is_quantized() { Form::Int8 } else { Form::F32 };
        let precision = |form| match form {
            Form::F32 => Precision::F32,
            Form::Int8 => Precision::Int8,
        };
        let mut packed = load(&model, precision(options.precision.unwrap_or(stored)), false)?;
        packed.set_adapter_precision(precision(options.adapters));
        let (threads, ranks) = (options.threads.max(1), options.ranks);
        let (reader, idle) = (Mutex::new(None), Mutex::new(Vec::new()));
        let shared = Shared { model, packed, threads, ranks, warnings, reader, idle };
        Ok(Self(Arc::new(shared)))
    }

    /// The model's files.
    pub fn model(&self) -> &BaseModel {
        &self.0.model
    }

    /// What must be known of where the model came from.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The form of the frozen weights, as adapters record it: `f32` or `int8`.
    pub fn precision(&self) -> &'static str {
        precision_name(self.0.packed.precision())
    }

    /// Whether two are the same one in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The packed weights, for work below this crate.
    pub fn packed(&self) -> &budwood_model::Base {
        &self.0.packed
    }

    pub(crate) fn threads(&self) -> usize {
        self.0.threads
    }

    /// What the model's own files say of its inputs; opened once, as a tokenizer is large.
    pub(crate) fn reader(&self) -> Result<Arc<Reader>, Error> {
        let mut reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = &*reader {
            return Ok(Arc::clone(reader));
        }
        let opened = Arc::new(Reader::open(&self.0.model, None)?);
        *reader = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Does some work with workers of its own, whose memory stays warm for the next.
    pub fn with_workers<R>(&self, work: impl FnOnce(&mut Workers) -> R) -> R {
        let idle = || self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let warm = idle().pop();
        let new = || Workers::new(Device::cpu(), self.0.threads).over(self.0.ranks.clone());
        let mut workers = warm.unwrap_or_else(new);
        let result = work(&mut workers);
        idle().push(workers);
        result
    }
}

/// The folder of a model; a name that is not UTF-8 can be a folder's alone.
fn folder(name_or_folder: &Path, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    match name_or_folder.to_str() {
        Some(name) => Ok(budwood_hub::find_model(name, report)?),
        None => Ok(name_or_folder.into()),
    }
}

/// The name of a precision in an adapter's file.
pub fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Int8 | Precision::Int8Forward => "int8",
    }
}

/// Packs the weights of a model; `trainable` for gradients too.
///
/// # Errors
/// If a model that is stored in int8 is asked for in f32, or a tensor cannot be read.
pub fn load(
    model: &BaseModel,
    precision: Precision,
    trainable: bool,
) -> Result<budwood_model::Base, Error> {
    if model.is_quantized() && precision == Precision::F32 {
        let message = format!(
            "{} is stored in int8 and has no weights in f32; leave out base-precision f32, or \
             give the model that it was made from",
            model.folder().display()
        );
        return Err(Error::Setting { name: "base-precision", message });
    }
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    budwood_model::Base::load(model.spec().clone(), Device::cpu(), precision, trainable, fetch)
}
