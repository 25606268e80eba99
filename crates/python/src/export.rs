//! Adapters as folders of other libraries.

use std::io;
use std::path::Path;

use budwood::{EXPORT_FOLDER, Export, OnnxPrecision, export, export_onnx};
use budwood_base::folder::OutFolder;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, model_folder};
use clap::ValueEnum;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{of_folder, raised};

/// Whose folder is written, and what its form leaves open.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// That of `adapters`: name of the adapter, and whether norms are written as the base's.
    AdapterHub { name: String, norms: bool },
    /// That of `peft`.
    Peft,
    /// A whole model of `transformers`.
    Transformers,
    /// Graphs for ONNX Runtime.
    Onnx(Vec<OnnxPrecision>),
}

impl Form {
    /// A form by its name on the command line.
    pub(crate) fn parse(
        to: &str,
        name: String,
        norms: bool,
        precisions: &[String],
    ) -> PyResult<Self> {
        Ok(match to {
            "adapterhub" => Self::AdapterHub { name, norms },
            "peft" => Self::Peft,
            "transformers" => Self::Transformers,
            "onnx" => Self::Onnx(graphs(precisions)?),
            _ => return Err(PyValueError::new_err(format!("there is no export to '{to}'"))),
        })
    }
}

/// Precisions of graphs, each once.
fn graphs(names: &[String]) -> PyResult<Vec<OnnxPrecision>> {
    let mut all = Vec::new();
    for name in names {
        let precision = OnnxPrecision::from_str(name, false).map_err(|_| {
            PyValueError::new_err(format!("precision='{name}' is not 'f32' or 'int8'"))
        })?;
        if !all.contains(&precision) {
            all.push(precision);
        }
    }
    match all.is_empty() {
        true => Err(PyValueError::new_err("precision names no form: give 'f32' or 'int8'")),
        false => Ok(all),
    }
}

/// What goes wrong while a folder is filled.
enum Fault {
    System(io::Error),
    Own(budwood::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<budwood::Error> for Fault {
    fn from(error: budwood::Error) -> Self {
        Self::Own(error)
    }
}

/// Writes a folder, which must be new or empty, and says what should be known of it.
pub(crate) fn write(
    folder: &AdapterFolder,
    base: &Path,
    form: &Form,
    out: &Path,
) -> PyResult<Vec<String>> {
    let kind = match form {
        Form::Transformers => &model_folder::KIND,
        _ => &EXPORT_FOLDER,
    };
    let place = new_folder(out, kind)?;
    let mut notes = Vec::new();
    let written = place.replace(|new| -> Result<(), Fault> {
        notes = files(folder, base, form, new)?;
        Ok(())
    });
    match written {
        Ok(()) => Ok(notes),
        Err(Fault::Own(error)) => Err(raised(error)),
        Err(Fault::System(source)) => {
            Err(raised(budwood_formats::Error::Io { path: out.into(), source }))
        }
    }
}

/// Writes the files into an empty folder.
fn files(
    folder: &AdapterFolder,
    base: &Path,
    form: &Form,
    new: &Path,
) -> Result<Vec<String>, Fault> {
    let open = || BaseModel::open(base).map_err(budwood::Error::from);
    let model;
    let to = match form {
        Form::Onnx(precisions) => {
            return Ok(export_onnx(folder, &open()?, precisions, new)?.1);
        }
        Form::AdapterHub { name, norms } => {
            model = open()?;
            Export::AdapterHub { name, norms: *norms, base: Some(&model) }
        }
        Form::Peft => Export::Peft { since_5: false },
        Form::Transformers => {
            model = open()?;
            Export::Transformers(&model)
        }
    };
    let exported = export(folder, to)?;
    for (name, bytes) in &exported.files {
        std::fs::write(new.join(name), bytes)?;
    }
    Ok(exported.notes)
}

/// A place for a new folder.
pub(crate) fn new_folder(
    out: &Path,
    kind: &'static budwood_base::folder::Kind,
) -> PyResult<OutFolder> {
    let place = OutFolder::open(out, kind).map_err(of_folder)?;
    match place.is_whole() {
        true => Err(raised(budwood::Error::Occupied { path: out.into() })),
        false => Ok(place),
    }
}
