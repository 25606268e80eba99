//! Adapters in an object store, kept on this disk.

use std::path::Path;

use anyhow::Result as Opened;
use budwood_base::address::Address;
use budwood_objects::{Cache, Kept, Store, Take};
use budwood_serve::{DESCRIPTIONS, Place, Source, is_name};

/// Bytes of one adapter.
const ADAPTER_MAX: u64 = 2 << 30;
/// Objects that are looked at to know whether a folder is an adapter.
const FILES: usize = 64;
/// Objects of a page.
const PAGE: usize = 1000;

/// A folder of a store whose folders are adapters, or one adapter.
pub(super) struct Objects {
    store: Store,
    cache: Cache,
    only: Option<String>,
}

fn file_of<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    let file =
        if folder.is_empty() { name } else { name.strip_prefix(folder)?.strip_prefix('/')? };
    (!file.contains('/')).then_some(file)
}

impl Objects {
    /// Asks the store once, so that what is wrong with the address or the credentials is said at
    /// the start. Nothing else is listed.
    pub(super) fn open(address: &Address, cache: &Path, bytes: u64) -> Opened<Self> {
        let store = budwood_hub::open_store(address)?;
        let first = store.page("", "", FILES)?;
        let alone = first.iter().any(|e| DESCRIPTIONS.contains(&&*e.name));
        let only = alone.then(|| {
            let name = store.address().last();
            if is_name(name) { name.to_string() } else { "adapter".into() }
        });
        Ok(Self { cache: Cache::open(cache, bytes)?, store, only })
    }

    /// Files of an adapter; `choose` says which.
    fn kept(
        &self,
        name: &str,
        choose: &dyn Fn(&[&str]) -> Vec<String>,
    ) -> Result<Option<Kept>, String> {
        let take = Take::Folder { choose, deeper: &[] };
        let fetched =
            self.cache.fetch(&self.store, self.folder(name), take, ADAPTER_MAX, &mut |_| {});
        fetched.map_err(|e| e.to_string())
    }

    /// The folder of a name below the address.
    fn folder<'a>(&self, name: &'a str) -> &'a str {
        if self.only.as_deref() == Some(name) { "" } else { name }
    }
}

impl Source for Objects {
    fn has(&self, name: &str) -> Result<bool, String> {
        let folder = self.folder(name);
        let beginning = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.store.page(&beginning, "", FILES).map_err(|e| e.to_string())?;
        let describes =
            |name: &str| file_of(name, folder).is_some_and(|f| DESCRIPTIONS.contains(&f));
        Ok(files.iter().any(|e| describes(&e.name)))
    }

    fn open(&self, name: &str) -> Result<Option<Place>, String> {
        let all = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let Some(kept) = self.kept(name, &all)? else { return Ok(None) };
        let path = kept.path().to_path_buf();
        let describes = DESCRIPTIONS.iter().any(|file| path.join(file).is_file());
        Ok(describes.then(|| Place { path, held: Box::new(kept) }))
    }

    fn description(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let one = |names: &[&str]| {
            let description = names.iter().filter(|name| **name == DESCRIPTIONS[0]);
            description.map(ToString::to_string).collect()
        };
        let Some(kept) = self.kept(name, &one)? else { return Ok(None) };
        let read = std::fs::read(kept.path().join(DESCRIPTIONS[0]));
        read.map(Some).map_err(|_| format!("{}: the cache was emptied", self.store.place(name)))
    }

    fn spoiled(&self, place: Place) {
        if let Ok(kept) = place.held.downcast() {
            self.cache.forget(*kept);
        }
    }

    fn key(&self, name: &str) -> String {
        // That is the order of what lies in the folders.
        format!("{name}/")
    }

    fn names(&self, after: &str, beginning: &str, most: usize) -> Result<Vec<String>, String> {
        if let Some(only) = &self.only {
            let listed = only.starts_with(beginning) && (after.is_empty() || **only > *after);
            return Ok(if listed { vec![only.clone()] } else { Vec::new() });
        }
        let mut names: Vec<String> = Vec::new();
        // Behind all that lies in the folder of a name: `0` follows `/`.
        let mut at = if after.is_empty() { String::new() } else { format!("{after}0") };
        loop {
            let page = self.store.page(beginning, &at, PAGE).map_err(|e| e.to_string())?;
            for entry in &page {
                let Some((name, file)) = entry.name.rsplit_once('/') else { continue };
                let is_new = names.last().is_none_or(|last| last != name);
                if DESCRIPTIONS.contains(&file) && is_name(name) && is_new {
                    names.push(name.into());
                    if names.len() == most {
                        return Ok(names);
                    }
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => at.clone_from(&last.name),
                _ => return Ok(names),
            }
        }
    }

    fn is_here(&self) -> bool {
        false
    }

    fn only(&self) -> Option<String> {
        self.only.clone()
    }
}
