//! Adapters' folders as the user names them: of any library.

use std::path::Path;

use anyhow::Result;
use budwood_formats::native::AdapterFolder;

use crate::base;

/// Reads an adapter's folder; one of another library on the base that is named, or else on the one
/// that it names itself.
pub(crate) fn load(path: &Path, base: Option<&str>) -> Result<AdapterFolder> {
    Ok(budwood::read_named(path, base, &mut base::told())?)
}
