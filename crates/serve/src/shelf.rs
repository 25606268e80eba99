//! The adapters: found by name in a folder, loaded when they are asked for, put away when others
//! need the memory.
//!
//! ```text
//! name ── known? ── loaded? ──yes──> shared by requests
//!   │        │          └──no──> read once, however many wait; the least recently used go
//!   │        └── replaced or unloaded: remembered, with its generation
//!   └── folder of the adapters / name
//! ```
//!
//! A request keeps what it began with: replacing and putting away never change an answer under way.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use budwood::{Adapter, Base};

use crate::fault::Fault;

/// An adapter in memory.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) adapter: Adapter,
    /// How often the name was given an adapter, this one included.
    pub(crate) generation: u64,
    /// Of its parameters, in memory.
    pub(crate) bytes: u64,
}

/// All adapters of a server.
pub(crate) struct Shelf {
    base: Base,
    /// A folder whose folders are adapters, or one adapter.
    root: PathBuf,
    /// The name of the only adapter, if the root is one.
    only: Option<String>,
    /// Bytes of parameters that stay in memory.
    limit: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    /// Bytes of what is held.
    held: u64,
    /// Counts uses, to know what was used last.
    uses: u64,
    /// How often an adapter was read from disk, and put away.
    loads: u64,
    evictions: u64,
}

#[derive(Default)]
struct Entry {
    /// The folder under the root, where it is another than the name.
    folder: Option<String>,
    generation: u64,
    unloaded: bool,
    held: Option<Arc<Loaded>>,
    used: u64,
    /// Held by the one that reads the adapter while others wait.
    reading: Arc<Mutex<()>>,
}

impl Entry {
    /// Whether a new entry would say the same.
    fn is_plain(&self) -> bool {
        self.held.is_none() && self.folder.is_none() && self.generation <= 1 && !self.unloaded
    }
}

/// Counters of a shelf.
pub(crate) struct Counts {
    pub(crate) held: u64,
    pub(crate) adapters: u64,
    pub(crate) loads: u64,
    pub(crate) evictions: u64,
}

/// Longest name of an adapter, in bytes.
const NAME_MAX: usize = 200;

/// Refuses names that are no path of plain segments below a folder.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(plain);
    match name.len() <= NAME_MAX && name.split('/').all(segment) {
        true => Ok(()),
        false => Err(Fault::unknown(
            "there is no adapter of that name: names have letters, digits and ._-@+, in \
             segments divided by /, none of which begins with a dot",
        )),
    }
}

impl Shelf {
    /// A shelf over a folder of adapters, or over one adapter.
    ///
    /// # Errors
    /// If there is no such folder.
    pub(crate) fn new(base: Base, root: &Path, limit: u64) -> Result<Self, String> {
        if !root.is_dir() {
            return Err(format!("{}: there is no such folder", root.display()));
        }
        let only = is_adapter(root).then(|| {
            let name = root.canonicalize().ok();
            let name = name.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy());
            name.filter(|n| check_name(n).is_ok()).map_or("adapter".into(), Into::into)
        });
        let root = root.to_path_buf();
        Ok(Self { base, root, only, limit, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, name: &str) -> PathBuf {
        match &self.only {
            Some(only) if only == name => self.root.clone(),
            _ => self.root.join(name),
        }
    }

    /// Whether there is an adapter of that name, and its folder if its entry names another.
    fn find(&self, name: &str) -> Result<PathBuf, Fault> {
        check_name(name)?;
        let state = self.state();
        let entry = state.entries.get(name);
        let gone = || Fault::unknown(format!("there is no adapter '{name}'"));
        if entry.is_some_and(|e| e.unloaded) {
            return Err(gone());
        }
        let folder = entry.and_then(|e| e.folder.clone());
        drop(state);
        let folder = self.folder(folder.as_deref().unwrap_or(name));
        if is_adapter(&folder) { Ok(folder) } else { Err(gone()) }
    }

    /// The adapter of that name if it is in memory.
    pub(crate) fn held(&self, name: &str) -> Option<Arc<Loaded>> {
        let mut state = self.state();
        state.uses += 1;
        let now = state.uses;
        let entry = state.entries.get_mut(name).filter(|e| !e.unloaded)?;
        entry.used = now;
        entry.held.clone()
    }

    /// The adapter of that name, read from disk if it is not in memory. May block.
    ///
    /// # Errors
    /// If there is none, or it cannot be used: other adapters are not touched by that.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Loaded>, Fault> {
        if let Some(held) = self.held(name) {
            return Ok(held);
        }
        let folder = self.find(name)?;
        let reading = {
            let mut state = self.state();
            Arc::clone(&state.entries.entry(name.into()).or_default().reading)
        };
        let turn = reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had the turn before may have read it.
        if let Some(held) = self.held(name) {
            return Ok(held);
        }
        let read = self.read(name, &folder);
        let mut state = self.state();
        state.loads += 1;
        let loaded = read.and_then(|adapter| self.put(&mut state, name, None, adapter));
        if state.entries.get(name).is_some_and(Entry::is_plain) {
            state.entries.remove(name);
        }
        drop(turn);
        loaded
    }

