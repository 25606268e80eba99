//! A base model's folder in Hugging Face's layout: `config.json`, `model.safetensors` (or shards),
//! tokenizer.

use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_base::encoder::{EncoderSpec, InputSpec};
use budwood_base::head::Pooling;
use budwood_base::names;
use budwood_base::record::BaseId;
use budwood_base::tensor::Tensor;
use budwood_base::tokenizer::{Overrides, WordPieceSettings};
use serde_json::Value;

use crate::Error;
use crate::family::{self, Config, Family, Stored};
use crate::manifest::Manifest;
use crate::text_file::{self, read_json};
use crate::weights::Weights;

/// The largest file of a tokenizer that is read, in bytes; vocabularies of a million words have a
/// tenth of it.
const TOKENIZER_MOST: u64 = 512 << 20;

/// An opened base model: its description and its tensors, by canonical name and on demand.
#[derive(Debug)]
pub struct BaseModel {
    folder: PathBuf,
    spec: EncoderSpec,
    file: Weights,
    family: &'static Family,
    /// What the names in the file lack or have in front.
    prefixed: bool,
    /// The tensors of the file that the encoder reads.
    layout: Vec<Stored>,
    weights_sha256: String,
    tokenizer_sha256: Option<String>,
    tokenizer_settings: Option<WordPieceSettings>,
    /// SHA-256 of the weights' file, where it holds large weights in bytes.
    int8_sha256: Option<String>,
}

