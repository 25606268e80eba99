//! The library's errors as Python's exceptions, with settings named as arguments.

use std::ffi::CString;
use std::io::ErrorKind;

use budwood_base::folder::FolderError;
use budwood_hub::Error as Hub;
use budwood_train::Error as Train;
use pyo3::exceptions::{
    PyException, PyFileExistsError, PyFileNotFoundError, PyOSError, PyPermissionError,
    PyUserWarning, PyValueError,
};
use pyo3::prelude::*;

use crate::settings::as_arguments;

pyo3::create_exception!(
    budwood,
    Error,
    PyException,
    "What the library cannot do, and why: a damaged file, an adapter of another base, a training \
     whose numbers run away. What is wrong with an argument is a ValueError or a TypeError."
);

/// Warns of each as Python does.
pub(crate) fn warn_all(py: Python<'_>, warnings: impl IntoIterator<Item = String>) -> PyResult<()> {
    let category = py.get_type::<PyUserWarning>();
    warnings.into_iter().try_for_each(|text| {
        // Names and answers of others may hold anything.
        let text = CString::new(text.replace('\0', " "))?;
        PyErr::warn(py, &category, &text, 2)
    })
}

/// An error with its causes in one line; settings are arguments.
fn message(error: &budwood::Error) -> String {
    if let budwood::Error::Setting { name, message } = error {
        return format!("{}: {}", name.replace('-', "_"), as_arguments(message));
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        // Many errors name their cause themselves.
        let said = next.to_string();
        if !text.ends_with(&said) {
            text += &format!(": {said}");
        }
        cause = next.source();
    }
    as_arguments(&text)
}

/// What the system said, if that is the cause.
fn of_system(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = cause.source();
    }
    None
}

/// The exception for an error. Rows are counted from `offset`.
pub(crate) fn raised_at(error: &budwood::Error, offset: usize) -> PyErr {
    if let budwood::Error::Input { row, message } = error {
        let index = offset + row - 1;
        return PyValueError::new_err(format!("index {index}: {}", as_arguments(message)));
    }
    use budwood::Error as Own;
    let said = message(error);
    match (of_system(error), error) {
        (Some(ErrorKind::NotFound), _) => PyFileNotFoundError::new_err(said),
        (Some(ErrorKind::PermissionDenied), _) => PyPermissionError::new_err(said),
        (Some(_), _) => PyOSError::new_err(said),
        (None, Own::Occupied { .. }) => PyFileExistsError::new_err(said),
        (None, Own::Setting { .. } | Own::Data(_) | Own::Model(_) | Own::Images(_))
        | (None, Own::Train(Train::Usage(_) | Train::Data(_) | Train::Model(_))) => {
            PyValueError::new_err(said)
        }
        (None, Own::Hub(error)) if is_missing(error) => PyFileNotFoundError::new_err(said),
        _ => Error::new_err(said),
    }
}

/// Whether nothing has the name that was looked for.
fn is_missing(error: &Hub) -> bool {
    match error {
        Hub::Usage(_) | Hub::Missing(_) => true,
        Hub::Elsewhere { source, .. } => is_missing(source),
        _ => false,
    }
}

/// The exception for an error.
pub(crate) fn raised(error: impl Into<budwood::Error>) -> PyErr {
    raised_at(&error.into(), 0)
}

/// The exception for a folder that cannot be written.
pub(crate) fn of_folder(error: FolderError) -> PyErr {
    raised(error)
}
