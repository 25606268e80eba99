//! A base model's folder in Hugging Face's layout: `config.json`, `model.safetensors` (or shards),
//! tokenizer.

use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_base::encoder::{EncoderSpec, InputSpec, TensorSpec};
use budwood_base::head::Pooling;
use budwood_base::names;
use budwood_base::record::BaseId;
use budwood_base::tensor::Tensor;
use budwood_base::tokenizer::WordPieceSettings;
use serde_json::Value;

use crate::Error;
use crate::family::{self, Config, FAMILIES, Family};
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
        let model_type = json.get("model_type").and_then(Value::as_str);
        let model_type = model_type.ok_or_else(|| config.fault("lacks the field 'model_type'"))?;
        let family = family::find(model_type).ok_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().flat_map(|f| f.model_types).copied().collect();
            config.fault(format!(
                "model_type is '{model_type}', which is not known; known are {}",
                known.join(", ")
            ))
        })?;
        let mut spec = (family.spec)(&config)?;
        let file = Weights::open_in(folder, &["model.safetensors", "pytorch_model.bin"])?;
        let prefix = format!("{}.", family.prefix);
        let prefixed = file.names().any(|name| name.starts_with(&prefix));
        config.check_layers(spec.layers, file.names().count())?;
        let found = file.sha256();
        let original = Manifest::original(folder, &found)?;
        let (weights_sha256, int8_sha256) = match &original {
            Some(original) => (original.weights_sha256.clone(), Some(found)),
            None => (found, None),
        };
        spec.pooler = false;
        let mut model = Self {
            folder: folder.into(),
            spec,
            file,
            family,
            prefixed,
            weights_sha256,
            tokenizer_sha256: tokenizer_sha256(folder)?,
            tokenizer_settings: tokenizer_settings(folder)?,
            int8_sha256,
        };
        let pooler = ["pooler.weight", "pooler.bias"];
        model.spec.pooler = pooler.iter().all(|name| model.stored_name(name).is_some());
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
        let name = self.stored_name(canonical).ok_or_else(|| Error::Missing {
            path: self.file.path().into(),
            count: 1,
            first: self.family.checkpoint_name(canonical).unwrap_or_else(|| canonical.into()),
        })?;
        let mut tensor = self.file.tensor(&name)?;
        if let Some(dimensions) = dimensions(canonical) {
            tensor.shape = flattened(&tensor.shape, dimensions);
        }
        Ok(tensor)
    }

    /// All tensors of its files, those of a head included.
    pub(crate) fn weights(&self) -> &Weights {
        &self.file
    }

    /// The shape that a canonical tensor has in the file.
    pub(crate) fn stored_shape(&self, canonical: &str) -> Option<Vec<usize>> {
        Some(self.file.shape(&self.stored_name(canonical)?)?.to_vec())
    }

    /// The name under which a canonical tensor stands in the file: with or without the family's
    /// prefix, and with `gamma` and `beta` for a norm's gain and bias in old files.
    fn stored_name(&self, canonical: &str) -> Option<String> {
        let full = self.family.checkpoint_name(canonical)?;
        let name = if self.prefixed {
            full
        } else {
            full.strip_prefix(self.family.prefix)?.strip_prefix('.')?.to_string()
        };
        if self.file.contains(&name) {
            return Some(name);
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
        for TensorSpec { name: canonical, shape, .. } in self.spec.tensors() {
            let Some(name) = self.stored_name(&canonical) else {
                missing.push(self.family.checkpoint_name(&canonical).unwrap_or(canonical));
                continue;
            };
            let found = self.file.shape(&name).unwrap_or_default();
            let same = match dimensions(&canonical) {
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
                first: first.clone(),
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
        let sentence =
            ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"];
        if sentence.iter().any(|f| self.folder.join(f).exists()) {
            return (
                Pooling::Mean,
                "a sentence encoder: its pooler was left behind in training".into(),
            );
        }
        if self.spec.pooler && self.family.name == "bert" {
            return (Pooling::Pooler, "a BERT with its pre-trained pooler, as in the paper".into());
        }
        if matches!(self.spec.input, InputSpec::Image(_)) {
            return (Pooling::Cls, "an image encoder: its class token after the final norm".into());
        }
        (Pooling::Cls, "no pre-trained pooler that can be trusted: the first token".into())
    }
}

/// Dimensions of the tensors that checkpoints hold with more of them: tokens and tables with units
/// in front, and the projection of patches as a convolution `[d, channels, patch, patch]`.
fn dimensions(canonical: &str) -> Option<usize> {
    match canonical.strip_suffix(".weight").unwrap_or(canonical) {
        names::CLASS_TOKEN | names::DISTILLATION_TOKEN => Some(1),
        names::POSITION | names::PATCH => Some(2),
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
        return Ok(Some(match &parts[..] {
            [(_, bytes)] => digest::of_bytes(bytes),
            many => digest::of_parts(many.iter().map(|(name, bytes)| (*name, &bytes[..]))),
        }));
    }
    Ok(None)
}
