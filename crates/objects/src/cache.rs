//! What was fetched, on this disk, so that it is not fetched again.
//!
//! ```text
//! KEY/            of an address and its content: names, sizes, and tags or hashes
//!   NAME          the file or folder, with the last part of the address as its name
//!   bytes         its size
//! ```
//! What is here is whole and never changes. The least recently used goes when all together have
//! more bytes than they may, unless a process reads it: readers hold a lock on its folder.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use budwood_base::address::is_part;
use budwood_base::digest;

use crate::manifest::{self, Manifest};
use crate::store::is_below;
use crate::{Entry, Error, Store};

/// Objects that are fetched at the most.
const OBJECTS_MOST: usize = 1_000_000;
/// Objects that are fetched at one time.
const AT_ONCE: usize = 8;
/// How often a folder is read anew that changes while it is read.
const TRIES: usize = 4;
/// The beginning of names of folders that are not whole.
const PART: &str = ".part-";
const BYTES: &str = "bytes";
/// The longest name of a file or folder here.
const NAME_MOST: usize = 150;

/// A folder of this machine that holds what was fetched.
pub struct Cache {
    root: PathBuf,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<String, Known>,
    bytes: u64,
    uses: u64,
}

struct Known {
    bytes: u64,
    used: u64,
}

/// A file or folder that stays as long as this is held.
pub struct Kept {
    path: PathBuf,
    key: String,
    tag: String,
    _reader: Option<File>,
}

impl Kept {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the store calls this content: an object's tag, or the hash of a folder's names, sizes
    /// and tags.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// What is taken of a name in a store.
#[derive(Clone, Copy)]
pub enum Take<'a> {
    /// The object itself, as a file.
    Object,
    /// As a folder.
    Folder {
        /// Chooses among the names of its objects.
        choose: &'a dyn Fn(&[&str]) -> Vec<String>,
        /// Names with a `/` that are looked for beside those directly in it.
        deeper: &'a [&'a str],
    },
    /// As a folder, with all folders in it.
    All,
}

/// One file to fetch.
struct Piece {
    /// Its name in the folder; empty for an object alone.
    name: String,
    entry: Entry,
    sha256: Option<String>,
}

