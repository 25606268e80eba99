//! The adapters: found by name in a source, loaded when they are asked for, put away when others
//! need the memory.
//!
//! ```text
//! name ── known? ── loaded? ──yes──> shared by requests
//!   │        │          └──no──> read once, however many wait; the least recently used go
//!   │        └── replaced or unloaded: remembered, with its generation
//!   └── source: a folder, an object store
//! ```
//!
//! A request keeps what it began with: replacing and putting away never change an answer under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use budwood::{Adapter, Base};

use crate::fault::Fault;
use crate::names::is_name;
use crate::source::Source;

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
    source: Box<dyn Source>,
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
    /// The name in the source, where it is another.
    folder: Option<String>,
    generation: u64,
    unloaded: bool,
    held: Option<Arc<Loaded>>,
    used: u64,
    /// Held by the one that reads the adapter, for a request or to replace it, while others wait.
    reading: Arc<Mutex<()>>,
}

impl Entry {
    /// Whether a new entry would say the same, and nobody reads or waits.
    fn is_plain(&self) -> bool {
        let idle = Arc::strong_count(&self.reading) == 1;
        let there = self.held.is_some() || self.folder.is_some();
        idle && !there && self.generation <= 1 && !self.unloaded
    }
}

/// What is known of a name.
pub(crate) struct Known {
    pub(crate) generation: u64,
    /// The adapter, if it is in memory.
    pub(crate) held: Option<Arc<Loaded>>,
    /// The name in the source.
    pub(crate) origin: String,
}

/// Counters of a shelf.
pub(crate) struct Counts {
    pub(crate) held: u64,
    pub(crate) adapters: u64,
    pub(crate) loads: u64,
    pub(crate) evictions: u64,
}

/// Refuses names that none can have.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Fault::unknown(
            "there is no adapter of that name: names have letters, digits and ._-@+, in \
             segments divided by /, none of which begins with a dot",
        )),
    }
}

fn gone(name: &str) -> Fault {
    Fault::unknown(format!("there is no adapter '{name}'"))
}