    /// Reads an adapter.
    fn read(&self, name: &str, folder: &Path) -> Result<Adapter, Fault> {
        // Paths of this machine are nobody's affair.
        self.base.adapter(folder).map_err(|e| {
            let message = e.to_string().replace(&*folder.to_string_lossy(), name);
            Fault::broken(format!("adapter '{name}' cannot be used: {message}"))
        })
    }

    /// Puts an adapter under a name; the generation goes up where it is another than before.
    fn put(
        &self,
        state: &mut State,
        name: &str,
        replaces: Option<Option<String>>,
        adapter: Adapter,
    ) -> Result<Arc<Loaded>, Fault> {
        state.uses += 1;
        let now = state.uses;
        let entry = state.entries.entry(name.into()).or_default();
        match replaces {
            Some(folder) => {
                (entry.folder, entry.unloaded) = (folder, false);
                entry.generation += 1;
            }
            None if entry.unloaded => {
                return Err(Fault::unknown(format!("there is no adapter '{name}'")));
            }
            None => entry.generation = entry.generation.max(1),
        }
        let bytes = adapter.packed().params.elements() as u64 * 4;
        let generation = entry.generation;
        let loaded = Arc::new(Loaded { name: name.into(), adapter, generation, bytes });
        let before = entry.held.replace(Arc::clone(&loaded)).map_or(0, |l| l.bytes);
        entry.used = now;
        state.held = state.held + bytes - before;
        state.make_room(self.limit, name);
        Ok(loaded)
    }

    /// Gives a name the adapter of a folder under the root, for requests that come from now on.
    /// `expected` is the generation that the name must have: 0 for none.
    ///
    /// # Errors
    /// If the generation is another, or the adapter cannot be used; then the name keeps its own.
    pub(crate) fn replace(
        &self,
        name: &str,
        folder: Option<String>,
        expected: Option<u64>,
    ) -> Result<Arc<Loaded>, Fault> {
        check_name(name)?;
        folder.as_deref().map_or(Ok(()), check_name)?;
        let path = self.folder(folder.as_deref().unwrap_or(name));
        if !is_adapter(&path) {
            let what = folder.as_deref().unwrap_or(name);
            return Err(Fault::unknown(format!("there is no adapter in the folder '{what}'")));
        }
        self.expect(&self.state(), name, expected)?;
        let adapter = self.read(name, &path)?;
        let mut state = self.state();
        state.loads += 1;
        self.expect(&state, name, expected)?;
        // What was there before this server changed anything is the first.
        let entry = state.entries.entry(name.into()).or_default();
        if entry.generation == 0 && is_adapter(&self.folder(name)) && entry.folder.is_none() {
            entry.generation = 1;
        }
        self.put(&mut state, name, Some(folder), adapter)
    }

