//! Folders that this program writes: whole or not at all, one process at a time, and never over
//! files of others.
//!
//! A folder is filled under a hidden name beside its place and exchanged with what is there in one
//! call of the system. Then the files that we wrote before are removed by name; whatever else lay
//! there moves to the new folder. What a killed process leaves behind has names that are always the
//! same, and the next one clears it up.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::address::{Address, AddressError, Place};
use crate::files::{TEMPORARY, hidden_beside, sync_folder};
use crate::lock::{Lock, Taken};

/// Which files in a folder are ours.
#[derive(Debug)]
pub enum Ours {
    /// Those of known names.
    Named {
        /// What the folder is for; they are there together or not at all.
        files: &'static [&'static str],
        /// What lies there while work goes on.
        work: &'static [&'static [&'static str]],
        /// Whether files of those names were written by this program.
        mark: fn(&Path) -> bool,
    },
    /// Those that a list in the folder names.
    Listed,
}

/// A kind of folder that this program writes.
#[derive(Debug)]
pub struct Kind {
    /// In words, with the article.
    pub what: &'static str,
    /// Its files.
    pub ours: Ours,
}

/// The list of [`Ours::Listed`].
const LIST: &str = ".budwood-files";

// Endings of hidden names.
const LOCK: &str = "lock";
/// A folder that is being filled.
const PART: &str = "part";
/// The new folder before the exchange, the old one after it.
const SWAP: &str = "swap";
/// The old folder, where the system cannot exchange.
const OLD: &str = "old";

fn hidden(path: &Path, what: &str) -> PathBuf {
    hidden_beside(path, &format!("budwood-{what}"))
}

/// The longest name: twice there must be room for what is added to it in hidden ones.
const NAME: usize = 255 - 32;

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It has no name of its own.
    #[error("'{}' names no folder of its own: give the name of a new folder", .0.display())]
    Nameless(PathBuf),
    /// Something else has its name.
    #[error("{}: {what}; give another name", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It holds files of others.
    #[error(
        "{} holds files that are not of {what} of Budwood's: {names}. Nothing was changed; choose a new folder, or move them away", path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The kind that was to be written.
        what: &'static str,
        /// Some of the names.
        names: String,
    },
    /// It lies in an object store.
    #[error("{0} is the address of an object store, to which this is not written; give a folder")]
    Store(Address),
    /// It is an address that cannot be one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Another process writes it.
    #[error("{}: {} is at work on this folder; wait for its end, or choose another one", path.display(), process(*.holder))]
    Busy {
        /// The folder.
        path: PathBuf,
        /// The number of the process.
        holder: Option<u32>,
    },
    /// The file system refused.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

fn process(holder: Option<u32>) -> String {
    holder.map_or("another process".into(), |number| format!("process {number}"))
}

/// A folder that this process writes; no other one does until it is dropped.
#[derive(Debug)]
pub struct OutFolder {
    path: PathBuf,
    kind: &'static Kind,
    whole: bool,
    /// Folders above that were made for it, and are removed if it stays empty.
    made: Vec<PathBuf>,
    lock: Option<Lock>,
}