impl Shelf {
    pub(crate) fn new(base: Base, source: Box<dyn Source>, limit: u64) -> Self {
        Self { base, source, limit, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name under which the source knows the adapter of a name.
    fn origin(&self, name: &str) -> Result<String, Fault> {
        check_name(name)?;
        let state = self.state();
        let entry = state.entries.get(name);
        if entry.is_some_and(|e| e.unloaded) {
            return Err(gone(name));
        }
        Ok(entry.and_then(|e| e.folder.clone()).unwrap_or_else(|| name.into()))
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        self.source.has(name).map_err(Fault::unreachable)
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
        self.origin(name)?;
        self.in_turn(name, || {
            // Whoever had the turn before may have read it, or given the name another folder.
            if let Some(held) = self.held(name) {
                return Ok(held);
            }
            let adapter = self.read(name, &self.origin(name)?)?;
            let mut state = self.state();
            state.loads += 1;
            self.put(&mut state, name, None, adapter)
        })
    }

    /// Does what reads the adapter of a name while nobody else does. Otherwise what was read first
    /// could be put in the place of what came after it.
    fn in_turn<R>(&self, name: &str, read: impl FnOnce() -> R) -> R {
        let reading = {
            let mut state = self.state();
            Arc::clone(&state.entries.entry(name.into()).or_default().reading)
        };
        let turn = reading.lock().unwrap_or_else(PoisonError::into_inner);
        let done = read();
        drop(turn);
        let mut state = self.state();
        drop(reading);
        if state.entries.get(name).is_some_and(Entry::is_plain) {
            state.entries.remove(name);
        }
        done
    }

    /// Reads an adapter.
    fn read(&self, name: &str, origin: &str) -> Result<Adapter, Fault> {
        let place = self.source.open(origin).map_err(Fault::unreachable)?;
        let place = place.ok_or_else(|| gone(name))?;
        self.base.adapter(&place.path).map_err(|e| {
            // Paths of this machine are nobody's affair.
            let message = e.to_string().replace(&*place.path.to_string_lossy(), name);
            self.source.spoiled(place);
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
        let bytes = adapter.packed().params.bytes() as u64;
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
        let origin = folder.as_deref().unwrap_or(name);
        self.in_turn(name, || {
            let here = self.has(name)?;
            let there = if origin == name { here } else { self.has(origin)? };
            if !there {
                let message = format!("there is no adapter in the folder '{origin}'");
                return Err(Fault::unknown(message));
            }
            self.expect(&self.state(), (name, here), expected)?;
            let adapter = self.read(name, origin)?;
            let mut state = self.state();
            state.loads += 1;
            self.expect(&state, (name, here), expected)?;
            // What was there before this server changed anything is the first.
            let entry = state.entries.entry(name.into()).or_default();
            if entry.generation == 0 && here && entry.folder.is_none() {
                entry.generation = 1;
            }
            self.put(&mut state, name, Some(folder.clone()), adapter)
        })
    }

    /// Takes a name away, for requests that come from now on.
    ///
    /// # Errors
    /// If there is no adapter of that name, or its generation is another.
    pub(crate) fn unload(&self, name: &str, expected: Option<u64>) -> Result<u64, Fault> {
        let origin = self.origin(name)?;
        if !self.has(&origin)? {
            return Err(gone(name));
        }
        let mut state = self.state();
        self.expect(&state, (name, true), expected)?;
        let entry = state.entries.entry(name.into()).or_default();
        entry.unloaded = true;
        entry.generation = entry.generation.max(1);
        let generation = entry.generation;
        if let Some(held) = entry.held.take() {
            state.held -= held.bytes;
        }
        Ok(generation)
    }

    /// Refuses another generation of a name than the expected one. A name that was never changed
    /// is at the first if the source has it, else at none.
    fn expect(
        &self,
        state: &State,
        (name, here): (&str, bool),
        expected: Option<u64>,
    ) -> Result<(), Fault> {
        let found = state.generation(name).unwrap_or(u64::from(here));
        match expected {
            Some(wanted) if wanted != found => Err(Fault::conflict(format!(
                "'{name}' is at generation {found}, not {wanted}: it was changed since"
            ))),
            _ => Ok(()),
        }
    }

    /// Names after a name, in order, `most` at the utmost. The source is looked at when it is
    /// asked, so that a server begins at once whatever their number.
    pub(crate) fn names(
        &self,
        after: &str,
        prefix: &str,
        most: usize,
    ) -> Result<Vec<String>, Fault> {
        let mut names = self.source.names(after, prefix, most).map_err(Fault::unreachable)?;
        let key = |name: &str| self.source.key(name);
        // Where the source has more, what stands behind its last is for the next list.
        let end = (names.len() == most).then(|| names.last().map(|n| key(n))).flatten();
        let listed = |n: &str| {
            let after = after.is_empty() || key(n) > key(after);
            after && n.starts_with(prefix) && end.as_ref().is_none_or(|end| key(n) <= *end)
        };
        let state = self.state();
        names.retain(|n| state.entries.get(n).is_none_or(|e| !e.unloaded));
        let held = state.entries.iter().filter(|(n, e)| e.held.is_some() && listed(n));
        names.extend(held.map(|(n, _)| n.clone()));
        drop(state);
        names.sort_by_cached_key(|n| key(n));
        names.dedup();
        names.truncate(most);
        Ok(names)
    }

    /// What is known of a name that a list has.
    pub(crate) fn listed(&self, name: &str) -> Known {
        let state = self.state();
        let entry = state.entries.get(name);
        Known {
            generation: state.generation(name).unwrap_or(1),
            held: entry.and_then(|e| e.held.clone()),
            origin: entry.and_then(|e| e.folder.clone()).unwrap_or_else(|| name.into()),
        }
    }

    /// What is known of a name.
    pub(crate) fn look(&self, name: &str) -> Result<Known, Fault> {
        let origin = self.origin(name)?;
        let known = self.listed(name);
        match known.held.is_some() || self.has(&origin)? {
            true => Ok(known),
            false => Err(gone(name)),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        let adapters = state.entries.values().filter(|e| e.held.is_some()).count() as u64;
        Counts { held: state.held, adapters, loads: state.loads, evictions: state.evictions }
    }

    /// The name of the only adapter, if the server has one.
    pub(crate) fn only(&self) -> Option<String> {
        self.source.only()
    }

    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }
}

impl State {
    /// The generation of a name; none if nothing was done to it here.
    fn generation(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|e| e.generation).filter(|g| *g > 0)
    }

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
