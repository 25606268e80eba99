//! A model's folder: what every writer of one needs, and a model with some of its tensors changed.

use std::path::Path;

use budwood_base::encoder::TensorSpec;
use budwood_base::folder::{Kind, Ours, OutFolder};
use budwood_base::head::HeadKind;
use budwood_base::tensor::TensorMap;
use serde_json::{Value, json};

use crate::export::{Exported, label2id, model_class, transformers_head};
use crate::family::Piece;
use crate::native::{AdapterFolder, AdapterMeta};
use crate::safetensors_file::to_bytes;
use crate::text_file::read_json;
use crate::{BaseModel, Error};

/// The folder of a model that this program wrote.
pub static KIND: Kind = Kind { what: "a model", ours: Ours::Listed };

/// Writes `model` to a new folder, with `changed` in the place of its own tensors, in f32 and under
/// the names of its family. Heads of the checkpoint are left out.
///
/// # Errors
/// If a tensor cannot be read or is of another shape, or the folder cannot be written; nothing is
/// left behind then.
pub fn write(model: &BaseModel, changed: &TensorMap, folder: &Path) -> Result<(), Error> {
    let path = folder.join("model.safetensors");
    let weights = to_bytes(&path, &with_changes(model, changed)?)?;
    write_new(folder, |new| {
        copy_others(model.folder(), new)?;
        std::fs::write(new.join("model.safetensors"), &weights)
    })
}

/// The tensors of a model by the names of its family, some of them changed.
pub(crate) fn with_changes(model: &BaseModel, changed: &TensorMap) -> Result<TensorMap, Error> {
    let mut tensors = TensorMap::new();
    for stored in model.layout() {
        let mut tensor = model.stored(stored)?;
        let mut start = 0;
        for Piece { tensor: TensorSpec { name, shape, .. }, rows } in &stored.pieces {
            let columns: usize = shape[1..].iter().product();
            let end = start + rows.len() * columns;
            if let Some(changed) = changed.get(name) {
                if changed.shape != *shape {
                    let message = format!("tensor '{name}' is {:?}, not {shape:?}", changed.shape);
                    return Err(Error::content(model.folder(), message));
                }
                let rows = rows.start * columns..rows.end * columns;
                tensor.data[start..end].copy_from_slice(&changed.data[rows]);
            }
            start = end;
        }
        tensors.insert(stored.name.clone(), tensor);
    }
    Ok(tensors)
}

/// A model of `transformers` for the task of an adapter: its base with `changed` in the place of
/// its own tensors, and the adapter's head with the names of its classes.
///
/// # Errors
/// If the model of `transformers` has no such head, or a file of the base cannot be read.
pub fn tuned(
    model: &BaseModel,
    changed: &TensorMap,
    adapter: &AdapterFolder,
) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = adapter;
    let mut all = with_changes(model, changed)?;
    let head = transformers_head(meta, model.family(), tensors)?;
    all.extend(head.tensors);
    let mut exported = Exported::default();
    exported.notes.extend(head.note);
    exported.json("config.json", &task_config(model, meta)?);
    exported.tensors("model.safetensors", &all, true)?;
    let others = other_files(model)?;
    exported.files.extend(others.into_iter().filter(|(name, _)| name != TOKENIZER_CONFIG));
    let settings = model.folder().join(TOKENIZER_CONFIG);
    if settings.exists() {
        // Texts are cut as in training where the tokenizer is asked to cut them.
        let mut settings = read_json(&settings)?;
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("model_max_length".into(), json!(meta.task.max_length));
        }
        exported.json(TOKENIZER_CONFIG, &settings);
    }
    Ok(exported)
}

