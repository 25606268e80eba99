//! Keyword arguments as the specification of a run.

use std::collections::HashMap;

use budwood::spec::{CacheChoice, ReadLimits};
use budwood::{Resources, RunSpec};
use clap::ValueEnum;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::errors::raised;
use crate::settings::{Setting, all};

/// A run and what it may take, from a JSON object of arguments.
pub(crate) fn parse(arguments: &str) -> PyResult<(RunSpec, Resources)> {
    let fault = |e: serde_json::Error| PyValueError::new_err(e.to_string());
    let given: Map<String, Value> = serde_json::from_str(arguments).map_err(fault)?;
    let defaults: HashMap<&str, &Setting> = all().iter().map(|s| (s.name.as_str(), s)).collect();
    let (mut run, mut resources) = (Map::new(), Resources::default());
    for (name, value) in given {
        let Some(setting) = defaults.get(name.as_str()) else {
            return Err(PyTypeError::new_err(format!("there is no setting '{name}'")));
        };
        if value == setting.default {
            continue;
        }
        if !resource(&mut resources, &name, &value)? {
            run.insert(name.replace('_', "-"), value);
        }
    }
    // One by one, so that the message names the argument.
    for (name, value) in &run {
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        serde_json::from_value::<RunSpec>(alone).map_err(|e| {
            let (name, told) = (name.replace('-', "_"), in_words(&e.to_string()));
            PyValueError::new_err(format!("{name}={value}: {told}"))
        })?;
    }
    let spec: RunSpec = serde_json::from_value(Value::Object(run)).map_err(fault)?;
    spec.check_settings().map_err(raised)?;
    Ok((spec, resources))
}

/// A message with words in the place of Rust's types.
fn in_words(message: &str) -> String {
    let words = |kind: &str| match kind {
        "usize" | "u64" | "u32" => Some("a whole number from 0 is expected"),
        "f64" | "f32" => Some("a number is expected"),
        _ => None,
    };
    let split = message.rsplit_once("expected ");
    let told = split.and_then(|(start, kind)| Some(format!("{start}{}", words(kind)?)));
    told.unwrap_or_else(|| message.into())
}

/// Takes a value that is one of the machine's, and says whether it was.
fn resource(resources: &mut Resources, name: &str, value: &Value) -> PyResult<bool> {
    let wrong = |what: &str| PyValueError::new_err(format!("{name}={value}: not {what}"));
    let number = || value.as_u64().ok_or_else(|| wrong("a whole number from 0"));
    match name {
        "image_cache" => resources.image_cache = number()? as usize,
        "prefix_cache_limit" => resources.prefix_cache_limit = number()?,
        "max_unpacked" => resources.limits = ReadLimits { max_unpacked: Some(number()?) },
        "prefix_cache" => {
            let word = value.as_str().unwrap_or_default();
            let choice = CacheChoice::from_str(word, false);
            resources.prefix_cache = choice.map_err(|_| wrong("one of memory, disk, off"))?;
        }
        "save_every" => {
            let seconds = budwood::number::seconds(&value.to_string());
            resources.save_every = seconds.map_err(|e| wrong(&e))?;
        }
        "threads" => {
            let threads = value.as_u64().filter(|n| (1..=1024).contains(n));
            let what = "a whole number from 1 to 1024";
            resources.threads = Some(threads.ok_or_else(|| wrong(what))? as usize);
        }
        _ => return Ok(false),
    }
    Ok(true)
}
