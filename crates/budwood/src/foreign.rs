//! Adapters' folders of any library.

use std::path::Path;

use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, foreign};
use budwood_model::method;

use crate::Error;

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
