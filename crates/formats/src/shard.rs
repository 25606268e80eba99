//! One file of tensors. Its bytes stay on the disk: each tensor, and the hash, are read piece by
//! piece, and only as long as nobody changes the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::entry::{Entries, Entry};
use crate::{Error, pickle, safetensors_file, text_file};

/// Bytes that are read at a time; whole elements of any type.
const PIECE: usize = 1 << 18;

/// A file that is open, and what lies where in it.
pub(crate) struct Shard {
    pub(crate) path: PathBuf,
    pub(crate) entries: Entries,
    pub(crate) metadata: HashMap<String, String>,
    file: Mutex<File>,
    opened: State,
}

/// By which a change of a file is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    length: u64,
    changed: Option<SystemTime>,
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let now = file.metadata()?;
        Ok(Self { length: now.len(), changed: now.modified().ok() })
    }
}

impl Shard {
    /// Opens PyTorch's form where the name ends with `.bin`, `.pt` or `.pth`, else safetensors.
    ///
    /// # Errors
    /// If it cannot be read or what it says of its tensors is not true.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        text_file::check(&path, u64::MAX)?;
        let file = File::open(&path).map_err(Error::io(&path))?;
        let opened = State::of(&file).map_err(Error::io(&path))?;
        let of_torch =
            ["bin", "pt", "pth"].iter().any(|e| path.extension().is_some_and(|x| x == *e));
        let (entries, metadata) = if of_torch {
            let mut bytes = Vec::new();
            (&file).read_to_end(&mut bytes).map_err(Error::io(&path))?;
            (pickle::read(&path, &bytes)?, HashMap::new())
        } else {
            safetensors_file::read(&path, &file, opened.length)?
        };
        let entries = unwrapped(&path, entries)?;
        let shard = Self { path, entries, metadata, file: Mutex::new(file), opened };
        shard.unchanged(&shard.lock(), Ok(()))?;
        Ok(shard)
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.opened.length
    }

    /// Hands over the elements of a tensor in their order, piece by piece.
    ///
    /// # Errors
    /// If they cannot be read, or the file is not what was opened any more.
    pub(crate) fn read(&self, entry: &Entry, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let file = self.lock();
        let length = entry.range.len();
        let mut read = || {
            (&*file).seek(SeekFrom::Start(entry.range.start as u64))?;
            let whole = entry.strides.is_some();
            let mut piece = vec![0; if whole { length } else { length.min(PIECE) }];
            for from in (0..length).step_by(piece.len().max(1)) {
                let n = piece.len().min(length - from);
                let piece = &mut piece[..n];
                (&*file).read_exact(piece)?;
                match &entry.strides {
                    None => take(piece),
                    Some(strides) => take(&entry.in_order(piece, strides)),
                }
            }
            Ok(())
        };
        let result = read();
        self.unchanged(&file, result)
    }

    /// What is made of the file from its beginning.
    ///
    /// # Errors
    /// As [`Shard::read`].
    pub(crate) fn whole<T>(&self, make: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Error> {
        let file = self.lock();
        let made = (&*file).seek(SeekFrom::Start(0)).and_then(|_| make(&file));
        self.unchanged(&file, made)
    }

    /// The result of reading the file, if it still is what was opened.
    fn unchanged<T>(&self, file: &File, result: io::Result<T>) -> Result<T, Error> {
        if State::of(file).map_err(Error::io(&self.path))? != self.opened {
            let message = "has changed since it was opened; leave the files of a model or an adapter as they are while they are used";
            return Err(Error::content(&self.path, message));
        }
        result.map_err(Error::io(&self.path))
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a model is wrapped in when it is compiled or trained on several devices; PyTorch puts these
/// into the names of its tensors.
const WRAPPERS: [&str; 2] = ["_orig_mod", "module"];

/// The entries by the names that tensors have without wrappers around the model.
fn unwrapped(path: &Path, entries: Entries) -> Result<Entries, Error> {
    let is_wrapped = |name: &String| name.split('.').any(|part| WRAPPERS.contains(&part));
    if !entries.keys().any(is_wrapped) {
        return Ok(entries);
    }
    let mut plain = Entries::new();
    for (name, entry) in entries {
        let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
        let name = parts.join(".");
        if plain.contains_key(&name) {
            let message = format!(
                "has the tensor '{name}' twice: with and without {}",
                WRAPPERS.join(" or ")
            );
            return Err(Error::content(path, message));
        }
        plain.insert(name, entry);
    }
    Ok(plain)
}
