//! File writes that are whole or absent: temporary file, flush to disk, rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::lock::open_locked;

/// The end of the names of files that are being written.
pub(crate) const TEMPORARY: &str = "budwood-tmp";

/// What stands in a file's place by mistake, by its first bytes, with the remedy: what a Git that
/// lacks its extension leaves of a large file, or the page of a web server.
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

/// Refuses a file of more than `most` bytes before it is read, and what is not a plain file: a pipe
/// would be waited for without end.
///
/// # Errors
/// If it is one of these, or is not there.
pub fn check_plain(path: &Path, most: u64) -> io::Result<()> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        return Err(io::Error::other(
            "is not a plain file, but a folder, a pipe or a device; give a file on a disk",
        ));
    }
    match file.len() > most {
        true => {
            let size = file.len();
            Err(io::Error::other(format!("has {size} bytes; at most {most} are read")))
        }
        false => Ok(()),
    }
}

/// The bytes of a plain file of at most `most` bytes.
///
/// # Errors
/// As [`check_plain`], or if it cannot be read.
pub fn read_plain(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    check_plain(path, most)?;
    fs::read(path)
}

/// The text of a plain file of at most `most` bytes.
///
/// # Errors
/// As [`read_plain`], or if it is not UTF-8.
pub fn read_plain_text(path: &Path, most: u64) -> io::Result<String> {
    check_plain(path, most)?;
    fs::read_to_string(path)
}

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part. A link
/// is followed; what is not a file on a disk, such as a pipe, is written to as it is.
///
/// # Errors
/// Whatever the file system gives; the old file is then untouched and the temporary one removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// [`write_atomic`] of what `write` puts into the file piece by piece.
///
/// # Errors
/// Whatever the file system or `write` gives; the old file is then untouched and the temporary one
/// removed.
pub fn write_atomic_with<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let old = fs::metadata(path).ok();
    if old.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    if old.as_ref().is_some_and(|m| !m.is_file()) {
        return write(&mut fs::OpenOptions::new().write(true).open(path)?);
    }
    let path = if old.is_some() { fs::canonicalize(path)? } else { path.into() };
    // Its name is always the same: what a killed process leaves behind is used by the next.
    let temporary = hidden_beside(&path, TEMPORARY);
    let Some(mut file) = open_locked(&temporary, true)? else { return Ok(()) };
    let result = (|| {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write(&mut file)?;
        if let Some(old) = old {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        Ok(sync_folder(path.parent())?)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// `.NAME.ENDING` beside `NAME`.
pub(crate) fn hidden_beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Flushes a folder's list of names to disk.
pub(crate) fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder.filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_into_a_missing_folder_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_atomic(&dir.path().join("no/file"), b"x").is_err());
        write_atomic(&dir.path().join("file"), b"x").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_not_replaced_by_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(write_atomic(&folder, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_and_its_file_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old and longer").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn what_a_dead_process_left_is_used_and_gone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".file.budwood-tmp"), "half, and longer than the whole").unwrap();
        write_atomic(&dir.path().join("file"), b"whole").unwrap();
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::thread::scope(|scope| {
            for letter in [b'a', b'b', b'c'] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        write_atomic(path, &vec![letter; 10_000 + letter as usize]).unwrap();
                        let seen = fs::read(path).unwrap();
                        assert_eq!(seen.len(), 10_000 + seen[0] as usize);
                        assert!(seen.iter().all(|b| *b == seen[0]));
                    }
                });
            }
        });
    }
}
