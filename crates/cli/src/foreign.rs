//! Adapters' folders as the user names them: of any library.

use std::path::Path;

use anyhow::{Context, Result, bail};
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, foreign};

use crate::base;

/// Reads an adapter's folder; one of another library on the base that is named, or else on the one
/// that it names itself.
pub(crate) fn load(path: &Path, base: Option<&str>) -> Result<AdapterFolder> {
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
