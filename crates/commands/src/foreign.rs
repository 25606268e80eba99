//! Adapters' folders as the user names them: of any library.

use std::path::{Path, PathBuf};

use anyhow::Result;
use budwood_formats::native::AdapterFolder;
use budwood_hub::find_adapter;

use crate::base;
use crate::output::note;

/// The folder of an adapter that the user named; one of the hub is fetched.
pub(crate) fn folder(name: &Path) -> Result<PathBuf> {
    Ok(find_adapter(name, &mut base::told())?)
}

/// As [`load`], and tells what cannot be known of the base of one that was taken over.
pub(crate) fn load_told(path: &Path, base: Option<&str>) -> Result<AdapterFolder> {
    let folder = load(path, base)?;
    if let Some(warning) = budwood_formats::foreign::warning(&folder.meta) {
        note!("{warning}");
    }
    Ok(folder)
}

/// Reads an adapter; one of another library on the base that is named, or else on the one
/// that it names itself.
pub(crate) fn load(path: &Path, base: Option<&str>) -> Result<AdapterFolder> {
    Ok(budwood::read_named(path, base, &mut base::told())?)
}
