//! Training runs, with what happens told to Python.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use budwood::run::{RunData, Tables, Trained, train_on};
use budwood::{Event, Notice, Resources, RunEvent, RunSpec};
use budwood_base::record::Prediction;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde_json::{Value, json};

use crate::arguments::parse;
use crate::cells::table;
use crate::errors::{Error, raised, warn_all};

/// Columns of a table: names and lists of values.
type Columns<'py> = Vec<(String, Bound<'py, PyList>)>;

/// Trains on files; the run as JSON. `on_event` is told of each event as JSON.
#[pyfunction]
pub(crate) fn train(
    py: Python<'_>,
    arguments: &str,
    out: PathBuf,
    on_event: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (spec, resources) = parse(arguments)?;
    followed(py, on_event.as_ref(), |told| budwood::train(&spec, &resources, &out, told))
}

/// Trains on columns that are lists; the run as JSON. With `labels`, each of them must be a class
/// of its own.
#[pyfunction]
#[pyo3(signature = (arguments, train, dev, test, labels, out, on_event))]
pub(crate) fn fit(
    py: Python<'_>,
    arguments: &str,
    train: Columns<'_>,
    dev: Option<Columns<'_>>,
    test: Option<Columns<'_>>,
    labels: Option<Vec<String>>,
    out: PathBuf,
    on_event: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (spec, resources): (RunSpec, Resources) = parse(arguments)?;
    let tables = Tables {
        train: table(train)?,
        dev: dev.map(table).transpose()?,
        test: test.map(table).transpose()?,
    };
    let data = py.detach(|| RunData::read_tables(&spec, tables)).map_err(raised)?;
    if let Some(labels) = labels {
        let classes: HashSet<&str> = data.labels.iter().map(String::as_str).collect();
        if let Some(other) = labels.iter().find(|l| !classes.contains(l.as_str())) {
            let message = format!(
                "the label '{other}' is one class with another that is spelled in another way; the \
                 classes are {}. Spell each in one way",
                data.labels.join(", ")
            );
            return Err(PyValueError::new_err(message));
        }
    }
    followed(py, on_event.as_ref(), |told| train_on(&spec, &resources, data, &out, told))
}

/// Does a run without the interpreter's lock. It is stopped by Ctrl-C and by an exception of
/// `on_event`.
fn followed(
    py: Python<'_>,
    on_event: Option<&Py<PyAny>>,
    run: impl FnOnce(&mut (dyn FnMut(RunEvent<'_>) -> ControlFlow<()> + Send)) -> Outcome + Send,
) -> PyResult<String> {
    let mut raised_by: Option<PyErr> = None;
    let outcome = py.detach(|| {
        let mut told = |event: RunEvent<'_>| {
            let heard = Python::attach(|py| {
                py.check_signals()?;
                if let RunEvent::Fetching(notice) = &event {
                    warn_all(py, notice.warning())?;
                }
                match (on_event, as_json(&event)) {
                    (Some(listener), Some(event)) => {
                        listener.call1(py, (event.to_string(),)).map(drop)
                    }
                    _ => Ok(()),
                }
            });
            match heard {
                Ok(()) if raised_by.is_none() => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    raised_by.get_or_insert(error);
                    ControlFlow::Break(())
                }
            }
        };
        run(&mut told)
    });
    if let Some(error) = raised_by {
        return Err(error);
    }
    match outcome.map_err(raised)? {
        Some(trained) => Ok(told_of(&trained)),
        None => Err(Error::new_err("the run was stopped")),
    }
}

type Outcome = Result<Option<Trained>, budwood::Error>;

/// A run as JSON: what `budwood train --json` shows, its record, and the answers by split.
fn told_of(trained: &Trained) -> String {
    let answers = |(split, answers): &(String, Vec<Prediction>)| (split.clone(), json!(answers));
    let predictions: serde_json::Map<String, Value> =
        trained.predictions.iter().map(answers).collect();
    json!({
        "summary": trained.summary, "record": trained.record, "account": trained.account,
        "predictions": predictions, "skipped": trained.skipped,
    })
    .to_string()
}

/// An event as a JSON object; nothing for what says nothing.
fn as_json(event: &RunEvent<'_>) -> Option<Value> {
    Some(match event {
        RunEvent::Fetching(Notice::Package { name, version, .. }) => {
            json!({ "event": "fetching", "name": name, "version": version })
        }
        RunEvent::Fetching(Notice::File { model, progress }) => json!({
            "event": "fetching", "name": model.to_string(), "file": progress.file,
        }),
        RunEvent::Fetching(Notice::Object { address, bytes }) => json!({
            "event": "fetching", "name": address, "bytes": bytes,
        }),
        // It is warned of.
        RunEvent::Fetching(Notice::Part { .. }) => return None,
        RunEvent::Ready { description } => {
            json!({ "event": "ready", "description": description })
        }
        RunEvent::Training(event) => match event {
            Event::Started { steps, done } => {
                json!({ "event": "started", "steps": steps, "done": done })
            }
            Event::Step { step, steps, epoch, loss, rate, .. } => json!({
                "event": "step", "step": step, "steps": steps, "epoch": epoch, "loss": loss,
                "rate": rate,
            }),
            Event::Evaluated { step, scores, best } => {
                let scores: serde_json::Map<_, _> =
                    scores.iter().map(|s| (s.name.clone(), json!(s.value))).collect();
                json!({ "event": "evaluated", "step": step, "scores": scores, "best": best })
            }
            Event::Vectors { done, of } => json!({ "event": "vectors", "done": done, "of": of }),
            Event::Probe { strength } => json!({ "event": "probe", "strength": strength }),
            Event::Trial { number, of } => json!({ "event": "trial", "number": number, "of": of }),
            Event::Trying => json!({ "event": "trying" }),
            Event::Lost { rate } => json!({ "event": "lost", "rate": rate }),
            Event::Saved => json!({ "event": "saved" }),
            Event::Kept { .. } => return None,
        },
        _ => return None,
    })
}
