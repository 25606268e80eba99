//! Where adapters lie: a folder of this machine, or what the program hands in.

use std::any::Any;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::names::is_name;

/// Finds adapters by name. It is asked on threads that may block, by several at one time.
pub trait Source: Send + Sync {
    /// Whether there is an adapter of that name; nothing of it is read.
    ///
    /// # Errors
    /// If that cannot be known now.
    fn has(&self, name: &str) -> Result<bool, String>;

    /// The folder of an adapter; none if there is none.
    ///
    /// # Errors
    /// If it cannot be fetched: a sentence for clients and the log, without secrets and paths of
    /// this machine.
    fn open(&self, name: &str) -> Result<Option<Place>, String>;

    /// Budwood's own description of an adapter (`adapter.json`), and nothing else of it; none if it
    /// has none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn description(&self, name: &str) -> Result<Option<Vec<u8>>, String>;

    /// What [`open`](Self::open) gave is no adapter that can be used.
    fn spoiled(&self, place: Place);

    /// What names are ordered by.
    fn key(&self, name: &str) -> String {
        name.into()
    }

    /// Names after a name that begin so, in their order, `most` at the utmost.
    ///
    /// # Errors
    /// If they cannot be listed now.
    fn names(&self, after: &str, beginning: &str, most: usize) -> Result<Vec<String>, String>;

    /// Whether descriptions cost next to nothing, so that lists have them.
    fn is_here(&self) -> bool;

    /// The name of the only adapter, if there are no others.
    fn only(&self) -> Option<String>;
}

/// A folder that holds an adapter for as long as this is there.
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// What keeps it there.
    pub held: Box<dyn Any + Send>,
}

/// A folder whose folders are adapters, or one adapter.
pub struct Folder {
    root: PathBuf,
    only: Option<String>,
}

impl Folder {
    /// A folder of this machine.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(root: &Path) -> Result<Self, String> {
        if !root.is_dir() {
            return Err(format!("{}: there is no such folder", root.display()));
        }
        let only = holds_adapter(root).then(|| {
            let name = root.canonicalize().ok();
            let name = name.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy());
            name.filter(|n| is_name(n)).map_or("adapter".into(), Into::into)
        });
        Ok(Self { root: root.to_path_buf(), only })
    }

    fn folder(&self, name: &str) -> PathBuf {
        match &self.only {
            Some(only) if only == name => self.root.clone(),
            _ => self.root.join(name),
        }
    }
}

impl Source for Folder {
    fn has(&self, name: &str) -> Result<bool, String> {
        Ok(holds_adapter(&self.folder(name)))
    }

    fn open(&self, name: &str) -> Result<Option<Place>, String> {
        let path = self.folder(name);
        Ok(holds_adapter(&path).then(|| Place { path, held: Box::new(()) }))
    }

    fn description(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Ok(file) = fs::File::open(self.folder(name).join(DESCRIPTIONS[0])) else {
            return Ok(None);
        };
        let mut text = Vec::new();
        let read = file.take(DESCRIPTION_MOST).read_to_end(&mut text);
        read.map(|_| Some(text)).map_err(|_| format!("{name}: cannot be read"))
    }

    fn spoiled(&self, _: Place) {}

    fn names(&self, after: &str, beginning: &str, most: usize) -> Result<Vec<String>, String> {
        let mut names = match &self.only {
            Some(only) => vec![only.clone()],
            None => folders(&self.root, ""),
        };
        names.retain(|n| n.as_str() > after && n.starts_with(beginning));
        names.sort_unstable();
        names.truncate(most);
        Ok(names)
    }

    fn is_here(&self) -> bool {
        true
    }

    fn only(&self) -> Option<String> {
        self.only.clone()
    }
}

/// Bytes of a description that are read.
const DESCRIPTION_MOST: u64 = 64 << 20;

/// Files of which an adapter has one, whatever library wrote it.
pub const DESCRIPTIONS: [&str; 3] = ["adapter.json", "adapter_config.json", "head_config.json"];

/// Whether a folder looks like an adapter: nothing of it is read.
fn holds_adapter(folder: &Path) -> bool {
    DESCRIPTIONS.iter().any(|file| folder.join(file).is_file())
}

/// Names of the adapters below a folder, two folders deep.
fn folders(root: &Path, before: &str) -> Vec<String> {
    let Ok(list) = fs::read_dir(root) else { return Vec::new() };
    let mut names = Vec::new();
    for entry in list.flatten() {
        let Ok(own) = entry.file_name().into_string() else { continue };
        let name = format!("{before}{own}");
        if !is_name(&name) || !entry.path().is_dir() {
            continue;
        }
        if holds_adapter(&entry.path()) {
            names.push(name);
        } else if before.is_empty() {
            names.extend(folders(&entry.path(), &format!("{name}/")));
        }
    }
    names
}