    /// Takes a name away, for requests that come from now on.
    ///
    /// # Errors
    /// If there is no adapter of that name, or its generation is another.
    pub(crate) fn unload(&self, name: &str, expected: Option<u64>) -> Result<u64, Fault> {
        self.find(name)?;
        let mut state = self.state();
        self.expect(&state, name, expected)?;
        let entry = state.entries.entry(name.into()).or_default();
        entry.unloaded = true;
        entry.generation = entry.generation.max(1);
        let generation = entry.generation;
        if let Some(held) = entry.held.take() {
            state.held -= held.bytes;
        }
        Ok(generation)
    }

    /// The generation of a name; 0 if it has none.
    fn generation(&self, state: &State, name: &str) -> u64 {
        match state.entries.get(name) {
            Some(entry) if entry.generation > 0 => entry.generation,
            _ => u64::from(is_adapter(&self.folder(name))),
        }
    }

    fn expect(&self, state: &State, name: &str, expected: Option<u64>) -> Result<(), Fault> {
        let found = self.generation(state, name);
        match expected {
            Some(wanted) if wanted != found => Err(Fault::conflict(format!(
                "'{name}' is at generation {found}, not {wanted}: it was changed since"
            ))),
            _ => Ok(()),
        }
    }

    /// Names after a name, in order, `most` at the utmost; folders are looked at when asked, so
    /// that a server begins at once whatever their number.
    pub(crate) fn names(&self, after: &str, prefix: &str, most: usize) -> Vec<String> {
        let mut names: Vec<String> = match &self.only {
            Some(only) => vec![only.clone()],
            None => folders(&self.root, ""),
        };
        let state = self.state();
        names.retain(|n| state.entries.get(n).is_none_or(|e| !e.unloaded));
        names
            .extend(state.entries.iter().filter(|(_, e)| e.held.is_some()).map(|(n, _)| n.clone()));
        drop(state);
        names.retain(|n| n.as_str() > after && n.starts_with(prefix));
        names.sort_unstable();
        names.dedup();
        names.truncate(most);
        names
    }

    /// Generation of a name, and its adapter if it is in memory.
    pub(crate) fn look(&self, name: &str) -> Result<(u64, PathBuf, Option<Arc<Loaded>>), Fault> {
        let folder = self.find(name)?;
        let state = self.state();
        let held = state.entries.get(name).and_then(|e| e.held.clone());
        Ok((self.generation(&state, name), folder, held))
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        let adapters = state.entries.values().filter(|e| e.held.is_some()).count() as u64;
        Counts { held: state.held, adapters, loads: state.loads, evictions: state.evictions }
    }

    /// The name of the only adapter, if the server has one.
    pub(crate) fn only(&self) -> Option<String> {
        self.only.clone()
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }
}

impl State {
    /// Puts away the least recently used until the rest fits; `kept` stays.
    fn make_room(&mut self, limit: u64, kept: &str) {
        while self.held > limit {
            let others = self.entries.iter().filter(|(n, e)| e.held.is_some() && *n != kept);
            let Some((name, _)) = others.min_by_key(|(_, e)| e.used) else { return };
            let name = name.clone();
            let Some(entry) = self.entries.get_mut(&name) else { return };
            self.held -= entry.held.take().map_or(0, |l| l.bytes);
            self.evictions += 1;
            if entry.is_plain() {
                self.entries.remove(&name);
            }
        }
    }
}

fn is_adapter(folder: &Path) -> bool {
    folder.join("adapter.json").is_file()
}

/// Names of the adapters below a folder, two folders deep.
fn folders(root: &Path, before: &str) -> Vec<String> {
    let Ok(list) = fs::read_dir(root) else { return Vec::new() };
    let mut names = Vec::new();
    for entry in list.flatten() {
        let Ok(own) = entry.file_name().into_string() else { continue };
        let name = format!("{before}{own}");
        if check_name(&name).is_err() || !entry.path().is_dir() {
            continue;
        }
        if is_adapter(&entry.path()) {
            names.push(name);
        } else if before.is_empty() {
            names.extend(folders(&entry.path(), &format!("{name}/")));
        }
    }
    names
}
