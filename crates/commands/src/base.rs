//! Models and data that the user named: found, with what is fetched told on standard error.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use budwood::spec::{ColumnSpec, ReadLimits};
use budwood_formats::BaseModel;
use budwood_hub::{Notice, find_folder, find_model};
use budwood_tasks::DataSource;

use crate::output::{bytes, note};

/// The folder of a base model that the user named.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    Ok(find_model(name, &mut told())?)
}

/// A file or folder that the user named, fetched if it is in an object store.
pub(crate) fn here(path: &Path) -> Result<PathBuf> {
    Ok(find_folder(path, &mut told())?)
}

/// The data that a text names: a data set of a package by its name, else a file or LAYOUT=FOLDER,
/// here or in an object store.
pub(crate) fn source_named(
    columns: &ColumnSpec,
    text: &str,
    limits: ReadLimits,
) -> Result<DataSource> {
    Ok(budwood::run::source_named(columns, text, limits, &mut told())?)
}

/// Tells what is fetched, file by file.
pub(crate) fn told() -> impl FnMut(Notice<'_>) {
    let mut told = String::new();
    move |notice| match notice {
        Notice::Package { name, version, with } => {
            note!("fetching {name} {version} with {with} ...");
        }
        Notice::Object { address, bytes: size } => {
            note!("fetching {address} ({}) ...", bytes(size));
        }
        Notice::File { model, progress } if told != progress.file => {
            told = progress.file.into();
            note!("fetching {told} of {model} ({}) ...", bytes(progress.size));
        }
        Notice::File { .. } => {}
        Notice::Part { .. } => notice.warning().iter().for_each(|warning| note!("{warning}")),
    }
}

/// Refuses a model in int8 where a base is taken by the hash of its weights: which model it was
/// made from is only what its `budwood.json` says.
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
