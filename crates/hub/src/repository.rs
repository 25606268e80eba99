//! A repository of the hub, a base model or an adapter: which files it needs, and where they lie.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cache::Cache;
use crate::client::{Ask, Client, Failure, body};
use crate::download::{self, Wanted};
use crate::name::{is_commit, is_shard};
use crate::{Error, ModelName, Notice, Progress, Settings};

/// What is asked for of a repository.
struct Needs {
    /// In messages.
    what: &'static str,
    /// Files beside the weights, as far as they are there.
    small: &'static [&'static str],
    /// One of these must be there.
    one_of: &'static [&'static str],
    /// Of each group the first file that is there: safetensors before a pickle. The first group
    /// must have one. An index stands for the shards that it names.
    weights: &'static [&'static [&'static str]],
}

const MODEL: Needs = Needs {
    what: "model",
    small: &[
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "preprocessor_config.json",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
    ],
    // How an input is read.
    one_of: &["tokenizer.json", "vocab.txt", "vocab.json", "preprocessor_config.json"],
    weights: &[&[
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ]],
};

/// Of Budwood, AdapterHub or PEFT.
const ADAPTER: Needs = Needs {
    what: "adapter",
    small: &["adapter.json", "adapter_config.json", "head_config.json"],
    one_of: &["adapter.json", "adapter_config.json"],
    weights: &[
        &[
            "adapter.safetensors",
            "adapter_model.safetensors",
            "pytorch_adapter.bin",
            "adapter_model.bin",
        ],
        &["model_head.safetensors", "pytorch_model_head.bin"],
    ],
};

/// What a model in int8 was made from.
#[cfg(feature = "object-store")]
const QUANTIZED: &str = "budwood.json";
/// What of a model lies deeper in its folder.
#[cfg(feature = "object-store")]
pub(crate) const DEEPER: &[&str] = &["1_Pooling/config.json"];

/// How the name of an index of shards ends.
const INDEX: &str = ".index.json";

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

