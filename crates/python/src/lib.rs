//! x
use pyo3::prelude::*;
#[pymodule]
fn _budwood(_m: &Bound<'_, PyModule>) -> PyResult<()> { Ok(()) }
