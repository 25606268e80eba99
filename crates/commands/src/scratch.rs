//! Folders for files that a process needs for a while. What dead processes left is removed.
//!
//! Below the board, `scratch/N` belongs to one process, which holds a lock on `scratch/N.lock` for
//! as long as it lives; the system frees the lock however the process ends. Whoever comes, under
//! the lock `scratch/lock`, removes folders whose own lock is free.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// The folders of this process.
pub(crate) struct Scratches {
    path: PathBuf,
    lock: PathBuf,
    next: AtomicU64,
    _held: File,
}

impl Scratches {
    /// A place for them below a board, after those of dead processes were removed.
    pub(crate) fn open(board: &Path) -> Result<Self> {
        let root = board.join("scratch");
        remove_older(board);
        Self::begin(&root).with_context(|| format!("cannot use {}", root.display()))
    }

    fn begin(root: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(root)?;
        let one_at_a_time = lock_file(&root.join("lock"))?;
        one_at_a_time.lock()?;
        for number in numbers(root)? {
            let lock = root.join(format!("{number}.lock"));
            if lock_file(&lock)?.try_lock().is_ok() {
                let _ = fs::remove_dir_all(root.join(number.to_string()));
                fs::remove_file(&lock)?;
            }
        }
        let taken = numbers(root)?;
        // A folder without a lock is not known to be ours.
        let free =
            |n: &u64| !taken.contains(n) && fs::symlink_metadata(root.join(n.to_string())).is_err();
        let number = (0..).find(free).unwrap_or_default();
        let (path, lock) = (root.join(number.to_string()), root.join(format!("{number}.lock")));
        let held = lock_file(&lock)?;
        held.lock()?;
        fs::create_dir(&path)?;
        Ok(Self { path, lock, next: AtomicU64::new(0), _held: held })
    }

    /// A folder with an adapter's files under their names, removed when it is dropped.
    pub(crate) fn adapter(&self, weights: &Path, description: &Path) -> Result<Scratch> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(number.to_string());
        let scratch = Scratch { path };
        let fill = || -> std::io::Result<()> {
            fs::create_dir(&scratch.path)?;
            for (file, name) in [weights, description].into_iter().zip(FILES) {
                let place = scratch.path.join(name);
                // A second name is enough; where the disk has none, a copy.
                if fs::hard_link(file, &place).is_err() {
                    fs::copy(file, &place)?;
                }
            }
            Ok(())
        };
        fill().with_context(|| format!("cannot write {}", scratch.path.display()))?;
        Ok(scratch)
    }
}

/// The files of an adapter's folder.
const FILES: [&str; 2] = ["adapter.safetensors", "adapter.json"];

/// Removes what older programs left when they died: `check-N-PROCESS` and `trial-N-PROCESS` in the
/// board's folder, each with an adapter's two files. What holds anything else stays.
fn remove_older(board: &Path) {
    for entry in fs::read_dir(board).into_iter().flatten().flatten() {
        let process = entry.file_name().to_str().and_then(process_of_older);
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_folder && process.is_some_and(|p| !is_alive(p)) {
            let path = entry.path();
            let names = fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.file_name());
            if names.into_iter().all(|name| FILES.iter().any(|f| name == *f)) {
                FILES.iter().for_each(|name| drop(fs::remove_file(path.join(name))));
                let _ = fs::remove_dir(&path);
            }
        }
    }
}

/// The process in a name such as `check-7-4711`.
fn process_of_older(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("check-").or_else(|| name.strip_prefix("trial-"))?;
    let (number, process) = rest.split_once('-')?;
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    (digits(number) && digits(process)).then(|| process.parse().ok())?
}

/// Whether another process has this number. Where the system does not tell, one does.
fn is_alive(process: u32) -> bool {
    let all = Path::new("/proc");
    let told = all.join(std::process::id().to_string()).exists();
    process != std::process::id() && (!told || all.join(process.to_string()).exists())
}

/// The numbers of the processes that have, or had, folders here: those of their locks.
fn numbers(root: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|n| n.strip_suffix(".lock")).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}

fn lock_file(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

impl Drop for Scratches {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock);
    }
}

/// A folder of one adapter.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_removed_and_nothing_else() {
        let board = tempfile::tempdir().unwrap();
        let root = board.path().join("scratch");
        // A process that died: its lock is free.
        fs::create_dir_all(root.join("0/5")).unwrap();
        fs::write(root.join("0.lock"), "").unwrap();
        // Not ours: no lock of that name.
        fs::create_dir_all(root.join("mine")).unwrap();
        let (weights, description) = (board.path().join("w"), board.path().join("d"));
        fs::write(&weights, "w").unwrap();
        fs::write(&description, "d").unwrap();
        let living = Scratches::open(board.path()).unwrap();
        assert!(!root.join("0/5").exists() && root.join("mine").exists());
        let adapter = living.adapter(&weights, &description).unwrap();
        let second = Scratches::open(board.path()).unwrap();
        assert_eq!(fs::read(adapter.path.join("adapter.json")).unwrap(), b"d");
        assert_ne!(second.path, living.path);
        drop((adapter, living, second));
        let mut left: Vec<_> =
            fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "mine"]);
    }
    #[test]
    #[cfg(target_os = "linux")]
    fn what_dead_older_programs_left_is_removed_and_nothing_else() {
        let board = tempfile::tempdir().unwrap();
        // Linux gives out no numbers as large as this.
        let dead = u32::MAX - 1;
        let folder = |name: &str, files: &[&str]| {
            let path = board.path().join(name);
            fs::create_dir(&path).unwrap();
            files.iter().for_each(|file| fs::write(path.join(file), "x").unwrap());
        };
        folder(&format!("check-1-{dead}"), &FILES);
        folder(&format!("trial-0-{dead}"), &FILES[..1]);
        folder(&format!("trial-2-{}", std::process::id()), &[]);
        let parent = std::os::unix::process::parent_id();
        let kept = [
            format!("check-2-{dead}"),
            format!("check-3-{parent}"),
            "check-4".into(),
            "check-x-1".into(),
            format!("trial-1-{dead}"),
        ];
        folder(&kept[0], &["adapter.json", "notes.txt"]);
        folder(&kept[1], &FILES);
        folder(&kept[2], &FILES);
        folder(&kept[3], &FILES);
        fs::write(board.path().join(&kept[4]), "a file").unwrap();
        // A folder without a lock is not ours either, and in nobody's way.
        fs::create_dir_all(board.path().join("scratch/0")).unwrap();
        drop(Scratches::open(board.path()).unwrap());
        let names = |path: &Path| {
            let names = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name());
            let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
            names.sort();
            names
        };
        let mut all = kept.to_vec();
        all.push("scratch".into());
        all.sort();
        assert_eq!(names(board.path()), all);
        assert_eq!(names(&board.path().join("scratch")), ["0", "lock"]);
        assert_eq!(fs::read_dir(board.path().join(&kept[0])).unwrap().count(), 2);
    }
}