impl OutFolder {
    /// Checks that a folder of this kind can be written at `path`, locks it, and clears up after a
    /// process that was killed there. Nothing that is there is changed.
    ///
    /// # Errors
    /// If the path is an address, there is anything but a folder, a folder with files of others and
    /// none of ours, another process at work, or no right to write.
    pub fn open(path: &Path, kind: &'static Kind) -> Result<Self, FolderError> {
        let path = &match Place::of_path(path)? {
            Place::Here(path) => path,
            Place::Store(address) => return Err(FolderError::Store(address)),
        };
        let Some(name) = path.file_name() else { return Err(FolderError::Nameless(path.into())) };
        let at = |reason| FolderError::Io { path: path.into(), reason };
        if name.len() > NAME {
            let what = "the name is too long";
            return Err(FolderError::Occupied { path: path.into(), what });
        }
        let mut made = Vec::new();
        let place = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                let parent = parent.unwrap_or(Path::new("."));
                make_all(parent, &mut made).map_err(at)?;
                fs::canonicalize(parent).map_err(at)?.join(name)
            }
            Err(e) => return Err(at(e)),
            Ok(_) => match fs::canonicalize(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let what = "is a link to nothing";
                    return Err(FolderError::Occupied { path: path.into(), what });
                }
                other => other.map_err(at)?,
            },
        };
        if place.file_name().is_none() {
            return Err(FolderError::Nameless(path.into()));
        }
        let lock = match Lock::take(&hidden(&place, LOCK)).map_err(at)? {
            Taken::Ours(lock) => lock,
            Taken::By(holder) => {
                return Err(FolderError::Busy { path: path.into(), holder });
            }
        };
        let mut folder = Self { path: place, kind, whole: false, made, lock: Some(lock) };
        folder.recover()?;
        folder.check(path)?;
        Ok(folder)
    }

    /// Whether a process that wrote a folder was killed, or is at work on it now.
    pub fn was_killed(path: &Path) -> bool {
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let exists = |what| fs::symlink_metadata(hidden(&place, what)).is_ok();
        [LOCK, PART, SWAP, OLD].into_iter().any(exists)
    }

    /// The folder, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of its files, with `/`: the last is the one by which it is known.
    pub fn files(&self) -> Vec<String> {
        match self.kind.ours {
            Ours::Named { files, .. } => {
                let there = files.iter().rev().filter(|file| self.path.join(file).is_file());
                there.map(ToString::to_string).collect()
            }
            Ours::Listed => list(&self.path, self.kind).unwrap_or_default(),
        }
    }

    /// Whether a whole folder of this kind was there when this one was opened.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Makes the folder itself, for what is written to it while work goes on.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(&mut self) -> io::Result<()> {
        make_all(&self.path, &mut self.made)
    }

    /// Fills a new folder through `fill` and puts it in its place in one step.
    ///
    /// # Errors
    /// What `fill` or the file system gives; the folder then holds what it held before.
    pub fn replace<E: From<io::Error>>(
        &self,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let part = self.hidden(PART);
        let result = (|| {
            fs::create_dir(&part)?;
            fill(&part)?;
            if let Ours::Listed = self.kind.ours {
                write_list(&part, self.kind)?;
            }
            if let Ok(old) = fs::metadata(&self.path) {
                fs::set_permissions(&part, old.permissions())?;
            }
            sync_all(&part)?;
            Ok(self.put(&part)?)
        })();
        if result.is_err() {
            // Its name is hidden and we hold the lock: all that is in it was written by `fill`.
            let _ = fs::remove_dir_all(&part);
        }
        result
    }

    /// Removes what we wrote, and the folder if nothing else is in it.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn remove(self) -> Result<(), FolderError> {
        let swap = self.hidden(SWAP);
        match fs::rename(&self.path, &swap) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(reason) => Err(FolderError::Io { path: self.path.clone(), reason }),
            Ok(()) => self.clear(&swap).map_err(|reason| FolderError::Io { path: swap, reason }),
        }
    }

    fn hidden(&self, what: &str) -> PathBuf {
        hidden(&self.path, what)
    }

    fn put(&self, part: &Path) -> io::Result<()> {
        if !self.path.exists() {
            fs::rename(part, &self.path)?;
            return sync_folder(self.path.parent());
        }
        let (swap, old) = (self.hidden(SWAP), self.hidden(OLD));
        fs::rename(part, &swap)?;
        let exchanged = exchange(&swap, &self.path);
        if let Ok(false) = exchanged {
            // Killed between these two, the next start puts the old one back.
            fs::rename(&self.path, &old)?;
            fs::rename(&swap, &self.path)?;
            sync_folder(self.path.parent())?;
            return self.clear(&old);
        }
        if exchanged.is_err() {
            self.clear(&swap)?;
        }
        exchanged?;
        sync_folder(self.path.parent())?;
        self.clear(&swap)
    }

    /// Ends what a killed process had begun.
    fn recover(&self) -> Result<(), FolderError> {
        let at = |path: &Path, reason| FolderError::Io { path: path.into(), reason };
        let (part, swap, old) = (self.hidden(PART), self.hidden(SWAP), self.hidden(OLD));
        for path in [&part, &swap, &old] {
            if fs::symlink_metadata(path).is_ok_and(|m| !m.is_dir()) {
                let what = "is in the way and is not a folder of ours; remove it";
                return Err(FolderError::Occupied { path: path.clone(), what });
            }
        }
        if is_folder(&part) {
            fs::remove_dir_all(&part).map_err(|e| at(&part, e))?;
        }
        if is_folder(&old) && !self.path.exists() {
            fs::rename(&old, &self.path).map_err(|e| at(&old, e))?;
        }
        // Before the exchange this is the new folder, which nobody has seen; after it the old one.
        for rest in [swap, old] {
            if is_folder(&rest) {
                self.clear(&rest).map_err(|e| at(&rest, e))?;
            }
        }
        Ok(())
    }

    /// Removes a hidden folder with our files in it; what others put there moves to the folder in
    /// its place.
    fn clear(&self, rest: &Path) -> io::Result<()> {
        let ours = names(rest, self.kind);
        for name in &ours {
            let file = rest.join(name);
            // A link in the place of a folder could lead anywhere.
            let inside = file.ancestors().skip(1).take_while(|a| *a != rest).all(is_folder);
            if inside && fs::symlink_metadata(&file).is_ok_and(|m| !m.is_dir()) {
                fs::remove_file(&file)?;
            }
        }
        let mut folders: Vec<&Path> =
            ours.iter().flat_map(|n| Path::new(n).ancestors().skip(1)).collect();
        folders.sort_unstable_by_key(|f| std::cmp::Reverse(f.as_os_str().len()));
        for folder in folders.iter().filter(|f| !f.as_os_str().is_empty()) {
            let _ = fs::remove_dir(rest.join(folder));
        }
        for entry in fs::read_dir(rest)? {
            let entry = entry?;
            fs::create_dir_all(&self.path)?;
            fs::rename(entry.path(), free(&self.path, &entry.file_name()))?;
        }
        fs::remove_dir(rest)
    }

    /// Refuses a place that cannot be written, or that holds files of others.
    fn check(&mut self, path: &Path) -> Result<(), FolderError> {
        let at = |reason| FolderError::Io { path: path.into(), reason };
        let Ok(metadata) = fs::metadata(&self.path) else { return Ok(()) };
        let occupied = |what| Err(FolderError::Occupied { path: path.into(), what });
        if !metadata.is_dir() {
            return occupied("is a file");
        }
        if is_mount(&metadata, &self.path) {
            return occupied(
                "is the root of a file system, which cannot be replaced by a new folder: name one inside",
            );
        }
        self.whole = match self.kind.ours {
            Ours::Named { mark, .. } => mark(&self.path),
            Ours::Listed => list(&self.path, self.kind).is_some(),
        };
        if !self.whole {
            let strange = strange(&self.path, self.kind).map_err(at)?;
            if !strange.is_empty() {
                let (path, what) = (path.into(), self.kind.what);
                return Err(FolderError::Foreign { path, what, names: some(&strange) });
            }
        }
        // Better known now than after the work.
        let probe = self.path.join(".budwood-probe");
        let written = fs::create_dir(&probe);
        let _ = fs::remove_dir(&probe);
        match written {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(at(e)),
            _ => Ok(()),
        }
    }
}

