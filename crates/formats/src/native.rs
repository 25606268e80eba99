//! Budwood's own adapter folder: `adapter.safetensors` and `adapter.json`.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::digest;
use budwood_base::encoder::EncoderSpec;
use budwood_base::folder::{Kind, Ours, OutFolder};
use budwood_base::head::HeadSpec;
use budwood_base::masking::Masking;
use budwood_base::method::MethodSpec;
use budwood_base::record::{BaseId, DataDigest, MetricValue};
use budwood_base::tensor::TensorMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::safetensors_file::to_bytes_with;
use crate::text_file::{self, read_json};
use crate::weights::Weights;

/// Version of the format that this program writes.
pub const FORMAT: u32 = 1;
const META: &str = "adapter.json";
const WEIGHTS: &str = "adapter.safetensors";
/// Where the digest of the description stands in the metadata of the weights' file. `adapter.json`
/// holds the hash of that file, so that neither can be changed alone.
const DESCRIPTION: &str = "budwood.description";

/// The files of an adapter's folder.
pub const FILES: &[&str] = &[META, WEIGHTS];

/// The folder of an adapter.
pub static KIND: Kind =
    Kind { what: "an adapter", ours: Ours::Named { files: FILES, work: &[], mark: is_adapter } };

/// Whether a folder holds an adapter that this program wrote.
pub fn is_adapter(folder: &Path) -> bool {
    let json = text_file::read_json(&folder.join(META));
    json.is_ok_and(|j| j.get("budwood_adapter").is_some_and(Value::is_u64))
}

/// What `adapter.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterMeta {
    /// Version of the format.
    pub budwood_adapter: u32,
    /// The method with all options in force.
    pub method: MethodSpec,
    /// The base model that it was trained on.
    pub base: BaseId,
    /// Sizes and switches of that model.
    pub encoder: EncoderSpec,
    /// The head.
    pub head: HeadSpec,
    /// Names of the classes in the order of the outputs; empty for regression.
    pub labels: Vec<String>,
    /// What it was trained for.
    pub task: TaskMeta,
    /// Precision of the frozen weights in training: `f32` or `int8`.
    pub precision: String,
    /// Everything that the training loop was told.
    pub training: BTreeMap<String, Value>,
    /// Seed of initial values, order and dropout.
    pub seed: u64,
    /// The data that it has seen.
    pub data: Vec<DataDigest>,
    /// Scores, each with its split.
    pub metrics: Vec<MetricValue>,
    /// Trained parameters, head included.
    pub parameters_trained: u64,
    /// Parameters of the base model.
    pub parameters_base: u64,
    /// SHA-256 of `adapter.safetensors`.
    pub weights_sha256: String,
    /// Program and its version.
    pub versions: BTreeMap<String, String>,
}

/// The task of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskMeta {
    /// Its name.
    pub name: String,
    /// Its kind, as in `tasks`.
    pub kind: String,
    /// Columns of the text or texts, or of the image.
    pub text_columns: Vec<String>,
    /// Column of the label.
    pub label_column: String,
    /// Tokens that an input was cut to.
    pub max_length: usize,
    /// Tokens between the beginnings of windows of a text that holds an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_stride: Option<usize>,
    /// The metric that chose the checkpoint.
    pub metric: String,
    /// The class that F1 is about, of two; without it the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// How much surer it must be that a text holds no answer than the best answer, before none is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_threshold: Option<f32>,
    /// The probability above which each of several labels is said to hold, in the order of
    /// `labels`; without them 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<f32>>,
    /// How texts are masked for a score; of masked language models alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
    /// How images were prepared; nothing for texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Value>,
}

/// An adapter on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterFolder {
    /// Its description.
    pub meta: AdapterMeta,
    /// Its tensors by canonical name.
    pub tensors: TensorMap,
}

impl AdapterFolder {
    /// Writes the folder whole or not at all; an adapter that was there is replaced, other files
    /// are kept.
    ///
    /// # Errors
    /// As [`AdapterFolder::write`], and if the folder holds files of others and no adapter.
    pub fn save(&mut self, folder: &Path) -> Result<(), Error> {
        OutFolder::open(folder, &KIND)?.replace(|new| self.write(new))
    }

