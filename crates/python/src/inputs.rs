//! Inputs of predictions from plain Python values.

use std::path::PathBuf;
use std::sync::Arc;

use budwood::{Image, ImageContent, Input};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::cells::text_of;
use crate::errors::raised;

/// What an adapter's task takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text, or two.
    Texts,
    /// A question and the text that holds its answer.
    Questions,
    /// The words of a sentence.
    Words,
    /// An image.
    Images,
}

/// The values of a list as inputs. `name` is what the caller calls the list.
pub(crate) fn inputs(kind: Kind, name: &str, values: &Bound<'_, PyList>) -> PyResult<Vec<Input>> {
    let one = |(i, value): (usize, Bound<'_, PyAny>)| match kind {
        Kind::Images => image(name, i, &value),
        _ => text(kind, name, i, &value),
    };
    values.iter().enumerate().map(one).collect()
}

fn text(kind: Kind, name: &str, index: usize, value: &Bound<'_, PyAny>) -> PyResult<Input> {
    if let Ok(text) = value.cast::<PyString>() {
        let text = text_of(name, index, text)?;
        return Ok(if kind == Kind::Words { Input::words_of(&text) } else { Input::Text(text) });
    }
    if value.is_none() || value.extract::<f64>().is_ok_and(f64::is_nan) {
        let message = format!(
            "{name}, index {index}: the text is missing ({}); leave such rows out, or give ''",
            value.repr()?
        );
        return Err(PyValueError::new_err(message));
    }
    if !(value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()) {
        let what = value.get_type().name()?;
        let message = format!("{name}, index {index}: {what} is not text");
        return Err(PyTypeError::new_err(message));
    }
    let mut texts = Vec::new();
    for item in value.try_iter()? {
        let item = item?;
        let Ok(text) = item.cast::<PyString>() else {
            let what = item.get_type().name()?;
            let message = format!("{name}, index {index}: {what} among its texts is not text");
            return Err(PyTypeError::new_err(message));
        };
        texts.push(text_of(name, index, text)?);
    }
    if kind == Kind::Words {
        return Ok(Input::Words(texts));
    }
    let Ok([a, b]) = <[String; 2]>::try_from(texts) else {
        let message = format!("{name}, index {index}: a pair has two texts");
        return Err(PyValueError::new_err(message));
    };
    Ok(match kind {
        Kind::Questions => {
            Input::Question { question: a, context: b.as_str().into(), article: b.into() }
        }
        _ => Input::Pair(a, b),
    })
}

/// An image from the path of its file or the bytes of one.
fn image(name: &str, index: usize, value: &Bound<'_, PyAny>) -> PyResult<Input> {
    let (shown, content) = if let Ok(bytes) = value.cast::<PyBytes>() {
        let shown = format!("{name}, index {index}");
        (shown, ImageContent::Bytes(Arc::from(bytes.as_bytes())))
    } else if let Ok(path) = value.extract::<PathBuf>() {
        (path.display().to_string(), ImageContent::File(path))
    } else {
        let what = value.get_type().name()?;
        let message =
            format!("{name}, index {index}: {what} is not an image: give a path or bytes");
        return Err(PyTypeError::new_err(message));
    };
    let opened = value.py().detach(|| Image::open(shown, content));
    Ok(Input::Image(opened.map_err(|e| raised(budwood::Error::from(e)))?))
}
