//! What the readers of other libraries' adapters share: what they give, and how they read a
//! configuration.

use std::path::{Path, PathBuf};

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::TensorMap;
use serde_json::Value;

use crate::error::Error;
use crate::text_file;

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

/// A JSON file of a folder, with its path for messages.
pub(crate) fn read_json(folder: &Path, name: &str) -> Result<(PathBuf, Value), Error> {
    let path = folder.join(name);
    let json = text_file::read_json(&path)?;
    Ok((path, json))
}

/// A switch of a configuration; its default where nothing is said.
///
/// # Errors
/// If it is neither true nor false: what it means elsewhere is not known.
pub(crate) fn flag(path: &Path, config: &Value, field: &str, default: bool) -> Result<bool, Error> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(on)) => Ok(*on),
        Some(other) => {
            Err(Error::content(path, format!("'{field}' is {other}, neither true nor false")))
        }
    }
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