impl Cache {
    /// A cache in a folder of its own, which is made if it is missing. Bytes of what is held may be
    /// `limit` at the most, but for what is read.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(root: &Path, limit: u64) -> Result<Self, Error> {
        let failed = |e| Error::File(root.display().to_string(), e);
        fs::create_dir_all(root).map_err(failed)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(root).map_err(failed)?.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let size = fs::read_to_string(path.join(BYTES)).ok().and_then(|n| n.parse().ok());
            match size {
                Some(bytes) if digest::is_sha256(&name) => {
                    let used = entry.metadata().and_then(|m| m.modified());
                    found.push((used.unwrap_or(SystemTime::UNIX_EPOCH), name, bytes));
                }
                // What a killed process had begun, or an older program had fetched.
                None if name.starts_with(PART) || digest::is_sha256(&name) => remove_idle(&path),
                _ => {}
            }
        }
        found.sort_unstable();
        let mut state = State::default();
        for (_, name, bytes) in found {
            state.uses += 1;
            state.bytes += bytes;
            state.kept.insert(name, Known { bytes, used: state.uses });
        }
        let cache = Self { root: root.to_path_buf(), limit, state: Mutex::new(state) };
        cache.make_room(&mut cache.state(), "");
        Ok(cache)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a store has under a name, as a file or folder here: all of one moment, fetched if it is
    /// not here; then `told` is told the bytes before. None if there is nothing.
    ///
    /// # Errors
    /// If the store does not answer, something changes again and again meanwhile, is not what its
    /// manifest says, has more than `most` bytes, or the disk is full.
    pub fn fetch(
        &self,
        store: &Store,
        name: &str,
        take: Take<'_>,
        most: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<Option<Kept>, Error> {
        let mut last: Option<String> = None;
        for _ in 0..TRIES {
            let pieces = pieces(store, name, take)?;
            if pieces.is_empty() {
                return Ok(None);
            }
            let key = key(&store.place(name), &pieces);
            match self.fetched(store, (name, take), &key, &pieces, (most, told)) {
                // It was written anew meanwhile.
                Err(Error::Missing(_) | Error::Changed(_) | Error::Damaged(_))
                    if last.as_ref() != Some(&key) =>
                {
                    last = Some(key);
                }
                other => return other.map(Some),
            }
        }
        Err(Error::Changed(store.place(name)))
    }

    fn fetched(
        &self,
        store: &Store,
        (name, take): (&str, Take<'_>),
        key: &str,
        pieces: &[Piece],
        (most, told): (u64, &mut dyn FnMut(u64)),
    ) -> Result<Kept, Error> {
        let folder = self.root.join(key);
        let path = folder.join(file_name(&store.place(name)));
        let tag = match take {
            Take::Object => pieces[0].entry.tag.trim_matches('"').into(),
            _ => key.into(),
        };
        let kept = |reader| Kept { path: path.clone(), key: key.into(), tag, _reader: reader };
        if let Some(reader) = self.held(key, &path) {
            return Ok(kept(reader));
        }
        let bytes: u64 = pieces.iter().map(|p| p.entry.bytes).sum();
        if bytes > most {
            return Err(Error::Large(store.place(name), bytes, most));
        }
        told(bytes);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = self.root.join(format!("{PART}{key}-{}-{number}", std::process::id()));
        let failed = |e| Error::File(part.display().to_string(), e);
        let moved = (|| {
            let _ = fs::remove_dir_all(&part);
            fs::create_dir(&part).map_err(failed)?;
            let _at_work = lock(&part);
            let place = part.join(path.file_name().unwrap_or_default());
            fill(store, &place, pieces)?;
            fs::write(part.join(BYTES), bytes.to_string()).map_err(failed)?;
            match fs::rename(&part, &folder) {
                // Another process that shares the folder may have been quicker.
                Err(e) if !path.exists() => Err(failed(e)),
                _ => Ok(()),
            }
        })();
        let _ = fs::remove_dir_all(&part);
        moved?;
        let reader = lock(&folder);
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        if state.kept.insert(key.into(), Known { bytes, used }).is_none() {
            state.bytes += bytes;
        }
        self.make_room(&mut state, key);
        Ok(kept(reader))
    }

    /// A reader's lock on what is here; none if it is not.
    fn held(&self, key: &str, path: &Path) -> Option<Option<File>> {
        let reader = lock(&self.root.join(key));
        // Somebody may have emptied the folder.
        if !path.exists() {
            return None;
        }
        // For the next process; where that cannot be, an older time stands.
        let _ = reader.as_ref().map(|reader| reader.set_modified(SystemTime::now()));
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        if let Some(known) = state.kept.get_mut(key) {
            known.used = used;
        }
        Some(reader)
    }

    /// Forgets what is not as it should be, so that it is fetched again.
    pub fn forget(&self, kept: Kept) {
        let mut state = self.state();
        if let Some(known) = state.kept.remove(&kept.key) {
            state.bytes -= known.bytes;
        }
        let _ = fs::remove_dir_all(self.root.join(&kept.key));
    }

    /// Removes the least recently used that nobody reads until the rest fits; one stays.
    fn make_room(&self, state: &mut State, stays: &str) {
        if state.bytes <= self.limit {
            return;
        }
        let mut all: Vec<(u64, String)> =
            state.kept.iter().map(|(key, known)| (known.used, key.clone())).collect();
        all.sort_unstable();
        for (_, key) in all.into_iter().filter(|(_, key)| key != stays) {
            if state.bytes <= self.limit {
                return;
            }
            let path = self.root.join(&key);
            remove_idle(&path);
            if !path.exists()
                && let Some(known) = state.kept.remove(&key)
            {
                state.bytes -= known.bytes;
            }
        }
    }
}

/// A lock of a reader on a folder. Where there are no locks on folders, none.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.lock_shared().ok()?;
    Some(folder)
}