impl BaseModel {
    /// Opens a folder and checks that every tensor is there and of the size that `config.json`
    /// says.
    ///
    /// # Errors
    /// If a file is missing, damaged, or of a family that is not known.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        if !path.exists() {
            let message = "there is no config.json: this is not a model's folder";
            return Err(Error::content(folder, message));
        }
        let json = read_json(&path)?;
        let config = Config { path: &path, json: &json };
        let family = family::of(&config)?;
        let mut spec = (family.spec)(&config)?;
        let file = Weights::open_in(folder, &["model.safetensors", "pytorch_model.bin"])?;
        let prefix = format!("{}.", family.prefix);
        let prefixed = file.names().any(|name| name.starts_with(&prefix));
        config.check_layers(&spec, file.names().count())?;
        let found = file.sha256()?;
        let original = Manifest::original(folder, &found)?;
        let (weights_sha256, int8_sha256) = match &original {
            Some(original) => (original.weights_sha256.clone(), Some(found)),
            None => (found, None),
        };
        let pooler = EncoderSpec { pooler: true, layers: 0, ..spec.clone() }.pooler_tensors();
        spec.pooler = false;
        let mut model = Self {
            folder: folder.into(),
            spec,
            file,
            family,
            prefixed,
            layout: Vec::new(),
            weights_sha256,
            tokenizer_sha256: tokenizer_sha256(folder)?,
            tokenizer_settings: tokenizer_settings(folder)?,
            int8_sha256,
        };
        let mut pooler = pooler.iter().map(|tensor| family.checkpoint_name(&tensor.name));
        model.spec.pooler = pooler.any(|name| name.is_some_and(|n| model.found(&n).is_some()));
        model.layout = family.layout(&model.spec);
        model.check()?;
        if let Some(found) = original.and_then(|original| original.difference(&model.id(""))) {
            let message = format!(
                "is not what it was made from: {} is {} there and {} here; write the model again with `budwood models quantize`",
                found.what, found.ours, found.theirs
            );
            return Err(Error::content(folder, message));
        }
        Ok(model)
    }

    /// Where it was opened.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sizes and switches.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Whether its large weights are stored as bytes (`quantized`).
    pub fn is_quantized(&self) -> bool {
        self.int8_sha256.is_some()
    }

    /// SHA-256 of its weights' file, if it is stored in bytes. Its identity then names the model
    /// that it says it was made from, which nothing here can check.
    pub fn int8_sha256(&self) -> Option<&str> {
        self.int8_sha256.as_deref()
    }

    /// Its family.
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// Its type, as its `config.json` names it.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn model_type(&self) -> Result<String, Error> {
        let json = read_json(&self.folder.join("config.json"))?;
        Ok(json["model_type"].as_str().unwrap_or_default().into())
    }

    /// Its identity, under the name that the user gave it.
    pub fn id(&self, name: &str) -> BaseId {
        BaseId {
            name: name.into(),
            family: self.family.name.into(),
            weights_sha256: self.weights_sha256.clone(),
            tokenizer_sha256: self.tokenizer_sha256.clone(),
            encoder_sha256: Some(self.spec.sha256()),
            tokenizer_settings: self.tokenizer_settings.clone(),
            int8_sha256: self.int8_sha256.clone(),
        }
    }

    /// A tensor by its canonical name (`base::names`).
    ///
    /// # Errors
    /// If it is not there or holds NaN or infinity.
    pub fn tensor(&self, canonical: &str) -> Result<Tensor, Error> {
        let mut data = Vec::new();
        let mut found = None;
        for stored in &self.layout {
            let mut start = 0;
            for piece in &stored.pieces {
                let columns: usize = piece.tensor.shape[1..].iter().product();
                let end = start + piece.rows.len() * columns;
                if piece.tensor.name == canonical {
                    let whole = self.stored(stored)?.data;
                    found = Some(&piece.tensor.shape);
                    match whole.len() == end && start == 0 && data.is_empty() {
                        true => data = whole,
                        false => data.extend_from_slice(&whole[start..end]),
                    }
                }
                start = end;
            }
        }
        match found {
            Some(shape) => Ok(Tensor { shape: shape.clone(), data }),
            None => Err(self.missing(
                self.family.checkpoint_name(canonical).unwrap_or_else(|| canonical.into()),
            )),
        }
    }

    /// The tensors of its file that the encoder reads.
    pub(crate) fn layout(&self) -> &[Stored] {
        &self.layout
    }

    /// One of those, in the file's own shape.
    pub(crate) fn stored(&self, stored: &Stored) -> Result<Tensor, Error> {
        let name = self.found(&stored.name);
        self.file.tensor(&name.ok_or_else(|| self.missing(stored.name.clone()))?)
    }

    fn missing(&self, first: String) -> Error {
        Error::Missing { path: self.file.path().into(), count: 1, first }
    }

    /// All tensors of its files, those of a head included.
    pub(crate) fn weights(&self) -> &Weights {
        &self.file
    }

    /// The name under which a tensor of the layout stands in the file: with or without the family's
    /// prefix, and with `gamma` and `beta` for a norm's gain and bias in old files.
    fn found(&self, full: &str) -> Option<String> {
        let name = match self.prefixed {
            true => full,
            false => full.strip_prefix(self.family.prefix)?.strip_prefix('.')?,
        };
        if self.file.contains(name) {
            return Some(name.into());
        }
        let old = if let Some(stem) = name.strip_suffix("LayerNorm.weight") {
            format!("{stem}LayerNorm.gamma")
        } else {
            format!("{}LayerNorm.beta", name.strip_suffix("LayerNorm.bias")?)
        };
        self.file.contains(&old).then_some(old)
    }

    fn check(&self) -> Result<(), Error> {
        let mut missing = Vec::new();
        for stored in &self.layout {
            let Some(name) = self.found(&stored.name) else {
                missing.push(&stored.name);
                continue;
            };
            let (found, shape) = (self.file.shape(&name).unwrap_or_default(), stored.shape());
            let dimensions = stored.whole().and_then(|tensor| dimensions(&tensor.name));
            let same = match dimensions {
                Some(dimensions) => flattened(found, dimensions) == shape,
                None => found == shape,
            };
            if !same {
                return Err(Error::Shape {
                    path: self.file.path().into(),
                    name,
                    found: found.to_vec(),
                    expected: shape,
                });
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(first) => Err(Error::Missing {
                path: self.file.path().into(),
                count: missing.len(),
                first: (*first).clone(),
            }),
        }
    }

    /// The pooling that suits this checkpoint, with the reason in words.
    pub fn default_pooling(&self) -> (Pooling, String) {
        let pooling = self.folder.join("1_Pooling/config.json");
        if let Ok(json) = read_json(&pooling) {
            let on = |field: &str| json.get(field).and_then(Value::as_bool).unwrap_or(false);
            if on("pooling_mode_cls_token") && !on("pooling_mode_mean_tokens") {
                return (Pooling::Cls, "a sentence encoder that pools its first token".into());
            }
            return (
                Pooling::Mean,
                "a sentence encoder: its pooler was left behind in training".into(),
            );
        }
        if OF_SENTENCES.iter().any(|f| self.folder.join(f).exists()) {
            return (
                Pooling::Mean,
                "a sentence encoder: its pooler was left behind in training".into(),
            );
        }
        if let Some(reason) = self.family.trusts_pooler.filter(|_| self.spec.pooler) {
            return (Pooling::Pooler, reason.into());
        }
        let config = read_json(&self.folder.join("config.json")).unwrap_or_default();
        if config.get("classifier_pooling").and_then(Value::as_str) == Some("mean") {
            return (Pooling::Mean, "as its config.json says (classifier_pooling)".into());
        }
        if let InputSpec::Image(image) = &self.spec.input {
            return match image.axes.without_class_token {
                false => {
                    (Pooling::Cls, "an image encoder: its class token after the final norm".into())
                }
                true => (Pooling::Mean, "an image encoder without a class token".into()),
            };
        }
        (Pooling::Cls, "no pre-trained pooler that can be trusted: the first token".into())
    }
}

