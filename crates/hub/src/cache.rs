//! The cache of Python's `huggingface_hub`: `models--OWNER--NAME/{refs,blobs,snapshots}`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use budwood_base::files::write_atomic;

use crate::hash::ETag;
use crate::name::is_commit;
use crate::{Error, ModelName};

/// So many lock files without a name in a row mean that this file system does not count names.
const TRIES: usize = 100;

/// One model's part of the cache. Commits that are given to it are checked ones.
pub(crate) struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(crate) fn of(root: &Path, name: &ModelName) -> Self {
        let folder = name.folder();
        Self { folder: root.join(&folder), locks: root.join(".locks").join(folder) }
    }

    /// The commit that a revision was when it was last fetched.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(text.trim().to_string()).filter(|t| is_commit(t))
    }

    /// Notes the commit of a revision. A commit needs no note of itself.
    pub(crate) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        make_folder(path.parent())?;
        write_atomic(&path, commit.as_bytes()).map_err(Error::file(&path))
    }

    /// The folder with the files of a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where a file's bytes are, once they are whole.
    pub(crate) fn blob(&self, etag: &ETag) -> PathBuf {
        self.folder.join("blobs").join(etag.as_str())
    }

    /// Where they are until then. Only who holds the lock writes there.
    pub(crate) fn part(&self, etag: &ETag) -> PathBuf {
        self.folder.join("blobs").join(format!("{}.incomplete", etag.as_str()))
    }

    /// Waits until no other process fetches these bytes; they may do so again when the file is
    /// dropped.
    pub(crate) fn lock(&self, etag: &ETag) -> Result<File, Error> {
        make_folder(Some(&self.locks))?;
        make_folder(Some(&self.folder.join("blobs")))?;
        let path = self.locks.join(format!("{}.lock", etag.as_str()));
        let mut tries = 0;
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(Error::file(&path))?;
            file.lock().map_err(Error::file(&path))?;
            // Python's library removes its lock files: one that has no name any more locks nothing.
            tries += 1;
            if is_named(&file) || tries == TRIES {
                return Ok(file);
            }
        }
    }

    /// Notes that a commit has no such file, as Python's library does.
    pub(crate) fn note_absent(&self, commit: &str, file: &str) -> Result<(), Error> {
        let path = self.absent(commit).join(file);
        if path.exists() {
            return Ok(());
        }
        make_folder(path.parent())?;
        File::create(&path).map(drop).map_err(Error::file(&path))
    }

    /// The folder with the names of files that a commit does not have.
    pub(crate) fn absent(&self, commit: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit)
    }

    /// Puts bytes that are in the cache at a file's place in a commit.
    pub(crate) fn place(&self, etag: &ETag, commit: &str, file: &str) -> Result<(), Error> {
        let path = self.snapshot(commit).join(file);
        make_folder(path.parent())?;
        let up = "../".repeat(file.matches('/').count() + 2);
        let target = PathBuf::from(format!("{up}blobs/{}", etag.as_str()));
        if fs::read_link(&path).is_ok_and(|t| t == target) {
            return Ok(());
        }
        // Beside it first, so that what is there is replaced in one step. Who holds the lock is
        // alone with this name, and removes what a killed process left there.
        let new = path.with_file_name(format!(".{}.tmp", etag.as_str()));
        let _ = fs::remove_file(&new);
        link(&target, &self.blob(etag), &new).map_err(Error::file(&new))?;
        fs::rename(&new, &path).map_err(|source| {
            let _ = fs::remove_file(&new);
            Error::File { path: path.clone(), source }
        })
    }
}

#[cfg(unix)]
fn is_named(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().map_or(true, |m| m.nlink() > 0)
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_named(_: &File) -> bool {
    true
}

#[cfg(unix)]
fn link(target: &Path, blob: &Path, new: &Path) -> std::io::Result<()> {
    // Some file systems have no links; there the bytes lie twice, as with the Python library.
    std::os::unix::fs::symlink(target, new).or_else(|_| copy(blob, new))
}

#[cfg(not(unix))]
fn link(_: &Path, blob: &Path, new: &Path) -> std::io::Result<()> {
    copy(blob, new)
}

fn copy(blob: &Path, new: &Path) -> std::io::Result<()> {
    fs::copy(blob, new).map(|_| ()).inspect_err(|_| {
        let _ = fs::remove_file(new);
    })
}

fn make_folder(folder: Option<&Path>) -> Result<(), Error> {
    folder.map_or(Ok(()), |f| fs::create_dir_all(f).map_err(Error::file(f)))
}