/// Removes a folder that no process reads.
fn remove_idle(folder: &Path) {
    let Ok(file) = File::open(folder) else { return };
    if !matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// What there is to fetch.
fn pieces(store: &Store, name: &str, take: Take<'_>) -> Result<Vec<Piece>, Error> {
    let choose = match take {
        Take::Object => {
            let entry = store.look(name)?;
            let piece = |entry| Piece { name: String::new(), entry, sha256: None };
            return Ok(entry.map(piece).into_iter().collect());
        }
        Take::Folder { choose, deeper } => Some((choose, deeper)),
        Take::All => None,
    };
    let mut entries = match choose {
        Some(_) => store.folder(name)?,
        None => store.all(name, OBJECTS_MOST)?,
    };
    let below = if name.is_empty() { String::new() } else { format!("{name}/") };
    let listed = entries.iter().find(|e| is_below(&e.name, &below) == Some(manifest::NAME));
    let mut pieces = match listed {
        Some(_) => of_manifest(store, name, &below)?,
        None => {
            let deeper = choose.map_or(&[][..], |(_, deeper)| deeper);
            let deeper = if entries.is_empty() { &[] } else { deeper };
            for file in deeper {
                entries.extend(store.look(&format!("{below}{file}"))?);
            }
            let piece = |entry: Entry| {
                let name = is_below(&entry.name, &below)?.to_string();
                Some(Piece { name, entry, sha256: None })
            };
            entries.into_iter().filter_map(piece).collect()
        }
    };
    // What begins with a dot is of programs, not of people.
    pieces.retain(|p| !p.name.split('/').any(|part| part.starts_with('.')));
    if let Some((choose, _)) = choose {
        let names: Vec<&str> = pieces.iter().map(|p| p.name.as_str()).collect();
        let chosen = choose(&names);
        pieces.retain(|p| chosen.contains(&p.name));
    }
    // What has a manifest was checked.
    let bad = |p: &&Piece| !p.name.split('/').all(|part| is_part(part) && part.len() <= 255);
    match pieces.iter().find(bad) {
        Some(piece) => Err(Error::Name(store.place(&piece.entry.name))),
        None => Ok(pieces),
    }
}

fn of_manifest(store: &Store, name: &str, below: &str) -> Result<Vec<Piece>, Error> {
    let object = format!("{below}{}", manifest::NAME);
    let Some((text, _)) = store.now(&object)? else {
        return Err(Error::Changed(store.place(name)));
    };
    let manifest = Manifest::parse(&store.place(&object), &text)?;
    if !manifest.whole {
        return Err(Error::Unfinished(store.place(name)));
    }
    let piece = |f: manifest::File| {
        let name = format!("{below}{}", f.object);
        let entry = Entry { name, bytes: f.bytes, tag: String::new() };
        Piece { name: f.name, entry, sha256: Some(f.sha256) }
    };
    Ok(manifest.files.into_iter().map(piece).collect())
}

/// Fetches all pieces, several at a time.
fn fill(store: &Store, place: &Path, pieces: &[Piece]) -> Result<(), Error> {
    let failed = |e| Error::File(place.display().to_string(), e);
    if pieces.iter().any(|p| !p.name.is_empty()) {
        fs::create_dir(place).map_err(failed)?;
    }
    let one = |piece: &Piece| {
        let file =
            if piece.name.is_empty() { place.to_path_buf() } else { place.join(&piece.name) };
        if let Some(above) = file.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        store.fetch(&piece.entry, &file)?;
        match &piece.sha256 {
            Some(wanted) if digest::of_file(&file).map_err(failed)? != *wanted => {
                Err(Error::Damaged(store.place(&piece.entry.name)))
            }
            _ => Ok(()),
        }
    };
    let (next, first) = (AtomicUsize::new(0), Mutex::new(None));
    let fault = || first.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(pieces.len()) {
            scope.spawn(|| {
                while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if fault().is_some() {
                        return;
                    }
                    if let Err(error) = one(piece) {
                        fault().get_or_insert(error);
                    }
                }
            });
        }
    });
    fault().take().map_or(Ok(()), Err)
}

/// The name of a content.
fn key(address: &str, pieces: &[Piece]) -> String {
    let sizes: Vec<String> = pieces.iter().map(|p| p.entry.bytes.to_string()).collect();
    let parts = pieces.iter().zip(&sizes).flat_map(|(p, size)| {
        let tag = p.sha256.as_ref().unwrap_or(&p.entry.tag);
        [("name", p.name.as_bytes()), ("bytes", size.as_bytes()), ("tag", tag.as_bytes())]
    });
    digest::of_parts([("address", address.as_bytes())].into_iter().chain(parts))
}

/// A file's name for what has an address: its last part, without what is not plain.
pub(crate) fn file_name(address: &str) -> String {
    let last = address.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "._-+=@".contains(c) { c } else { '_' };
    let name: String = last.chars().map(plain).collect();
    // The end says what form a file has.
    let cut = name.len().saturating_sub(NAME_MOST);
    let cut = (cut..name.len()).find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let name = &name[cut..];
    if name.is_empty() || name.starts_with('.') { format!("_{name}") } else { name.into() }
}
