//! Adapters of ours: read, put on a base, and asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use budwood::{Answer, Base, Input};
use budwood_base::method::MethodSpec;
use budwood_base::tensor::Tensor;
use budwood_base::{digest, json};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, FORMAT};
use serde_json::{Value, json};

use crate::corpus::{self, tokenizers};
use crate::mutate::Files;

const DESCRIPTION: &str = "adapter.json";
const WEIGHTS: &str = "adapter.safetensors";

/// Writes a reference base with a tokenizer into a new folder.
pub(crate) fn copy_base(folder: &Path) -> std::io::Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
    fs::create_dir_all(folder)?;
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(name), folder.join(name))?;
    }
    let tokenizer = tokenizers().swap_remove(0);
    tokenizer.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

/// That base, made once.
fn base_folder() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().ok()?.keep().join("base");
        copy_base(&folder).ok()?;
        Some(folder)
    });
    made.as_deref()
}

fn base() -> Option<&'static Base> {
    static OPENED: OnceLock<Option<Base>> = OnceLock::new();
    OPENED.get_or_init(|| Base::open(base_folder()?).ok()).as_ref()
}

/// A head alone, and those of other libraries that fit the base.
pub(crate) fn corpus() -> Vec<Files> {
    let Some(base) = base_folder().and_then(|folder| BaseModel::open(folder).ok()) else {
        return Vec::new();
    };
    let foreign = corpus::places("golden", "adapter_config.json");
    let foreign = foreign.iter().filter_map(|path| budwood::read_folder(path, &base, "bert").ok());
    linear(&base).into_iter().chain(foreign).filter_map(saved).collect()
}

fn linear(base: &BaseModel) -> Option<AdapterFolder> {
    let hidden = base.spec().hidden;
    let weight = (0..2 * hidden).map(|i| (i % 7) as f32 / 10.0).collect();
    let meta = json!({
        "budwood_adapter": FORMAT, "method": MethodSpec::named("linear"),
        "base": base.id("bert"), "encoder": base.spec(),
        "head": { "kind": "classification", "outputs": 2, "pooling": "cls", "dense": null,
                  "bias": true, "dropout": 0.1 },
        "labels": ["no", "yes"],
        "task": { "name": "t", "kind": "classification", "text_columns": ["text"],
                  "label_column": "label", "max_length": 16, "metric": "accuracy" },
        "precision": "f32", "training": {}, "seed": 1, "data": [], "metrics": [],
        "parameters_trained": 66, "parameters_base": 1, "weights_sha256": "", "versions": {},
    });
    let tensors = [
        ("head.out.weight".to_string(), Tensor::new([2, hidden], weight)),
        ("head.out.bias".to_string(), Tensor::new([2], vec![0.5, -0.5])),
    ];
    Some(AdapterFolder { meta: serde_json::from_value(meta).ok()?, tensors: tensors.into() })
}

fn saved(adapter: AdapterFolder) -> Option<Files> {
    let dir = tempfile::tempdir().ok()?;
    let folder = dir.path().join("adapter");
    let mut adapter = adapter;
    adapter.save(&folder).ok()?;
    let read = |name: &str| Some((name.to_string(), fs::read(folder.join(name)).ok()?));
    [DESCRIPTION, WEIGHTS].into_iter().map(read).collect()
}

/// Reads the folder as it is, then with hashes that fit: whoever damages an adapter on purpose can
/// make them anew.
pub(crate) fn read(folder: &Path) {
    ask(folder);
    if seal(folder).is_some() {
        ask(folder);
    }
}

/// What an adapter answers to a text, or to a pair of texts.
fn ask(folder: &Path) -> Option<Vec<Answer>> {
    let adapter = base()?.adapter(folder).ok()?;
    let text = || adapter.predict(&[Input::texts("a good film", None::<String>)]);
    text().or_else(|_| adapter.predict(&[Input::texts("good", Some("a good film"))])).ok()
}

/// Writes both hashes anew: the description's into the weights' file, and that file's into the
/// description.
fn seal(folder: &Path) -> Option<()> {
    let (described, weights) = (folder.join(DESCRIPTION), folder.join(WEIGHTS));
    // What is too dense for the reader is so for this.
    let text = fs::read(&described).ok().filter(|text| json::check(text).is_ok())?;
    let mut description: Value = serde_json::from_slice(&text).ok()?;
    let bytes = fs::read(&weights).ok()?;
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (header, data) = bytes.get(8..)?.split_at_checked(length)?;
    json::check(header).ok()?;
    let mut header: Value = serde_json::from_slice(header).ok()?;
    let metadata = json!({ "budwood.description": digest::of_description(&description) });
    header.as_object_mut()?.insert("__metadata__".into(), metadata);
    let header = header.to_string().into_bytes();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, data].concat();
    let sha256 = digest::of_bytes(&bytes);
    description.as_object_mut()?.insert("weights_sha256".into(), sha256.into());
    fs::write(weights, bytes).ok()?;
    fs::write(described, description.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage is only found below the hashes if what is whole is taken.
    #[test]
    fn what_is_whole_and_what_is_sealed_answers() {
        let (all, mut answer) = (corpus(), 0);
        for files in &all {
            let dir = crate::mutate::written(files);
            // A few were made for a base whose weights are others.
            let Some(whole) = ask(dir.path()) else { continue };
            answer += 1;
            let described = dir.path().join(DESCRIPTION);
            let text = fs::read_to_string(&described).unwrap();
            let (from, to) = ("\"pooling\": \"cls\"", "\"pooling\": \"mean\"");
            if !text.contains(from) {
                continue;
            }
            fs::write(&described, text.replace(from, to)).unwrap();
            assert_eq!(ask(dir.path()), None);
            seal(dir.path()).unwrap();
            assert_ne!(ask(dir.path()).unwrap(), whole);
        }
        assert!(answer > all.len() / 2, "{answer} of {}", all.len());
    }
}
