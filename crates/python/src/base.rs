//! A base model.

use std::path::PathBuf;

use budwood::reader::Reader;
use budwood::spec::{Form, RunSpec};
use budwood::{BaseOptions, Vectors};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList};

use crate::errors::{raised, raised_at, warn_all};
use crate::inputs::{Kind, inputs};

/// A frozen base model in memory.
#[pyclass(frozen, weakref)]
pub(crate) struct Base {
    pub(crate) own: budwood::Base,
    name: String,
    threads: usize,
}

/// Texts that are computed between two looks at Ctrl-C.
pub(crate) const PIECE: usize = 1024;
/// The same of images.
pub(crate) const PIECE_OF_IMAGES: usize = 32;

/// The form of the weights by its name; `auto` is that of training by default.
pub(crate) fn form(name: Option<&str>) -> PyResult<Option<Form>> {
    Ok(match name {
        None => None,
        Some("auto") => RunSpec::default().base_precision(None).form(),
        Some("f32") => Some(Form::F32),
        Some("int8") => Some(Form::Int8),
        Some(other) => {
            let message = format!("base_precision='{other}' is not 'auto', 'f32' or 'int8'");
            return Err(PyValueError::new_err(message));
        }
    })
}

/// The number of threads of a call.
pub(crate) fn threads(asked: Option<i64>) -> PyResult<usize> {
    match asked {
        None => Ok(BaseOptions::default().threads),
        Some(n @ 1..=1024) => Ok(n as usize),
        Some(n) => {
            Err(PyValueError::new_err(format!("threads={n} is not a whole number from 1 to 1024")))
        }
    }
}

#[pymethods]
impl Base {
    #[new]
    fn new(
        py: Python<'_>,
        name: PathBuf,
        precision: Option<&str>,
        threads: Option<i64>,
    ) -> PyResult<Self> {
        let (precision, threads) = (form(precision)?, self::threads(threads)?);
        let options = BaseOptions { precision, threads, ..BaseOptions::default() };
        let own = py.detach(|| budwood::Base::open_with(&name, options)).map_err(raised)?;
        warn_all(py, own.warnings().iter().cloned())?;
        Ok(Self { own, name: name.display().to_string(), threads })
    }

    /// The name that it was opened by.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The folder of its files.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.own.model().folder().into()
    }

    #[getter]
    fn precision(&self) -> &'static str {
        self.own.precision()
    }

    #[getter]
    fn threads(&self) -> usize {
        self.threads
    }

    #[getter]
    fn parameters(&self) -> usize {
        self.own.model().spec().parameters()
    }

    /// The encoder's specification as JSON.
    fn spec(&self) -> String {
        serde_json::to_string(self.own.model().spec()).unwrap_or_default()
    }

    /// Pooled vectors as `f32`, one after another, and the numbers of each.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        values: &Bound<'py, PyList>,
    ) -> PyResult<(Bound<'py, PyByteArray>, usize)> {
        let vectors = py.detach(|| self.own.vectors(None)).map_err(raised)?;
        embedded(py, &vectors, (name, values))
    }
}

/// The vectors of a list as `f32`, one after another, and the numbers of each.
pub(crate) fn embedded<'py>(
    py: Python<'py>,
    vectors: &Vectors,
    (name, values): (&str, &Bound<'py, PyList>),
) -> PyResult<(Bound<'py, PyByteArray>, usize)> {
    let images = matches!(vectors.reader(), Reader::Images(..));
    let kind = if images { Kind::Images } else { Kind::Texts };
    if images != (name == "images") {
        let reads = if images { "images" } else { "texts" };
        let message = format!("this base reads {reads}, but {name} are given: {reads}=");
        return Err(PyTypeError::new_err(message));
    }
    let mut rest = inputs(kind, name, values)?.into_iter();
    let (mut bytes, mut done) = (Vec::new(), 0);
    loop {
        let piece: Vec<_> =
            rest.by_ref().take(if images { PIECE_OF_IMAGES } else { PIECE }).collect();
        if piece.is_empty() {
            return Ok((PyByteArray::new(py, &bytes), vectors.width()));
        }
        let n = piece.len();
        let rows = py.detach(|| vectors.of(piece)).map_err(|e| raised_at(&e, done))?;
        bytes.extend(rows.iter().flatten().flat_map(|x| x.to_ne_bytes()));
        done += n;
        py.check_signals()?;
    }
}
