//! Results that go to an object store: made in a folder of this machine, and then sent.
//!
//! The folder has a name that depends on the address alone, so that the same command finds what it
//! had made before it was killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use budwood_base::address::Address;
use budwood_base::digest;
use budwood_base::folder::{Kind, Ours, OutFolder};
use budwood_hub::{cache_folder, open_store, sent_to};
use budwood_objects::{Cache, Error, Form, Store, Take, Upload};
use budwood_train::RESUME;

use crate::output::note;

/// Where a run's checkpoint lies in the folder of its adapter.
const CHECKPOINT: &str = "checkpoint";
/// Bytes of a checkpoint.
const CHECKPOINT_MOST: u64 = 1 << 40;
/// What says which checkpoint of the store the folder here comes from, beside it.
const SYNCED: &str = "synced";

/// A folder in a store that a command writes.
pub(crate) struct Remote {
    address: Address,
    store: Arc<Store>,
    upload: Upload<'static>,
    checkpoint: Option<Upload<'static>>,
    staging: PathBuf,
    /// Modification times of the files that were sent last.
    sent: Vec<(&'static str, std::time::SystemTime)>,
}

/// Folders that wait to be sent.
fn outgoing() -> Result<PathBuf> {
    Ok(cache_folder()?.join("outgoing"))
}

fn store_of(address: &Address) -> Result<Arc<Store>> {
    let store = open_store(address)?;
    // A bucket that is not there, or credentials that are none, are better known before the work.
    store.page("", "", 1)?;
    Ok(Arc::new(store))
}

impl Remote {
    /// Looks at what is there; nothing is changed. A folder of adapters may be the place of a run,
    /// whose checkpoint is fetched by [`Remote::pull`].
    pub(crate) fn open(address: &Address, kind: &'static Kind) -> Result<Self> {
        if address.name().is_empty() {
            bail!("{address} names a whole bucket: give a name in it, such as {address}/NAME");
        }
        let store = store_of(address)?;
        let (files, within) = match kind.ours {
            Ours::Named { files, work, .. } => (files, (!work.is_empty()).then_some(CHECKPOINT)),
            Ours::Listed => (&[][..], None),
        };
        let form = Form { what: kind.what, files, within, plain: true };
        let is_ours = |text: &[u8]| is_marked(kind, text).unwrap_or(false);
        let upload = Upload::begin(&store, "", form, &is_ours)?;
        let folder = outgoing()?.join(&digest::of_bytes(address.to_string().as_bytes())[..32]);
        let last: String = address.last().chars().take(100).collect();
        let staging = folder.join(last);
        sent_to(&staging, address);
        let address = address.clone();
        let (checkpoint, sent) = (None, Vec::new());
        Ok(Self { address, store, upload, checkpoint, staging, sent })
    }

    /// The folder of this machine in which the results are made.
    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// Whether a whole folder of this kind is in the store.
    pub(crate) fn is_whole(&self) -> bool {
        self.upload.is_whole()
    }

    /// Sends the folder.
    pub(crate) fn send(&mut self, out: &OutFolder) -> Result<()> {
        let sent = self.upload.put(out.path(), &out.files());
        sent.with_context(|| format!("cannot write {}", self.address))
    }

