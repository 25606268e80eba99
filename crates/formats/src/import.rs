//! Adapters of other libraries, whichever it is.

use std::path::Path;

use crate::error::Error;
use crate::imported::{Imported, read_json};
use crate::{adapterhub, peft};

/// Reads a folder of AdapterHub or of PEFT, whichever its `adapter_config.json` is of.
///
/// # Errors
/// If a file is missing or damaged, or the configuration asks for what does not exist here.
pub fn import(folder: &Path) -> Result<Imported, Error> {
    if !folder.join("adapter_config.json").exists() && folder.join("head_config.json").exists() {
        return adapterhub::read_head_alone(folder);
    }
    let (path, json) = read_json(folder, "adapter_config.json")?;
    match json.get("peft_type") {
        Some(_) => peft::read(folder, &path, &json, None),
        None => adapterhub::read(folder),
    }
}
