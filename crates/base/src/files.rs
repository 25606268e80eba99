//! File writes that are whole or absent: temporary file, flush to disk, rename.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What stands in a file's place by mistake, by its first bytes, with the remedy: what a Git that lacks its extension leaves of
/// a large file, or the page of a web server.
pub fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let begins = |start: &str| {
        let head = bytes.trim_ascii_start().get(..start.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    };
    if begins("version https://git-lfs") {
        return Some("is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`");
    }
    let page = begins("<!doctype html") || begins("<html");
    page.then_some("is a page of HTML, not the file itself; fetch it again")
}

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part.
///
/// # Errors
/// Whatever the file system gives; the old file is then untouched and the temporary one removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path.parent())
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Fills a new folder through `fill` and puts it at `path` in one step, replacing what was there.
///
/// # Errors
/// What `fill` or the file system gives; `path` then holds what it held before.
pub fn write_folder_atomic<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let temporary = temporary_beside(path);
    let result = (|| {
        fs::create_dir(&temporary)?;
        fill(&temporary)?;
        for entry in fs::read_dir(&temporary)? {
            File::open(entry?.path())?.sync_all()?;
        }
        // A folder cannot be renamed over a full one: the old one steps aside first.
        let old = temporary_beside(path);
        let had_old = path.exists();
        if had_old {
            fs::rename(path, &old)?;
        }
        if let Err(e) = fs::rename(&temporary, path) {
            if had_old {
                let _ = fs::rename(&old, path);
            }
            return Err(e.into());
        }
        sync_folder(path.parent())?;
        if had_old {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    })();
    if result.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.{count}.tmp", std::process::id()))
}

fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder.filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_the_old_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        write_folder_atomic(&path, |d| fs::write(d.join("a"), "old")).unwrap();
        let failed = write_folder_atomic(&path, |d| {
            fs::write(d.join("a"), "new")?;
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
        write_folder_atomic(&path, |d| fs::write(d.join("b"), "new")).unwrap();
        assert!(!path.join("a").exists() && path.join("b").exists());
    }

    #[test]
    fn a_write_into_a_missing_folder_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_atomic(&dir.path().join("no/file"), b"x").is_err());
        write_atomic(&dir.path().join("file"), b"x").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
