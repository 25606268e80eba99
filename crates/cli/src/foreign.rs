//! Adapters' folders as the user names them: of any library.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, foreign};
use budwood_hub::find_adapter;

use crate::base;

/// The folder of an adapter that the user named; one of the hub is fetched.
pub(crate) fn folder(name: &Path) -> Result<PathBuf> {
    Ok(find_adapter(name, &mut base::told())?)
}

/// Reads an adapter's folder; one of another library on the base that is named, or else on the one
/// that it names itself.
pub(crate) fn load(name: &Path, base: Option<&str>) -> Result<AdapterFolder> {
    let path = &folder(name)?;
    if foreign::library(path)?.is_none() {
        return Ok(AdapterFolder::load(path)?);
    }
    let named = foreign::base_name(path)?;
    let Some(name) = base.or(named.as_deref()) else {
        bail!("{} does not say which base model it is of: give it with --base", path.display());
    };
    let place = base::folder(name).with_context(|| match base {
        Some(_) => format!("cannot open the base model {name}"),
        None => {
            format!("{} names the base model {name}: give its place with --base", path.display())
        }
    })?;
    Ok(budwood::read_folder(path, &BaseModel::open(&place)?, name)?)
}
