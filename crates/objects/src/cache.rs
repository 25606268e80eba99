//! Folders of a store on this disk, so that what was fetched once is not fetched again.
//!
//! A folder here has the name of its content (sizes and tags of all its objects), is whole, and
//! never changes. The least recently used go when all together have more bytes than they may.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use budwood_base::digest;

use crate::{Entry, Error, Store};

/// Objects of a folder, at most.
const OBJECTS_MAX: usize = 64;
/// The beginning of names of folders that are not whole.
const PART: &str = ".part-";

/// A folder of this machine that holds folders of stores.
pub struct Cache {
    root: PathBuf,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<String, Folder>,
    bytes: u64,
    uses: u64,
}

struct Folder {
    bytes: u64,
    used: u64,
    /// Shared by those who read it.
    readers: Arc<()>,
}

/// A folder that stays as long as this is held.
pub struct Kept {
    path: PathBuf,
    key: String,
    _reader: Arc<()>,
}

impl Kept {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Cache {
    /// A cache in a folder of its own, which is made if it is missing. Bytes of what is held may be
    /// `limit` at the most, but for one folder.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(root: &Path, limit: u64) -> Result<Self, Error> {
        let failed = |e| Error::File(root.display().to_string(), e);
        fs::create_dir_all(root).map_err(failed)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(root).map_err(failed)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What a killed process had begun.
            if name.starts_with(PART) {
                let _ = fs::remove_dir_all(entry.path());
            } else if is_key(&name) {
                let used =
                    entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((used, name, size(&entry.path())));
            }
        }
        found.sort_unstable();
        let mut state = State::default();
        for (_, name, bytes) in found {
            state.uses += 1;
            state.bytes += bytes;
            state.kept.insert(name, Folder { bytes, used: state.uses, readers: Arc::default() });
        }
        let cache = Self { root: root.to_path_buf(), limit, state: Mutex::new(state) };
        cache.make_room(&mut cache.state(), "");
        Ok(cache)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects `name/...` of a store as a folder, fetched if it is not here: those directly
    /// below the name, as they are at one moment. None if there are none.
    ///
    /// # Errors
    /// If the store does not answer, an object changes meanwhile, the folder has more than `most`
    /// bytes, or the disk is full.
    pub fn fetch(&self, store: &Store, name: &str, most: u64) -> Result<Option<Kept>, Error> {
        let entries = folder(store, name)?;
        if entries.is_empty() {
            return Ok(None);
        }
        let key = key(store.address(), &entries);
        if let Some(kept) = self.kept(&key) {
            return Ok(Some(kept));
        }
        let bytes: u64 = entries.iter().map(|e| e.bytes).sum();
        let place = || format!("{}/{name}", store.address());
        if bytes > most {
            return Err(Error::Large(place(), bytes, most));
        }
        let part = self.root.join(format!("{PART}{key}-{}", std::process::id()));
        let failed = |e| Error::File(part.display().to_string(), e);
        let fetched = (|| {
            let _ = fs::remove_dir_all(&part);
            fs::create_dir(&part).map_err(failed)?;
            for entry in &entries {
                let file = entry.name.rsplit('/').next().unwrap_or_default();
                fs::write(part.join(file), store.get(entry, most)?).map_err(failed)?;
            }
            Ok(())
        })();
        let path = self.root.join(&key);
        // Another process that shares the folder may have been quicker.
        let moved = fetched.and_then(|()| match fs::rename(&part, &path) {
            Err(e) if !path.is_dir() => Err(failed(e)),
            _ => Ok(()),
        });
        let _ = fs::remove_dir_all(&part);
        moved?;
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        let readers = Arc::<()>::default();
        let folder = Folder { bytes, used, readers: Arc::clone(&readers) };
        if state.kept.insert(key.clone(), folder).is_none() {
            state.bytes += bytes;
        }
        self.make_room(&mut state, &key);
        Ok(Some(Kept { path, key, _reader: readers }))
    }

    fn kept(&self, key: &str) -> Option<Kept> {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        let folder = state.kept.get_mut(key)?;
        folder.used = used;
        let (path, reader) = (self.root.join(key), Arc::clone(&folder.readers));
        // Somebody may have emptied the folder.
        path.is_dir().then(|| Kept { path, key: key.into(), _reader: reader })
    }

    /// Forgets a folder whose content is not as it should be, so that it is fetched again.
    pub fn forget(&self, kept: Kept) {
        let mut state = self.state();
        if let Some(folder) = state.kept.remove(&kept.key) {
            state.bytes -= folder.bytes;
        }
        let _ = fs::remove_dir_all(&kept.path);
    }

    /// Removes the least recently used that nobody reads until the rest fits; one stays.
    fn make_room(&self, state: &mut State, stays: &str) {
        while state.bytes > self.limit {
            let idle =
                |(key, f): &(&String, &Folder)| *key != stays && Arc::strong_count(&f.readers) == 1;
            let oldest = state.kept.iter().filter(idle).min_by_key(|(_, f)| f.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some(folder) = state.kept.remove(&key) {
                state.bytes -= folder.bytes;
            }
            let _ = fs::remove_dir_all(self.root.join(&key));
        }
    }
}

/// The objects directly below a name.
fn folder(store: &Store, name: &str) -> Result<Vec<Entry>, Error> {
    let beginning = if name.is_empty() { String::new() } else { format!("{name}/") };
    let mut entries = store.page(&beginning, "", OBJECTS_MAX * 4)?;
    entries.retain(|e| {
        let file = &e.name[beginning.len()..];
        !file.is_empty() && !file.contains('/') && !file.starts_with('.')
    });
    match entries.len() > OBJECTS_MAX {
        true => Err(Error::Address(format!(
            "{}/{name}: holds more than {OBJECTS_MAX} objects, which is no folder of ours",
            store.address()
        ))),
        false => Ok(entries),
    }
}

/// The name of a content.
fn key(address: &str, entries: &[Entry]) -> String {
    let sizes: Vec<String> = entries.iter().map(|e| e.bytes.to_string()).collect();
    let parts = entries.iter().zip(&sizes).flat_map(|(e, size)| {
        [("name", e.name.as_bytes()), ("bytes", size.as_bytes()), ("tag", e.tag.as_bytes())]
    });
    digest::of_parts([("address", address.as_bytes())].into_iter().chain(parts))
}

fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}