impl Drop for OutFolder {
    fn drop(&mut self) {
        drop(self.lock.take());
        // Only those that are empty go.
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Makes a folder and those above it that are missing, and notes which were made.
fn make_all(folder: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|a| !a.as_os_str().is_empty() && fs::symlink_metadata(a).is_err())
        .collect();
    for one in missing.into_iter().rev() {
        match fs::create_dir(one) {
            Ok(()) => made.push(fs::canonicalize(one)?),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A name in `folder` that nothing has: `NAME`, else `NAME.kept`, `NAME.kept.kept`, ...
fn free(folder: &Path, name: &OsStr) -> PathBuf {
    let mut name = name.to_os_string();
    while fs::symlink_metadata(folder.join(&name)).is_ok() {
        name.push(".kept");
    }
    folder.join(name)
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

#[cfg(unix)]
fn is_mount(metadata: &fs::Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let above = path.parent().and_then(|p| fs::metadata(p).ok());
    above.is_some_and(|above| above.dev() != metadata.dev())
}

#[cfg(not(unix))]
fn is_mount(_: &fs::Metadata, _: &Path) -> bool {
    false
}

/// Exchanges two folders; false where the system cannot.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Names of all files that would be ours in `folder`, with `/`; the list itself comes last, as it
/// says what the others are.
fn names(folder: &Path, kind: &Kind) -> Vec<String> {
    match kind.ours {
        Ours::Named { files, work, .. } => {
            let all = files.iter().chain(work.iter().copied().flatten());
            all.flat_map(|n| with_temporary(n)).collect()
        }
        Ours::Listed => {
            let mut all = list(folder, kind).unwrap_or_default();
            all.extend(with_temporary(LIST));
            all
        }
    }
}

/// A name, and that of the file while it is written.
fn with_temporary(name: &str) -> [String; 2] {
    let temporary = hidden_beside(Path::new(name), TEMPORARY);
    [temporary.to_string_lossy().into_owned(), name.into()]
}

/// What in `folder` is not work of ours: first names, sorted.
fn strange(folder: &Path, kind: &Kind) -> io::Result<Vec<String>> {
    let known: Vec<String> = match kind.ours {
        Ours::Named { work, .. } => {
            work.iter().copied().flatten().flat_map(|n| with_temporary(n)).collect()
        }
        Ours::Listed => Vec::new(),
    };
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            let name = format!("{inside}{}", entry.file_name().to_string_lossy());
            let below = format!("{name}/");
            if entry.file_type()?.is_dir() && known.iter().any(|k| k.starts_with(&below)) {
                open.push(below);
            } else if entry.file_type()?.is_dir() || !known.contains(&name) {
                found.push(name);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The first of some names, and how many others there are.
pub fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => shown,
        n => format!("{shown} and {} more", n - 3),
    }
}

/// The first line of a list.
fn title(kind: &Kind) -> String {
    format!("Files of {}, written by Budwood", kind.what)
}

/// The names that a folder's list has; none where there is no list of this kind.
fn list(folder: &Path, kind: &Kind) -> Option<Vec<String>> {
    let text = fs::read_to_string(folder.join(LIST)).ok()?;
    let mut lines = text.lines();
    if lines.next()? != title(kind) {
        return None;
    }
    let safe = |name: &&str| {
        let mut parts = Path::new(name).components().peekable();
        parts.peek().is_some() && parts.all(|c| matches!(c, Component::Normal(_)))
    };
    Some(lines.filter(safe).map(ToString::to_string).collect())
}

fn write_list(folder: &Path, kind: &Kind) -> io::Result<()> {
    let mut text = title(kind) + "\n";
    walk(folder, &mut |path| {
        let name = path.strip_prefix(folder).map_err(io::Error::other)?;
        // A folder that was filled as one of its own has a list already.
        if name != Path::new(LIST) {
            text += &format!("{}\n", name.to_string_lossy().replace('\\', "/"));
        }
        Ok(())
    })?;
    fs::write(folder.join(LIST), text)
}

fn sync_all(folder: &Path) -> io::Result<()> {
    walk(folder, &mut |path| File::open(path)?.sync_all())?;
    sync_folder(Some(folder))
}

/// All files below a folder, sorted.
fn walk(folder: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), each)?,
            false => each(&entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