/// Files of `sentence-transformers` in a model's folder, which speak of folders beside them.
const OF_SENTENCES: [&str; 3] =
    ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"];

/// Dimensions of the tensors that checkpoints hold with more of them: tokens and tables with units
/// in front, and the projection of patches as a convolution `[d, channels, patch, patch]`.
fn dimensions(canonical: &str) -> Option<usize> {
    match canonical.strip_suffix(".weight").unwrap_or(canonical) {
        names::CLASS_TOKEN | names::DISTILLATION_TOKEN | names::POOLER_PROBE => Some(1),
        names::POSITION | names::PATCH | names::REGISTERS => Some(2),
        _ => None,
    }
}

/// A shape of the same elements with fewer dimensions: units in front are dropped, then the last
/// dimensions multiplied.
fn flattened(shape: &[usize], dimensions: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    while shape.len() > dimensions && shape.first() == Some(&1) {
        shape.remove(0);
    }
    while shape.len() > dimensions.max(1) {
        let last = shape.pop().unwrap_or(1);
        let length = shape.len();
        shape[length - 1] = shape[length - 1].saturating_mul(last);
    }
    shape
}

/// What `tokenizer_config.json` adds to a vocabulary of WordPiece; none where that is not what the
/// tokenizer is made from.
fn tokenizer_settings(folder: &Path) -> Result<Option<WordPieceSettings>, Error> {
    if folder.join("tokenizer.json").exists() || !folder.join("vocab.txt").exists() {
        return Ok(None);
    }
    let path = folder.join("tokenizer_config.json");
    let config = if path.exists() { read_json(&path)? } else { Value::Null };
    let words = folder.join("vocab.txt");
    text_file::check(&words, TOKENIZER_MOST)?;
    let words = std::fs::read_to_string(&words).map_err(Error::io(&words))?;
    let settings = WordPieceSettings::from_config(&config, &words);
    settings.map(Some).map_err(|e| Error::content(path, e))
}

/// The hash of what the tokenizer is made from; none where there is no tokenizer.
fn tokenizer_sha256(folder: &Path) -> Result<Option<String>, Error> {
    for set in [&["tokenizer.json"][..], &["vocab.txt"], &["vocab.json", "merges.txt"]] {
        if !set.iter().all(|name| folder.join(name).exists()) {
            continue;
        }
        let mut parts = Vec::with_capacity(set.len());
        for name in set {
            let path = folder.join(name);
            text_file::check(&path, TOKENIZER_MOST)?;
            parts.push((*name, std::fs::read(&path).map_err(Error::io(&path))?));
        }
        let json = parts.first().filter(|(name, _)| *name == "tokenizer.json");
        let overrides = Overrides::read(folder, json.map(|(_, bytes)| &bytes[..]));
        let overrides = overrides.map_err(|(path, e)| Error::content(path, e))?;
        if !overrides.is_empty() {
            let said = serde_json::to_vec(&overrides)
                .map_err(|e| Error::content(folder, e.to_string()))?;
            parts.push(("tokenizer_config.json", said));
        }
        return Ok(Some(match &parts[..] {
            [(_, bytes)] => digest::of_bytes(bytes),
            many => digest::of_parts(many.iter().map(|(name, bytes)| (*name, &bytes[..]))),
        }));
    }
    Ok(None)
}
