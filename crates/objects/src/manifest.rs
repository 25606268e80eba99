//! The object that says which others make up a folder of ours, with their hashes. Readers go by it
//! alone, so that one write of it changes the folder as a whole.

use std::collections::BTreeSet;

use budwood_base::address::is_part;
use budwood_base::{digest, json};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Its name in the folder.
pub(crate) const NAME: &str = ".budwood.json";
/// The folder of objects that readers with a manifest alone see.
pub(crate) const HIDDEN: &str = ".budwood";
/// Version of the format.
const FORMAT: u32 = 1;
const FILES_MOST: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    budwood_objects: u32,
    /// What the folder is, in words.
    pub(crate) what: String,
    /// Who wrote it: no two writers have the same.
    pub(crate) id: String,
    /// Whether all objects are there.
    pub(crate) whole: bool,
    pub(crate) files: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// Its name in the folder, with `/`.
    pub(crate) name: String,
    /// The object that holds it: of its own name, or a hidden one.
    pub(crate) object: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn new(what: &str, id: &str, whole: bool, files: Vec<File>) -> Self {
        Self { budwood_objects: FORMAT, what: what.into(), id: id.into(), whole, files }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads one, and refuses it if a name in it could lead elsewhere.
    pub(crate) fn parse(place: &str, text: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Manifest(place.into(), why.into());
        json::check(text).map_err(|e| wrong(&e.to_string()))?;
        let manifest: Self =
            serde_json::from_slice(text).map_err(|_| wrong("it is no manifest of Budwood"))?;
        if manifest.budwood_objects != FORMAT {
            return Err(wrong("a newer Budwood wrote it"));
        }
        let safe = |name: &str| name.len() <= 1024 && name.split('/').all(is_part);
        let sound = |f: &File| {
            let hidden = f.object.strip_prefix(HIDDEN).is_some_and(|rest| rest.starts_with('/'));
            let ours = f.name != NAME && f.name.split('/').next() != Some(HIDDEN);
            safe(&f.name)
                && safe(&f.object)
                && ours
                && (hidden || f.object == f.name)
                && digest::is_sha256(&f.sha256)
        };
        let names: BTreeSet<&str> = manifest.files.iter().map(|f| f.name.as_str()).collect();
        let few = (1..=FILES_MOST).contains(&manifest.files.len());
        if !few || names.len() < manifest.files.len() || !manifest.files.iter().all(sound) {
            return Err(wrong("it names files that no folder of Budwood has"));
        }
        Ok(manifest)
    }
}
