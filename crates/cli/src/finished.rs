//! A trained run on its way to the disk and the store. Adapter and record are written in one step, so that a run that
//! was killed before it was recorded is recorded by the next start of the same command.

use std::path::Path;

use anyhow::{Context, Result};
use budwood_base::folder::OutFolder;
use budwood_base::record::{Prediction, RunRecord};
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_model::Adapter;
use budwood_store::Store;
use budwood_tasks::metric::why_undefined;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::output::{bytes, say, seconds, thousands};
use crate::training::{positive_of, tell_skipped};

/// What is left to do for a run, in the folder of its adapter until it is done.
pub(crate) const PENDING: &str = "run.json";

/// A trained run in memory.
pub(crate) struct Trained {
    pub(crate) adapter: Adapter,
    pub(crate) folder: AdapterFolder,
    /// What will be told of it; all but its weights is known.
    pub(crate) finished: Finished,
}

/// A run whose adapter is on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Finished {
    /// SHA-256 of everything that decides its result.
    pub(crate) identity: String,
    pub(crate) summary: Value,
    /// Images that were left out.
    pub(crate) skipped: Vec<String>,
    pub(crate) steps: usize,
    pub(crate) stopped_early: bool,
    /// Size of the adapter.
    pub(crate) bytes: u64,
    pub(crate) record: RunRecord,
    /// Scores that are undefined, by split and name.
    #[serde(default)]
    pub(crate) undefined: Vec<(String, String)>,
    /// The class that F1 is about, where one was named.
    #[serde(default)]
    pub(crate) positive: Option<String>,
    /// What the recipe chose and why, for people; nothing for the paper's.
    #[serde(default)]
    pub(crate) account: Option<String>,
    /// The answers by split.
    pub(crate) predictions: Vec<(String, Vec<Prediction>)>,
}

impl Trained {
    /// Writes the adapter and what is left to do, in one step. The checkpoint is gone then.
    pub(crate) fn save(mut self, out: &OutFolder, shown: &Path) -> Result<(Finished, AdapterMeta)> {
        let finished = &mut self.finished;
        out.replace(|new| {
            write(&mut self.folder, new, shown)?;
            finished.bytes = AdapterFolder::bytes_on_disk(new)?;
            let hash = self.folder.meta.weights_sha256.clone();
            finished.summary["bytes"] = json!(finished.bytes);
            finished.summary["weights_sha256"] = json!(hash);
            finished.record.weights_sha256 = hash;
            let pending = serde_json::to_vec(&finished)?;
            let at = || format!("cannot write {}", shown.join(PENDING).display());
            std::fs::write(new.join(PENDING), pending).with_context(at)
        })
        .with_context(|| format!("cannot write {}", shown.display()))?;
        Ok((self.finished, self.folder.meta))
    }
}

/// Writes an adapter into a new folder; faults name the place where it will be.
pub(crate) fn write(folder: &mut AdapterFolder, new: &Path, shown: &Path) -> Result<()> {
    use budwood_formats::Error;
    Ok(folder.write(new).map_err(|e| match e {
        Error::Io { path, source } => {
            Error::Io { path: shown.join(path.strip_prefix(new).unwrap_or(&path)), source }
        }
        other => other,
    })?)
}

impl Finished {
    /// The run in a folder that was saved, but whose record may be missing.
    pub(crate) fn pending(out: &OutFolder) -> Option<Self> {
        let text = std::fs::read(out.path().join(PENDING)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether nothing but the adapter itself is left of it in a folder.
    pub(crate) fn is_settled(folder: &Path) -> bool {
        !folder.join(PENDING).exists()
    }

    /// Adds the run to a store; if that fails, what is left to do stays.
    pub(crate) fn add_to(&self, store: &mut Store, out: &Path) -> Result<()> {
        store.add(&self.record, &self.predictions).map(drop).with_context(|| {
            let out = out.display();
            format!("the adapter is saved in {out}, but the run is not recorded; the same command records it")
        })
    }

    /// Nothing is left to do.
    pub(crate) fn settle(folder: &Path) -> Result<()> {
        let path = folder.join(PENDING);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The end of a run, for people.
    pub(crate) fn tell(&self, out: &Path) -> Result<()> {
        let record = &self.record;
        let share = 100.0 * record.parameters_trained as f64 / record.parameters_base as f64;
        let early = if self.stopped_early { ", stopped early" } else { "" };
        say!(
            "trained {} parameters ({share:.2} % of the base) in {} and {} steps{early}",
            thousands(record.parameters_trained),
            seconds(record.seconds),
            self.steps
        )?;
        if let Some(account) = &self.account {
            say!("{account}")?;
        }
        for metric in &record.metrics {
            let mark = if metric.primary { "  (chose the checkpoint)" } else { "" };
            let about = (record.kind.as_str(), &record.labels[..], self.positive.as_ref());
            let of = positive_of(&metric.name, about);
            say!("{:<5} {:<19} {:.4}{of}{mark}", metric.split, metric.name, metric.value)?;
        }
        for (split, name) in &self.undefined {
            say!("{split:<5} {name:<19} undefined: {}", why_undefined(name))?;
        }
        say!("adapter: {} ({})", out.display(), bytes(self.bytes))?;
        tell_skipped(&self.skipped)?;
        Ok(())
    }
}