    /// Writes the files into a new folder. The hash of the weights is set in the description.
    ///
    /// # Errors
    /// If a tensor is not finite, the description does not fit the tensors, or a file cannot be
    /// written.
    pub fn write(&mut self, folder: &Path) -> Result<(), Error> {
        let (bytes, json) = self.files(folder)?;
        std::fs::write(folder.join(WEIGHTS), &bytes).map_err(Error::io(folder.join(WEIGHTS)))?;
        std::fs::write(folder.join(META), &json).map_err(Error::io(folder.join(META)))
    }

    /// The bytes of the weights' file and of the description, each of which holds the other's
    /// digest.
    fn files(&mut self, folder: &Path) -> Result<(Vec<u8>, String), Error> {
        let fault = |message: String| Error::content(folder.join(META), message);
        let text = |meta: &AdapterMeta| {
            serde_json::to_string_pretty(meta).map_err(|e| fault(e.to_string()))
        };
        let shape = |name: &str| self.tensors.get(name).map(|t| &t.shape[..]);
        let elements = self.tensors.values().map(|t| t.len() as u64).sum();
        self.meta.check(shape, elements).map_err(fault)?;
        let value: Value =
            serde_json::from_str(&text(&self.meta)?).map_err(|e| fault(e.to_string()))?;
        let metadata = [(DESCRIPTION.to_string(), digest::of_description(&value))];
        let bytes = to_bytes_with(&folder.join(WEIGHTS), &self.tensors, metadata.into())?;
        self.meta.weights_sha256 = digest::of_bytes(&bytes);
        let json = text(&self.meta)? + "\n";
        if json.len() as u64 > text_file::MOST {
            let (n, most) = (json.len(), text_file::MOST);
            return Err(fault(format!("would have {n} bytes; at most {most} are read")));
        }
        Ok((bytes, json))
    }

    /// Reads a folder. The description is checked against the tensors before they are read.
    ///
    /// # Errors
    /// If a file is missing or damaged, the format is newer than this program, the weights are not
    /// those that the description speaks of, or the description was changed or does not fit them.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(META);
        if !path.exists() {
            let message = "there is no adapter.json: this is not a Budwood adapter";
            return Err(Error::content(folder, message));
        }
        let json = read_json(&path)?;
        match json.get("budwood_adapter").and_then(Value::as_u64) {
            Some(version) if version <= u64::from(FORMAT) => {}
            Some(version) => {
                let message = format!(
                    "has format {version}, but this program reads up to {FORMAT}: use a newer Budwood"
                );
                return Err(Error::content(&path, message));
            }
            None => return Err(Error::content(&path, "lacks the field 'budwood_adapter'")),
        }
        let described = digest::of_description(&json);
        let meta: AdapterMeta = serde_json::from_value(json)
            .map_err(|e| Error::content(&path, format!("is not an adapter's description: {e}")))?;
        let file = Weights::open(&folder.join(WEIGHTS))?;
        let found = file.sha256()?;
        if found != meta.weights_sha256 {
            let message = format!(
                "has SHA-256 {found}, but adapter.json speaks of {}: the folder is mixed up or damaged",
                meta.weights_sha256
            );
            return Err(Error::content(folder.join(WEIGHTS), message));
        }
        match file.metadata(DESCRIPTION) {
            Some(digest) if digest == described => {}
            None if meta.base.is_of_old() => {}
            Some(_) => {
                let message = "was changed after the adapter was written: its digest is not the one in \
                               adapter.safetensors. Take the file as it was, or train again";
                return Err(Error::content(&path, message));
            }
            None => {
                let message = format!(
                    "lacks the description's digest ('{DESCRIPTION}' in its metadata): it was written again"
                );
                return Err(Error::content(folder.join(WEIGHTS), message));
            }
        }
        let elements = file.elements();
        meta.check(|name| file.shape(name), elements)
            .map_err(|message| Error::content(&path, message))?;
        Ok(Self { meta, tensors: file.tensors()? })
    }

    /// Bytes of the folder's files.
    ///
    /// # Errors
    /// If they cannot be asked for.
    pub fn bytes_on_disk(folder: &Path) -> Result<u64, Error> {
        FILES.iter().try_fold(0, |sum, name| {
            let path = folder.join(name);
            let length = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
            Ok(sum + length)
        })
    }
}
