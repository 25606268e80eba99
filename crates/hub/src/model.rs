//! A base model of the hub: which files it needs, and where they lie.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cache::Cache;
use crate::client::{Ask, Client, Failure};
use crate::download::{self, Wanted};
use crate::name::{is_commit, is_shard};
use crate::{Error, ModelName, Progress, Settings};

/// Files beside the weights that a base model may have.
const SMALL: &[&str] = &[
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];
/// One of these says how an input is read.
const READERS: &[&str] = &["tokenizer.json", "vocab.txt", "vocab.json", "preprocessor_config.json"];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Largest size in bytes of a file beside the weights.
const SMALL_LIMIT: u64 = 100_000_000;
/// Largest size in bytes of a file with weights.
const WEIGHTS_LIMIT: u64 = 50_000_000_000;
/// Largest size in bytes of the description of a model.
const INFO_LIMIT: u64 = 10_000_000;
const SHARDS_LIMIT: usize = 1000;

/// A hub and the cache of what comes from it.
pub struct Hub {
    client: Client,
}

/// What the hub says of a model.
#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// A hub under these settings. Nothing is asked of it yet.
    pub fn new(settings: Settings) -> Self {
        Self { client: Client::new(settings) }
    }

    /// The folder of a model. It is fetched if it is not in the cache; what is there is not asked
    /// for again. `report` is told of files as they come.
    ///
    /// # Errors
    /// If the hub cannot be reached, does not have or show the model, or answers with something
    /// that is not what it promised; if the model has no weights in safetensors; if the disk is
    /// full.
    pub fn model(
        &self,
        name: &ModelName,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, Error> {
        let cache = Cache::of(&self.client.settings.cache, name);
        let cached = cache.commit(name.revision()).map(|commit| cache.snapshot(&commit));
        if let Some(folder) = cached.filter(|folder| is_whole(folder)) {
            return Ok(folder);
        }
        if self.client.settings.offline {
            return Err(Error::Offline(name.to_string()));
        }
        let what = format!("model '{name}'");
        let info = self.client.patiently(&what, || self.info(name, &what))?;
        let there = |file: &str| info.siblings.iter().any(|s| s.rfilename == file);
        let weights = [WEIGHTS, INDEX].into_iter().find(|file| there(file)).ok_or_else(|| {
            let why = format!("has no {WEIGHTS}; models that have only a pickle are not loaded");
            Error::Usage(format!("'{name}' {why}"))
        })?;
        let mut fetch = |file: &str, limit| {
            let endpoint = &self.client.settings.endpoint;
            let address = format!("{endpoint}/{}/resolve/{}/{file}", name.repository(), info.sha);
            let what = format!("{file} of '{name}'");
            let (commit, what, address) = (&info.sha[..], &what[..], &address[..]);
            let wanted = Wanted { commit, file, what, address, limit };
            download::fetch(&self.client, &cache, &wanted, report)
        };
        for file in SMALL.iter().filter(|file| there(file)) {
            fetch(file, SMALL_LIMIT)?;
        }
        let folder = cache.snapshot(&info.sha);
        if weights == INDEX {
            fetch(INDEX, SMALL_LIMIT)?;
            let shards = shards(&folder)
                .map_err(|why| Error::answer(&format!("{INDEX} of '{name}'"), why))?;
            shards.iter().try_for_each(|shard| fetch(shard, WEIGHTS_LIMIT))?;
        } else {
            fetch(WEIGHTS, WEIGHTS_LIMIT)?;
        }
        // Only now does the revision lead here: an older commit stays in use until this is whole.
        cache.set_commit(name.revision(), &info.sha)?;
        Ok(folder)
    }

    fn info(&self, name: &ModelName, what: &str) -> Result<Info, Failure> {
        let revision = name.revision().replace('/', "%2F");
        let endpoint = &self.client.settings.endpoint;
        let address = format!("{endpoint}/api/models/{}/revision/{revision}", name.repository());
        let answer = self.client.send(Ask::Get(0), &address, what)?;
        let bad = |why: &str| Failure::Final(Error::answer(what, why));
        let mut bytes = Vec::new();
        let body = answer.into_body().into_reader();
        body.take(INFO_LIMIT + 1).read_to_end(&mut bytes).map_err(Failure::again)?;
        if bytes.len() as u64 > INFO_LIMIT {
            return Err(bad(&format!("it is longer than {INFO_LIMIT} bytes")));
        }
        let info: Info = serde_json::from_slice(&bytes)
            .map_err(|_| bad("it is not the description of a model in JSON"))?;
        if !is_commit(&info.sha) {
            return Err(bad("its commit is not 40 hexadecimal digits"));
        }
        if is_commit(name.revision()) && name.revision() != info.sha {
            return Err(bad("it is of another commit"));
        }
        Ok(info)
    }
}

/// Whether a commit's folder holds all that a base model needs.
fn is_whole(folder: &Path) -> bool {
    let there = |file: &str| folder.join(file).is_file();
    there("config.json")
        && READERS.iter().any(|file| there(file))
        && (there(WEIGHTS) || shards(folder).is_ok_and(|s| s.iter().all(|file| there(file))))
}

/// The files that a folder's index names.
fn shards(folder: &Path) -> Result<BTreeSet<String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let text = fs::read(folder.join(INDEX)).map_err(|e| e.to_string())?;
    let index: Index =
        serde_json::from_slice(&text).map_err(|_| "it is not an index of shards in JSON")?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(bad) = shards.iter().find(|name| !is_shard(name)) {
        return Err(format!(
            "{bad:?} is not a shard's name, such as model-00001-of-00002.safetensors"
        ));
    }
    if shards.is_empty() || shards.len() > SHARDS_LIMIT {
        return Err(format!("it names {} shards; 1 to {SHARDS_LIMIT} are read", shards.len()));
    }
    Ok(shards)
}
