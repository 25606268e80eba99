//! Adapters as folders of other libraries.

use std::io;
use std::path::Path;

use budwood::{Export, ExportForm, OnnxPrecision, export};
use budwood_base::folder::OutFolder;
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterFolder;
use clap::ValueEnum;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{of_folder, raised};

/// A form by its name on the command line, with its defaults.
pub(crate) fn form(to: &str) -> PyResult<Export> {
    let form = ExportForm::from_str(to, false);
    let form = form.map_err(|_| PyValueError::new_err(format!("there is no export to '{to}'")))?;
    Ok(Export::new(form))
}

/// Precisions of graphs by their names.
pub(crate) fn precisions(names: &[String]) -> PyResult<Vec<OnnxPrecision>> {
    let named = names.iter().map(|name| {
        OnnxPrecision::from_str(name, false).map_err(|_| {
            PyValueError::new_err(format!("precision='{name}' is not 'f32' or 'int8'"))
        })
    });
    let all = named.collect::<PyResult<Vec<_>>>()?;
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
    form: &Export,
    out: &Path,
) -> PyResult<Vec<String>> {
    let place = new_folder(out, form.form.kind())?;
    let mut notes = Vec::new();
    let written = place.replace(|new| -> Result<(), Fault> {
        // What PEFT's form holds does not hang on the base.
        let model = match form.form {
            ExportForm::Peft => None,
            _ => Some(BaseModel::open(base).map_err(budwood::Error::from)?),
        };
        notes = export(folder, model.as_ref(), form, new)?.1;
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