    /// Makes the folder here the state of the run in the store, if that is another than the one
    /// that this machine fetched or sent last.
    pub(crate) fn pull(&mut self) -> Result<()> {
        let form = Form { what: "a run's checkpoint", files: &[], within: None, plain: false };
        let upload = Upload::begin(&self.store, CHECKPOINT, form, &|_| false)?;
        let synced = self.staging.with_file_name(SYNCED);
        let known = std::fs::read_to_string(&synced).unwrap_or_default();
        if upload.id().is_none() && !known.is_empty() {
            // It was removed, or the run has ended elsewhere.
            for name in RESUME {
                let _ = std::fs::remove_file(self.staging.join(name));
            }
            let _ = std::fs::remove_file(&synced);
        }
        if let Some(id) = upload.id().filter(|id| *id != known) {
            let cache = Cache::open(&self.staging.with_file_name("fetched"), 0)?;
            let place = self.store.place(CHECKPOINT);
            let mut told = |bytes| {
                note!("fetching {place} ({}) ...", crate::output::bytes(bytes));
            };
            let kept =
                cache.fetch(&self.store, CHECKPOINT, Take::All, CHECKPOINT_MOST, &mut told)?;
            let Some(kept) = kept else { bail!("{place} is gone; try again") };
            for name in RESUME {
                let (from, to) = (kept.path().join(name), self.staging.join(name));
                let placed = match from.is_file() {
                    true => to
                        .parent()
                        .map_or(Ok(()), std::fs::create_dir_all)
                        .and_then(|()| std::fs::copy(&from, &to).map(drop)),
                    false if to.exists() => std::fs::remove_file(&to),
                    false => Ok(()),
                };
                placed.with_context(|| format!("cannot write {}", to.display()))?;
            }
            std::fs::write(&synced, id)
                .with_context(|| format!("cannot write {}", synced.display()))?;
            cache.forget(kept);
        }
        self.checkpoint = Some(upload);
        Ok(())
    }

    /// Sends the state of the run, if it has changed.
    pub(crate) fn push(&mut self) -> Result<()> {
        let Some(checkpoint) = &mut self.checkpoint else { return Ok(()) };
        let time = |name: &&'static str| {
            let time = std::fs::metadata(self.staging.join(name)).and_then(|m| m.modified());
            Some((*name, time.ok()?))
        };
        let now: Vec<_> = RESUME.iter().filter_map(time).collect();
        if now.is_empty() || now == self.sent {
            return Ok(());
        }
        let names: Vec<String> = now.iter().map(|(name, _)| (*name).into()).collect();
        match checkpoint.put(&self.staging, &names) {
            Ok(()) => {}
            Err(Error::Taken(place)) => bail!(
                "{place}: another process is at work on this run; what it wrote stays. Wait for \
                 its end, or give another --out"
            ),
            // The run is worth more than its checkpoint; the next one is tried again.
            Err(error) => {
                note!("the checkpoint is on this machine alone: {error}");
                return Ok(());
            }
        }
        let synced = self.staging.with_file_name(SYNCED);
        let _ = std::fs::write(synced, checkpoint.id().unwrap_or_default());
        self.sent = now;
        Ok(())
    }

    /// Removes the state of a run that has ended from the store, and the folder here.
    pub(crate) fn settle(self) -> Result<()> {
        if let Some(checkpoint) = self.checkpoint {
            checkpoint.remove()?;
        }
        let _ = std::fs::remove_dir_all(&self.staging);
        let _ = std::fs::remove_file(self.staging.with_file_name(SYNCED));
        if let Some(above) = self.staging.parent() {
            let _ = std::fs::remove_dir_all(above.join("fetched"));
            // What else lies there stays.
            let _ = std::fs::remove_dir(above);
        }
        Ok(())
    }
}

/// Whether a description was written by this program.
fn is_marked(kind: &Kind, text: &[u8]) -> std::io::Result<bool> {
    let Ours::Named { files: [description, ..], mark, .. } = kind.ours else { return Ok(false) };
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(description), text)?;
    Ok(mark(folder.path()))
}

/// Refuses a file for results that is there, unless it may be replaced.
pub(crate) fn check_file(address: &Address, overwrite: bool) -> Result<()> {
    if address.name().is_empty() {
        bail!("{address} names a whole bucket: give the name of a file in it");
    }
    if store_of(address)?.look("")?.is_some() && !overwrite {
        bail!("{address} is there already; say --overwrite to replace it");
    }
    Ok(())
}

/// Sends what `write` puts into a file.
pub(crate) fn write_file(
    address: &Address,
    write: impl FnOnce(&mut std::fs::File) -> Result<()>,
) -> Result<()> {
    let folder = outgoing()?;
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    write(file.as_file_mut())?;
    open_store(address)?.send("", file.path()).with_context(|| format!("cannot write {address}"))
}