/// The `config.json` of a model for the task of an adapter: the base's own with the class of
/// `transformers` and the names of the adapter's classes.
///
/// # Errors
/// If that of the base cannot be read.
pub fn task_config(model: &BaseModel, meta: &AdapterMeta) -> Result<Value, Error> {
    let mut config = read_json(&model.folder().join("config.json"))?;
    // The newer name of `torch_dtype`; what is written is in f32, whatever the base was saved in.
    if config.get("dtype").is_some() {
        config["dtype"] = json!("float32");
    }
    // Models with a head are of the type of both halves, as CLIP's and SigLIP's.
    let model_type = config["model_type"].as_str().unwrap_or_default();
    if let Some(both) = model_type.strip_suffix("_vision_model") {
        config = json!({ "model_type": both, "vision_config": config });
    }
    let label2id = label2id(meta);
    let id2label: serde_json::Map<_, _> =
        label2id.iter().map(|(label, id)| (id.to_string(), json!(label))).collect();
    let class = model.family().class_of(&model.model_type()?);
    config["architectures"] = json!([model_class(meta, class)]);
    if meta.head.kind != HeadKind::MaskedLm {
        config["id2label"] = json!(id2label);
        config["label2id"] = json!(label2id);
    }
    config["torch_dtype"] = json!("float32");
    config["problem_type"] = match meta.head.kind {
        HeadKind::Classification => json!("single_label_classification"),
        HeadKind::MultiLabel => json!("multi_label_classification"),
        HeadKind::Regression => json!("regression"),
        HeadKind::TokenClassification | HeadKind::QuestionAnswering | HeadKind::MaskedLm => {
            json!(null)
        }
    };
    Ok(config)
}

/// Files that say how a model reads its inputs, beside SentencePiece's `*.model`. No others leave
/// its folder: what lies there may be of an adapter, of a training, or nobody's business.
const OF_INPUTS: [&str; 9] = [
    "added_tokens.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    TOKENIZER_CONFIG,
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
];
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The files of a model's folder that say how it reads its inputs, by name.
///
/// # Errors
/// If one cannot be read.
pub fn other_files(model: &BaseModel) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let files = std::fs::read_dir(model.folder()).map_err(Error::io(model.folder()))?;
    let mut names: Vec<_> =
        files.flatten().map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let others = names.into_iter().filter(|name| is_of_inputs(name));
    let read = |name: String| {
        let path = model.folder().join(&name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        Ok((name, bytes))
    };
    others.map(read).collect()
}

fn is_of_inputs(name: &str) -> bool {
    OF_INPUTS.contains(&name) || name.ends_with(".model")
}

/// Fills a new folder with a model's files, whole or not at all.
pub(crate) fn write_new<E>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), Error>
where
    Error: From<E>,
{
    let filled = OutFolder::open(folder, &KIND)?.replace(|new| fill(new).map_err(Error::from));
    filled.map_err(|e| match e {
        Error::Io { path, source } if path.as_os_str().is_empty() => {
            Error::Io { path: folder.into(), source }
        }
        other => other,
    })
}

/// Copies what a model's folder holds beside weights: configuration, tokenizer, pooling.
pub(crate) fn copy_others(from: &Path, to: &Path) -> std::io::Result<()> {
    const POOLING: &str = "1_Pooling";
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "config.json" || is_of_inputs(&name) {
            std::fs::write(to.join(&name), std::fs::read(from.join(&name))?)?;
        }
    }
    let pooling = from.join(POOLING).join("config.json");
    if pooling.exists() {
        std::fs::create_dir_all(to.join(POOLING))?;
        std::fs::write(to.join(POOLING).join("config.json"), std::fs::read(pooling)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that knows its file keeps it; one that does not names the folder.
    #[test]
    fn what_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("model");
        for (named, said) in [("weights", "weights"), ("", "model")] {
            let fault = || std::io::Error::other("no room");
            let fill = |_: &Path| Err(Error::Io { path: named.into(), source: fault() });
            let message = write_new(&folder, fill).unwrap_err().to_string();
            assert!(message.contains(said) && message.contains("no room"), "{message}");
            assert_eq!(message.contains("model"), named.is_empty(), "{message}");
            assert!(!folder.exists());
        }
    }
}
