//! Base models of the Hugging Face hub, kept in its own cache. `HF_ENDPOINT`, `HF_HOME` and `HF_TOKEN` are
//! honoured by the library, `HF_HUB_OFFLINE` here.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo};

/// Files beside the weights that a base model may have.
const SMALL: &[&str] = &[
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Whether a name is one of the hub: `OWNER/NAME`, or anything behind `hf:`.
pub(crate) fn model_name(name: &str) -> Option<&str> {
    if let Some(name) = name.strip_prefix("hf:") {
        return Some(name);
    }
    let word = |w: &str| {
        !w.is_empty()
            && !w.starts_with('.')
            && w.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
    };
    let (owner, model) = name.split_once('/')?;
    (word(owner) && word(model)).then_some(name)
}

/// The folder of a model of the hub, fetched if it is not in the hub's cache.
pub(crate) fn fetch(name: &str) -> Result<PathBuf> {
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0"));
    if let Some(path) = Cache::from_env().repo(Repo::model(name.into())).get("config.json") {
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        if folder.join(WEIGHTS).exists() || folder.join(INDEX).exists() {
            return Ok(folder);
        }
    }
    if offline {
        bail!("'{name}' is not in the hub's cache, and HF_HUB_OFFLINE is set");
    }
    eprintln!("fetching {name} from the hub ...");
    let api = ApiBuilder::from_env().build().context("the hub cannot be used")?;
    let repo = api.model(name.into());
    let info = repo
        .info()
        .with_context(|| format!("the hub has no model '{name}', or cannot be reached"))?;
    let there = |file: &str| info.siblings.iter().any(|s| s.rfilename == file);
    let get = |file: &str| {
        repo.get(file).with_context(|| format!("cannot fetch {file} of '{name}' from the hub"))
    };
    for file in SMALL.iter().filter(|f| there(f)) {
        get(file)?;
    }
    if there(WEIGHTS) {
        get(WEIGHTS)?;
    } else if there(INDEX) {
        get(INDEX)?;
        let shards = info.siblings.iter().map(|s| &s.rfilename);
        let is_shard = |f: &&String| f.starts_with("model-") && f.ends_with(".safetensors");
        for shard in shards.filter(is_shard) {
            get(shard)?;
        }
    } else {
        bail!("'{name}' has no {WEIGHTS}; models that have only a pickle are not loaded");
    }
    // Every file of one revision lies in one folder.
    Ok(get("config.json")?.parent().map(PathBuf::from).unwrap_or_default())
}