/// What is in the cache of a name.
struct Cached {
    needs: &'static Needs,
    commit: String,
    folder: PathBuf,
    /// Files that are wanted and may be in the commit, too.
    unknown: Vec<&'static str>,
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

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The folder of a base model. It is fetched if it is not in the cache; what is there as a
    /// whole is not asked for again. `report` is told of files as they come.
    ///
    /// # Errors
    /// If the hub cannot be reached, does not have or show the model, or answers with something
    /// that is not what it promised; if the model has no weights; if the disk is full.
    pub fn model(
        &self,
        name: &ModelName,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<PathBuf, Error> {
        if let Some(cached) = self.cached(name, &MODEL) {
            return self.completed(name, cached, report);
        }
        let info = self.ask(name, &MODEL)?;
        self.fetch(name, &info, &MODEL, report)
    }

    /// The folder of an adapter of Budwood, AdapterHub or PEFT; else that of a model that was tuned
    /// for a task, whose head is one.
    ///
    /// # Errors
    /// As [`Hub::model`].
    pub fn adapter(
        &self,
        name: &ModelName,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<PathBuf, Error> {
        if let Some(cached) = [&ADAPTER, &MODEL].into_iter().find_map(|n| self.cached(name, n)) {
            return self.completed(name, cached, report);
        }
        let info = self.ask(name, &ADAPTER)?;
        let is_adapter = ADAPTER.one_of.iter().any(|file| info.has(file));
        self.fetch(name, &info, if is_adapter { &ADAPTER } else { &MODEL }, report)
    }

    /// The folder in the cache, if it can be used.
    fn cached(&self, name: &ModelName, needs: &'static Needs) -> Option<Cached> {
        let cache = self.cache(name);
        let commit = cache.commit(name.revision())?;
        let folder = cache.snapshot(&commit);
        let unknown = needs.unknown(&folder, &cache.absent(&commit));
        needs.are_met(&folder).then_some(Cached { needs, commit, folder, unknown })
    }

    /// What is in the cache, with what the hub has beside it. Another program may have fetched a
    /// part, without a file that changes answers: the hub is asked about that same commit. Where it
    /// cannot be asked the part is used, and `report` is told.
    fn completed(
        &self,
        name: &ModelName,
        cached: Cached,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<PathBuf, Error> {
        if cached.unknown.is_empty() {
            return Ok(cached.folder);
        }
        let pinned = name.at(&cached.commit);
        match self.ask(&pinned, cached.needs) {
            Ok(info) => self.fetch(&pinned, &info, cached.needs, report),
            Err(error @ (Error::Offline(_) | Error::Network { .. } | Error::Busy { .. })) => {
                let why = match error {
                    Error::Offline(_) => "HF_HUB_OFFLINE is set".into(),
                    other => other.to_string(),
                };
                report(Notice::Part { model: name, unknown: &cached.unknown, why: &why });
                Ok(cached.folder)
            }
            Err(why) => Err(Error::Part { name: name.to_string(), source: Box::new(why) }),
        }
    }

    fn cache(&self, name: &ModelName) -> Cache {
        Cache::of(&self.client.settings.cache, name)
    }

    /// What the hub says of a repository.
    fn ask(&self, name: &ModelName, needs: &Needs) -> Result<Info, Error> {
        if self.client.settings.offline {
            return Err(Error::Offline(name.to_string()));
        }
        let what = format!("{} '{name}'", needs.what);
        self.client.patiently(&what, || self.info(name, &what))
    }

    fn fetch(
        &self,
        name: &ModelName,
        info: &Info,
        needs: &Needs,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<PathBuf, Error> {
        let cache = self.cache(name);
        let weights = needs.weights.iter().map(|group| group.iter().find(|file| info.has(file)));
        let weights: Vec<_> = weights.collect();
        if weights[0].is_none() {
            let (what, known) = (needs.what, needs.weights[0].join(", "));
            return Err(Error::Usage(format!("the {what} '{name}' has none of {known}")));
        }
        let mut fetch = |file: &str, limit| {
            let endpoint = &self.client.settings.endpoint;
            let address = format!("{endpoint}/{}/resolve/{}/{file}", name.repository(), info.sha);
            let what = format!("{file} of '{name}'");
            let (commit, what, address) = (&info.sha[..], &what[..], &address[..]);
            let wanted = Wanted { commit, file, what, address, limit };
            let mut told = |progress: Progress<'_>| report(Notice::File { model: name, progress });
            download::fetch(&self.client, &cache, &wanted, &mut told)
        };
        for file in needs.small.iter().filter(|file| info.has(file)) {
            fetch(file, SMALL_LIMIT)?;
        }
        let folder = cache.snapshot(&info.sha);
        for file in weights.into_iter().flatten() {
            if !file.ends_with(INDEX) {
                fetch(file, WEIGHTS_LIMIT)?;
                continue;
            }
            fetch(file, SMALL_LIMIT)?;
            let shards = shards(&folder.join(file))
                .map_err(|why| Error::answer(&format!("{file} of '{name}'"), why))?;
            shards.iter().try_for_each(|shard| fetch(shard, WEIGHTS_LIMIT))?;
        }
        for file in needs.names().filter(|file| !info.has(file)) {
            cache.note_absent(&info.sha, file)?;
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
        let bytes = body(answer, what, INFO_LIMIT)?;
        let info: Info = serde_json::from_slice(&bytes)
            .map_err(|_| bad("it is not the description of a repository in JSON"))?;
        if !is_commit(&info.sha) {
            return Err(bad("its commit is not 40 hexadecimal digits"));
        }
        if is_commit(name.revision()) && name.revision() != info.sha {
            return Err(bad("it is of another commit"));
        }
        Ok(info)
    }
}

/// Of the names in a folder those that an adapter, or else a model, needs.
#[cfg(feature = "object-store")]
pub(crate) fn needed(names: &[&str]) -> Vec<String> {
    let has = |file: &&str| names.contains(file);
    let needs = if ADAPTER.small.iter().any(has) { &ADAPTER } else { &MODEL };
    let small = needs.small.iter().chain([&QUANTIZED]).filter(|file| has(file)).copied();
    let weights = needs.weights.iter().filter_map(|group| group.iter().find(|file| has(file)));
    let weights: Vec<&str> = weights.copied().collect();
    let sharded = weights.iter().any(|file| file.ends_with(INDEX));
    let shards = names.iter().copied().filter(|file| sharded && is_shard(file));
    small.chain(weights.iter().copied()).chain(shards).map(Into::into).collect()
}

impl Info {
    fn has(&self, file: &str) -> bool {
        self.siblings.iter().any(|s| s.rfilename == file)
    }
}

impl Needs {
    /// All that may be there.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.small.iter().chain(self.weights.iter().copied().flatten()).copied()
    }

    /// What is left to ask for of a commit: files beside the weights, and groups of weights, that
    /// are not in its folder and not known to be missing from it.
    fn unknown(&self, folder: &Path, absent: &Path) -> Vec<&'static str> {
        let there = |file: &&str| folder.join(file).is_file();
        let none = |file: &&str| absent.join(file).exists();
        let small = self.small.iter().filter(|file| !there(file));
        let groups = self.weights.iter().filter(|group| !group.iter().any(&there));
        small.chain(groups.copied().flatten()).filter(|file| !none(file)).copied().collect()
    }

    /// Whether a commit's folder holds all that is needed.
    fn are_met(&self, folder: &Path) -> bool {
        let there = |file: &str| folder.join(file).is_file();
        let shards_are =
            |index: &Path| shards(index).is_ok_and(|shards| shards.iter().all(|file| there(file)));
        let whole = |file: &&&str| {
            there(file) && (!file.ends_with(INDEX) || shards_are(&folder.join(file)))
        };
        self.one_of.iter().any(|file| there(file)) && self.weights[0].iter().any(|f| whole(&f))
    }
}

/// The files that an index names.
fn shards(index: &Path) -> Result<BTreeSet<String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let text = fs::read(index).map_err(|e| e.to_string())?;
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
