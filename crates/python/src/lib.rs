//! The shared object of the Python package: the library's calls on plain Python values, and the
//! program. What Python sees of it is in the package's own modules.

mod adapter;
mod arguments;
mod base;
mod cells;
mod errors;
mod export;
mod inputs;
mod settings;
mod training;

use std::ffi::OsString;
use std::process::ExitCode;

use budwood_commands::Program;
use pyo3::prelude::*;

/// Does what the words of a command line ask for, and gives the exit code. `begin` are the words
/// that begin this program in a process of its own.
#[pyfunction]
fn main(py: Python<'_>, begin: Vec<OsString>, words: Vec<OsString>) -> u8 {
    let code = py.detach(|| budwood_commands::main(Program::Words(begin), words));
    // The number within is for the system alone.
    (0..=u8::MAX).find(|&n| ExitCode::from(n) == code).unwrap_or(1)
}

#[pymodule]
fn _budwood(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<errors::Error>())?;
    module.add_class::<base::Base>()?;
    module.add_class::<adapter::Adapter>()?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(settings::settings, module)?)?;
    module.add_function(wrap_pyfunction!(settings::as_arguments, module)?)?;
    module.add_function(wrap_pyfunction!(cells::label_names, module)?)?;
    module.add_function(wrap_pyfunction!(training::train, module)?)?;
    module.add_function(wrap_pyfunction!(training::fit, module)?)?;
    module.add_function(wrap_pyfunction!(adapter::predict_mixed, module)?)?;
    Ok(())
}
