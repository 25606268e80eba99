//! Files below a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours to read; what is below `golden` was written by the peers.
const SKIPPED: &[&str] = &["target", "node_modules", ".git", "golden"];

/// All files with one of those extensions, sorted.
pub(crate) fn below(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, extensions, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !SKIPPED.iter().any(|s| name == *s) {
                collect(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            found.push(path);
        }
    }
}
