//! Adapters of other libraries, whichever it is.

use std::path::Path;

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::TensorMap;
use serde_json::Value;

use crate::{Error, adapterhub, peft};

/// What a folder of another library holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The method.
    pub method: MethodSpec,
    /// The head, if there is one.
    pub head: Option<HeadSpec>,
    /// Names of the classes in the order of the outputs; empty where the folder does not say.
    pub labels: Vec<String>,
    /// All tensors by canonical name.
    pub tensors: TensorMap,
    /// Pairs of canonical name and the library's name of the parameter.
    pub names: Vec<(String, String)>,
}

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
        Some(_) => peft::read(folder, &path, &json),
        None => adapterhub::read(folder),
    }
}

/// A JSON file of a folder, with its path for messages.
pub(crate) fn read_json(folder: &Path, name: &str) -> Result<(std::path::PathBuf, Value), Error> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let json = serde_json::from_str(&text).map_err(|e| Error::not_json(&path, &text, &e))?;
    Ok((path, json))
}

/// Refuses switches that have no counterpart here unless they are off.
pub(crate) fn refuse(
    path: &Path,
    config: &Value,
    switches: &[(&str, &[Value])],
) -> Result<(), Error> {
    for (field, off) in switches {
        if let Some(value) = config.get(*field)
            && !off.contains(value)
        {
            let message = format!("'{field}' is {value}, which Budwood does not have");
            return Err(Error::content(path, message));
        }
    }
    Ok(())
}
