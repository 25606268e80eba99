//! Locks on files, which the system frees when a process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A locked file, which is removed when this is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Dropped, and with it freed, after the file's name is gone.
    file: File,
}

/// What came of the try to take a lock.
#[derive(Debug)]
pub enum Taken {
    /// It is ours.
    Ours(Lock),
    /// Another has it: the number of its process, where that can be read.
    By(Option<u32>),
}

impl Lock {
    /// Takes the lock on `path`, which is made if it is not there, unless another process has it.
    ///
    /// # Errors
    /// If the file cannot be made or locked.
    pub fn take(path: &Path) -> io::Result<Taken> {
        let Some(file) = open_locked(path, false)? else {
            let text = fs::read_to_string(path).unwrap_or_default();
            return Ok(Taken::By(text.trim().parse().ok()));
        };
        // From here on the file goes with the lock, also where the disk is full.
        let lock = Self { path: path.into(), file };
        let mut file = &lock.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Taken::Ours(lock))
    }

    /// Takes the lock on `path` as soon as no other process has it.
    ///
    /// # Errors
    /// If the file cannot be made or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        match open_locked(path, true)? {
            Some(file) => Ok(Self { path: path.into(), file }),
            None => Err(io::Error::other("the lock is another's")),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever waits for it sees that its name is gone, and begins
        // again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens a file, made if it is not there, and locks it; none if another has it and `wait` is false.
pub(crate) fn open_locked(path: &Path, wait: bool) -> io::Result<Option<File>> {
    loop {
        if fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
            return Err(io::Error::other(format!(
                "{} is where a lock of Budwood's goes, and is no file; move it away",
                path.display()
            )));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let locked = match wait {
            true => file.lock(),
            false => match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => Err(e),
                Ok(()) => Ok(()),
            },
        };
        match locked {
            // A file system without locks: better without one than not at all.
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(Some(file)),
            other => other?,
        }
        // Its owner may have removed or renamed it between our opening and locking.
        if is_still(&file, path)? {
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    Ok(fs::symlink_metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (ours.dev(), ours.ino())))
}

#[cfg(not(unix))]
fn is_still(_: &File, path: &Path) -> io::Result<bool> {
    Ok(path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let Taken::Ours(first) = Lock::take(&path).unwrap() else { panic!("it was free") };
        match Lock::take(&path).unwrap() {
            Taken::By(Some(process)) => assert_eq!(process, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(!path.exists(), "no lock is left behind");
        // A file that a dead process left behind is not a lock.
        fs::write(&path, "99999999").unwrap();
        assert!(matches!(Lock::take(&path).unwrap(), Taken::Ours(_)));
    }

    #[test]
    fn never_two_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = Lock::wait(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("lock"), dir.path().join("other"));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(Lock::take(&path).is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }
}
