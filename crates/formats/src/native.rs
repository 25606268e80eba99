//! Budwood's own adapter folder: `adapter.safetensors` and `adapter.json`.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::encoder::EncoderSpec;
use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::record::{BaseId, DataDigest, MetricValue};
use budwood_base::tensor::TensorMap;
use budwood_base::{digest, files};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::safetensors_file::{SafetensorsFile, to_bytes};
use crate::{BaseModel, Error};

/// Version of the format that this program writes.
pub const FORMAT: u32 = 1;
const META: &str = "adapter.json";
const WEIGHTS: &str = "adapter.safetensors";

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
    /// How much surer it must be that a text holds no answer than the best answer, before none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_threshold: Option<f32>,
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
    /// Writes the folder whole or not at all; an adapter that was there is replaced. The hash of the
    /// weights is set in the description.
    ///
    /// # Errors
    /// If a tensor is not finite or the folder cannot be written.
    pub fn save(&mut self, folder: &Path) -> Result<(), Error> {
        let bytes = to_bytes(&folder.join(WEIGHTS), &self.tensors)?;
        self.meta.weights_sha256 = digest::of_bytes(&bytes);
        let mut json = serde_json::to_string_pretty(&self.meta)
            .map_err(|e| Error::content(folder.join(META), e.to_string()))?;
        json.push('\n');
        files::write_folder_atomic(folder, |new| {
            std::fs::write(new.join(WEIGHTS), &bytes).map_err(Error::io(folder.join(WEIGHTS)))?;
            std::fs::write(new.join(META), &json).map_err(Error::io(folder.join(META)))
        })
        .map_err(|e| match e {
            Error::Io { path, source } if path.as_os_str().is_empty() => {
                Error::Io { path: folder.into(), source }
            }
            other => other,
        })
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, the format is newer than this program, or the weights are not those
    /// that the description speaks of.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(META);
        if !path.exists() {
            let message = "there is no adapter.json: this is not a Budwood adapter";
            return Err(Error::content(folder, message));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let json: Value =
            serde_json::from_str(&text).map_err(|e| Error::not_json(&path, &text, &e))?;
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
        let meta: AdapterMeta = serde_json::from_value(json)
            .map_err(|e| Error::content(&path, format!("is not an adapter's description: {e}")))?;
        let file = SafetensorsFile::open(&folder.join(WEIGHTS))?;
        let found = file.sha256();
        if found != meta.weights_sha256 {
            let message = format!(
                "has SHA-256 {found}, but adapter.json speaks of {}: the folder is mixed up or damaged",
                meta.weights_sha256
            );
            return Err(Error::content(folder.join(WEIGHTS), message));
        }
        Ok(Self { meta, tensors: file.tensors()? })
    }

    /// Bytes of the folder's files.
    ///
    /// # Errors
    /// If they cannot be asked for.
    pub fn bytes_on_disk(folder: &Path) -> Result<u64, Error> {
        [META, WEIGHTS].iter().try_fold(0, |sum, name| {
            let path = folder.join(name);
            let length = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
            Ok(sum + length)
        })
    }
}

impl AdapterMeta {
    /// Refuses a base that the adapter was not trained on.
    ///
    /// # Errors
    /// Naming what differs, with both values.
    pub fn check_base(&self, base: &BaseModel) -> Result<(), Error> {
        let id = base.id("");
        let (ours, theirs) = (&self.encoder, base.spec());
        let differs = |what, expected: String, found: String| Error::OtherBase {
            what,
            expected,
            found,
            name: self.base.name.clone(),
        };
        let sizes = [
            ("the number of layers", ours.layers, theirs.layers),
            ("the width", ours.hidden, theirs.hidden),
        ];
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(differs(what, expected.to_string(), found.to_string()));
            }
        }
        if self.base.weights_sha256 != id.weights_sha256 {
            let expected = self.base.weights_sha256.clone();
            return Err(differs("the SHA-256 of the weights", expected, id.weights_sha256));
        }
        let none = || "none".to_string();
        if self.base.tokenizer_sha256 != id.tokenizer_sha256 {
            let expected = self.base.tokenizer_sha256.clone().unwrap_or_else(none);
            let found = id.tokenizer_sha256.unwrap_or_else(none);
            return Err(differs("the SHA-256 of the tokenizer", expected, found));
        }
        Ok(())
    }
}
