//! Adapters' folders of any library.

use std::path::Path;

use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, foreign};
use budwood_model::method;

use crate::{Error, Notice};

/// Reads an adapter's folder, and says which base model it is for: the one that is named here, else
/// the one that the folder names. `report` is told of a model that is fetched to read a folder of
/// another library.
///
/// # Errors
/// As [`read_folder`], and if a folder of another library names no base model that can be found.
pub fn read_named(
    path: &Path,
    base: Option<&str>,
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<AdapterFolder, Error> {
    let path = &budwood_hub::find_adapter(path, report)?;
    if foreign::library(path)?.is_none() {
        return Ok(AdapterFolder::load(path)?);
    }
    let named = foreign::base_name(path)?;
    let fault = |message: String| Error::Setting { name: "base", message };
    let Some(name) = base.or(named.as_deref()) else {
        let path = path.display();
        return Err(fault(format!("{path} does not say which base model it is of: give it")));
    };
    let place = budwood_hub::find_model(name, report).map_err(|e| match base {
        Some(_) => e.into(),
        None => fault(format!("{} names {name}; give its place: {e}", path.display())),
    })?;
    read_folder(path, &BaseModel::open(&place)?, name)
}

/// Reads an adapter's folder: ours, of AdapterHub or PEFT, or a tuned model's as its head. What is
/// not ours is taken over for this base, which has this name.
///
/// # Errors
/// If the folder is damaged, asks for what does not exist here, or does not fit the base.
pub fn read_folder(path: &Path, base: &BaseModel, name: &str) -> Result<AdapterFolder, Error> {
    if foreign::library(path)?.is_none() {
        return Ok(AdapterFolder::load(path)?);
    }
    let mut folder = foreign::adopt(path, base, name)?;
    folder.meta.method = method::resolve(&folder.meta.method)?;
    Ok(folder)
}
