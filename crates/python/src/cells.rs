//! Values of Python as cells of a table.

use budwood_tasks::Cell;
use budwood_tasks::read::{Column, Table};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::raised;

/// A cell of a column of this name.
fn cell(column: &str, index: usize, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
    if value.is_none() {
        return Ok(Cell::Missing);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Cell::Text(text_of(column, index, text)?));
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Cell::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        // What is larger stays exact as a text.
        return match value.extract::<i64>() {
            Ok(n) => Ok(Cell::Int(n)),
            Err(_) => Ok(Cell::Text(value.str()?.to_string())),
        };
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Cell::Number(value.extract()?));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Cell::Bytes(bytes.as_bytes().to_vec()));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| cell(column, index, &item?));
        return Ok(Cell::List(items.collect::<PyResult<_>>()?));
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("{column}, index {index}: {kind} is not read")))
}

/// The text of a string, which may hold what no file can.
pub(crate) fn text_of(column: &str, index: usize, text: &Bound<'_, PyString>) -> PyResult<String> {
    text.to_str().map(ToString::to_string).map_err(|_| {
        let message = "the text holds half of a surrogate pair, which is not a character";
        PyValueError::new_err(format!("{column}, index {index}: {message}"))
    })
}

/// A table of named columns, which all are lists.
pub(crate) fn table(columns: Vec<(String, Bound<'_, PyList>)>) -> PyResult<Table> {
    let column = |(name, values): (String, Bound<'_, PyList>)| {
        let cells = values.iter().enumerate().map(|(i, value)| cell(&name, i, &value));
        let cells = cells.collect::<PyResult<_>>()?;
        Ok(Column { name, cells, names: None })
    };
    let columns = columns.into_iter().map(column).collect::<PyResult<_>>()?;
    Table::in_memory("data", columns).map_err(|e| raised(budwood::Error::from(e)))
}

/// The names that labels have as classes.
#[pyfunction]
pub(crate) fn label_names(labels: &Bound<'_, PyList>) -> PyResult<Vec<String>> {
    let name = |(i, value): (usize, Bound<'_, PyAny>)| {
        Ok(cell("label", i, &value)?.text().trim().to_string())
    };
    labels.iter().enumerate().map(name).collect()
}
