//! A trained run on its way to the disk.
//!
//! Adapter and record are written in one step, so that a run that was killed before it was put
//! into a store can still be put there by the next start of the same command.

use std::path::Path;

use budwood_base::folder::{Kind, Ours, OutFolder};
use budwood_base::record::{Prediction, RunRecord};
use budwood_formats::native::{self, AdapterFolder, AdapterMeta};
use budwood_model::Adapter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;

/// What is left to do for a run, in the folder of its adapter until it is done.
const PENDING: &str = "run.json";

/// The folder of a run: its adapter, and what lies there while it goes on.
pub static FOLDER: Kind = Kind {
    what: "an adapter",
    ours: Ours::Named {
        files: native::FILES,
        work: &[budwood_train::WORK, &[PENDING]],
        mark: native::is_adapter,
    },
};

/// A trained run in memory.
pub struct Unsaved {
    /// The adapter, ready to compute.
    pub adapter: Adapter,
    pub(super) folder: AdapterFolder,
    /// What will be told of it; all but its weights is known.
    pub trained: Trained,
}

/// A run whose adapter is on disk.
#[derive(Serialize, Deserialize)]
pub struct Trained {
    /// SHA-256 of everything that decides its result ([`super::Run::identity`]).
    pub identity: String,
    /// The run as `budwood train --json` shows it.
    pub summary: Value,
    /// Rows and images that were left out.
    pub skipped: Vec<String>,
    /// Steps taken.
    pub steps: usize,
    /// Whether it ended because scores no longer rose.
    pub stopped_early: bool,
    /// Size of the adapter in bytes.
    pub bytes: u64,
    /// The run for a store.
    pub record: RunRecord,
    /// Scores that are undefined, by split and name.
    #[serde(default)]
    pub undefined: Vec<(String, String)>,
    /// The class that F1 is about, where one was named.
    #[serde(default)]
    pub positive: Option<String>,
    /// What the recipe chose and why, for people; nothing for the paper's.
    #[serde(default)]
    pub account: Option<String>,
    /// The answers by split.
    pub predictions: Vec<(String, Vec<Prediction>)>,
}

impl Unsaved {
    /// Writes the adapter and what is left to do, in one step. The checkpoint is gone then.
    /// `shown` is the folder as the caller named it.
    ///
    /// # Errors
    /// If the folder cannot be written; it then holds what it held before.
    pub fn save(mut self, out: &OutFolder, shown: &Path) -> Result<(Trained, AdapterMeta), Error> {
        let trained = &mut self.trained;
        let fill = |new: &Path| -> Result<(), budwood_formats::Error> {
            write_adapter(&mut self.folder, new, shown)?;
            trained.bytes = AdapterFolder::bytes_on_disk(new)?;
            let hash = self.folder.meta.weights_sha256.clone();
            trained.summary["bytes"] = json!(trained.bytes);
            trained.summary["weights_sha256"] = json!(hash);
            trained.record.weights_sha256 = hash;
            let pending = serde_json::to_vec(&trained).map_err(std::io::Error::from)?;
            let at = |source| budwood_formats::Error::Io { path: shown.join(PENDING), source };
            std::fs::write(new.join(PENDING), pending).map_err(at)
        };
        out.replace(fill)
            .map_err(|cause| Error::Write { path: shown.into(), cause: Box::new(cause) })?;
        Ok((self.trained, self.folder.meta))
    }
}

/// Writes an adapter into a new folder; faults name the place `shown`, where it will be.
///
/// # Errors
/// If a file cannot be written.
pub fn write_adapter(
    folder: &mut AdapterFolder,
    new: &Path,
    shown: &Path,
) -> Result<(), budwood_formats::Error> {
    use budwood_formats::Error;
    folder.write(new).map_err(|e| match e {
        Error::Io { path, source } => {
            Error::Io { path: shown.join(path.strip_prefix(new).unwrap_or(&path)), source }
        }
        other => other,
    })
}

impl Trained {
    /// The run in a folder that was saved, but is not settled.
    pub fn pending(out: &OutFolder) -> Option<Self> {
        let text = std::fs::read(out.path().join(PENDING)).ok()?;
        serde_json::from_slice(&text).ok().filter(|_| out.is_whole())
    }

    /// Whether nothing but the adapter itself is left of a run in a folder.
    pub fn is_settled(folder: &Path) -> bool {
        !folder.join(PENDING).exists()
    }

    /// Says that nothing is left to do for the run in a folder.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn settle(folder: &Path) -> Result<(), Error> {
        let path = folder.join(PENDING);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(budwood_formats::Error::Io { path, source: e }.into())
            }
            _ => Ok(()),
        }
    }
}
