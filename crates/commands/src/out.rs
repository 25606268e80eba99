//! Where results go: folders and files that a command writes, checked before its work begins.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use budwood::run::FOLDER;
use budwood_base::address::{Address, Place, layout_and_place};
use budwood_base::files::write_atomic_with;
use budwood_base::folder::{Kind, some};

use crate::remote;
use crate::results::Results;

/// A path that a command reads, as the user wrote it.
fn input(text: &str) -> Option<PathBuf> {
    [text, layout_and_place(text).1].into_iter().find_map(|text| match Place::of(text) {
        Ok(Place::Here(path)) => std::fs::canonicalize(path).ok(),
        _ => None,
    })
}

/// Refuses an address for results that is, holds, or lies in what the command reads.
fn check_address(address: &Address, inputs: &[&str]) -> Result<()> {
    for text in inputs {
        let Ok(Place::Store(input)) = Place::of(layout_and_place(text).1) else { continue };
        if address.holds(&input) {
            bail!("{address} is, or holds, what is read from {text}; give another name");
        }
        if input.holds(address) {
            bail!("{address} lies inside {text}, which is read; give a name outside of it");
        }
    }
    Ok(())
}

/// A path without links, whether or not anything is there yet.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for above in whole.ancestors() {
        if let (Ok(real), Ok(rest)) = (std::fs::canonicalize(above), whole.strip_prefix(above)) {
            // Joining nothing would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    whole
}

/// Refuses a folder for results that is, holds, or lies in what the command reads, or in which the
/// user is at home.
pub(crate) fn check_folder(path: &Path, inputs: &[&str]) -> Result<()> {
    let path = &match Place::of_path(path)? {
        Place::Here(path) => path,
        Place::Store(address) => return check_address(&address, inputs),
    };
    let name = path.display();
    if path.to_str().is_none() {
        bail!("the name '{name}' is not UTF-8, which records of results need; choose another one");
    }
    if path.file_name().is_none() {
        bail!("'{name}' names no folder of its own: give the name of a new folder");
    }
    let place = resolved(path);
    let here = std::env::current_dir().ok();
    for (what, folder) in [("you are in", here), ("you are at home in", std::env::home_dir())] {
        let folder = folder.and_then(|f| std::fs::canonicalize(f).ok());
        if folder.is_some_and(|f| f.starts_with(&place)) {
            bail!("{name} is the folder that {what}, or above it; give the name of a new folder");
        }
    }
    for text in inputs {
        let Some(input) = input(text) else { continue };
        if input.starts_with(&place) {
            bail!("{name} is, or holds, what is read from {text}; give the name of a new folder");
        }
        if input.is_dir() && place.starts_with(&input) {
            bail!("{name} lies inside {text}, which is read; give a folder outside of it");
        }
    }
    Ok(())
}

/// Refuses a folder to which results are added bit by bit, if something is in it and none of
/// `marks`.
pub(crate) fn check_shared(folder: &Path, what: &str, marks: &[&str]) -> Result<()> {
    let folder = &match Place::of_path(folder)? {
        Place::Here(folder) => folder,
        Place::Store(address) => {
            bail!("{address}: {what} lies in a folder of this machine; give one")
        }
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        if std::fs::symlink_metadata(folder).is_ok() {
            bail!("{} is not a folder; give the name of a new folder", folder.display());
        }
        return Ok(());
    };
    let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|n| !n.starts_with(".budwood")).collect();
    names.sort_unstable();
    if !names.is_empty() && !names.iter().any(|n| marks.contains(&n.as_str())) {
        let (folder, names) = (folder.display(), some(&names));
        bail!(
            "{folder} holds files that are not of {what}: {names}. Nothing was changed; choose a new folder"
        );
    }
    Ok(())
}

/// Refuses a store in a folder that is written as a whole.
pub(crate) fn check_store(folder: &Path, store: Option<&Path>) -> Result<()> {
    if let Some(store) = store.filter(|s| resolved(s).starts_with(resolved(folder))) {
        let (store, folder) = (store.display(), folder.display());
        bail!("the store {store} lies inside {folder}; give a place outside of it");
    }
    Ok(())
}

/// Opens a folder for results; `inputs` is what the command reads.
pub(crate) fn folder(path: &Path, kind: &'static Kind, inputs: &[&str]) -> Result<Results> {
    check_folder(path, inputs)?;
    Results::open(path, kind)
}

/// As [`folder`], of a training run.
pub(crate) fn folder_of_run(path: &Path, inputs: &[&str]) -> Result<Results> {
    check_folder(path, inputs)?;
    Results::of_run(path, &FOLDER)
}

/// As [`folder`], for commands that make something new: what is there is replaced only with
/// `--overwrite`.
pub(crate) fn new_folder(
    path: &Path,
    kind: &'static Kind,
    overwrite: bool,
    inputs: &[&str],
) -> Result<Results> {
    let out = folder(path, kind, inputs)?;
    if out.is_whole() && !overwrite {
        bail!("{}", there(path, kind));
    }
    Ok(out)
}

/// What is said where something of ours is in the way.
pub(crate) fn there(path: &Path, kind: &Kind) -> String {
    let (path, what) = (path.display(), kind.what);
    format!("{path} is there already and holds {what}; say --overwrite to replace it")
}

/// Refuses a file for results that is there, unless it may be replaced, and always one that the
/// command reads.
pub(crate) fn check_file(path: &Path, overwrite: bool, inputs: &[&str]) -> Result<()> {
    let path = &match Place::of_path(path)? {
        Place::Here(path) => path,
        Place::Store(address) => {
            check_address(&address, inputs)?;
            return remote::check_file(&address, overwrite);
        }
    };
    let name = path.display();
    if path.file_name().is_none() || path.is_dir() {
        bail!("{name} is a folder; give the name of a file");
    }
    if std::fs::symlink_metadata(path).is_err() {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|f| !f.is_dir()) {
            bail!("there is no folder {} for {name}", folder.display());
        }
        return Ok(());
    }
    // A pipe or a device is written to; nothing of it is lost.
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return Ok(());
    }
    let Ok(place) = std::fs::canonicalize(path) else {
        bail!("{name} is a link to nothing; give another name");
    };
    for text in inputs {
        if input(text).is_some_and(|i| place.starts_with(i)) {
            bail!("{name} belongs to what is read from {text}; give the name of another file");
        }
    }
    if !overwrite {
        bail!("{name} is there already; say --overwrite to replace it");
    }
    Ok(())
}

/// Writes a file that [`check_file`] found good.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_file_with(path, |file| Ok(file.write_all(bytes)?))
}

/// [`write_file`] of what `write` puts into the file piece by piece.
pub(crate) fn write_file_with(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> Result<()>,
) -> Result<()> {
    let path = &match Place::of_path(path)? {
        Place::Here(path) => path,
        Place::Store(address) => return remote::write_file(&address, write),
    };
    write_atomic_with(path, write).map_err(|error| {
        match error.chain().any(|cause| cause.is::<std::io::Error>()) {
            true => error.context(format!("cannot write {}", path.display())),
            false => error,
        }
    })
}
