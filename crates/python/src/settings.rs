//! Settings as keyword arguments: names, defaults and words of help are those of the command line.

use std::collections::HashMap;
use std::sync::OnceLock;

use budwood::spec::{CacheChoice, ReadLimits};
use budwood::{Resources, RunSpec};
use clap::{ArgAction, Args, Command, ValueEnum};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::errors::raised;

/// A setting.
struct Setting {
    /// As an argument: `dev_share`.
    name: String,
    default: Value,
    help: String,
    /// Whether a flag says it by itself.
    is_switch: bool,
    /// The words that it may be, where there are few.
    choices: Vec<String>,
}

/// All settings of a run and of what it may take of the machine, in the order of the command line.
fn all() -> &'static [Setting] {
    static ALL: OnceLock<Vec<Setting>> = OnceLock::new();
    ALL.get_or_init(|| {
        let flags = Resources::augment_args(RunSpec::augment_args(Command::new("train")));
        let usual = match serde_json::to_value(RunSpec::default()) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let one = |arg: &clap::Arg| {
            let flag = arg.get_long()?;
            let given: Vec<&str> =
                arg.get_default_values().iter().filter_map(|v| v.to_str()).collect();
            // Of resources the flag alone knows; those of a run are what an empty file is.
            let by_flag = || match given[..] {
                [] => Value::Null,
                [text] => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
                _ => given.iter().copied().collect(),
            };
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
            let choices = arg.get_possible_values().into_iter();
            Some(Setting {
                name: flag.replace('-', "_"),
                default: usual.get(flag).cloned().unwrap_or_else(by_flag),
                help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
                is_switch,
                choices: choices
                    .filter(|_| !is_switch)
                    .map(|value| value.get_name().into())
                    .collect(),
            })
        };
        let mut all: Vec<Setting> = flags.get_arguments().filter_map(one).collect();
        all.push(Setting {
            name: "threads".into(),
            default: Value::Null,
            help: "Threads to compute with [default: all processors]".into(),
            is_switch: false,
            choices: Vec::new(),
        });
        all
    })
}

/// Name, default as JSON, help and possible words of every setting.
#[pyfunction]
pub(crate) fn settings() -> Vec<(String, String, String, Vec<String>)> {
    let one = |s: &Setting| {
        let help = as_arguments(&s.help);
        (s.name.clone(), s.default.to_string(), help, s.choices.clone())
    };
    all().iter().map(one).collect()
}

/// A message of the library with flags as arguments: `--missing drop` is `missing='drop'`.
pub(crate) fn as_arguments(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("--") {
        let (before, from) = rest.split_at(at);
        out += before;
        let word = |c: char| c.is_ascii_lowercase() || c == '-';
        let behind = &from[2..];
        let end = behind.find(|c| !word(c)).unwrap_or(behind.len());
        let name = behind[..end].trim_end_matches('-').replace('-', "_");
        let alone = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        let Some(setting) = all().iter().find(|s| s.name == name).filter(|_| alone) else {
            out += "--";
            rest = behind;
            continue;
        };
        rest = &behind[name.len()..];
        out += &name;
        let value = rest
            .strip_prefix(' ')
            .and_then(|r| r.split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).next());
        let value = value.map(|v| v.trim_end_matches('.')).filter(|v| !v.is_empty());
        let task = ["classification", "regression", "multilabel"];
        let is_word = |v: &str| setting.choices.iter().any(|c| c == v) || task.contains(&v);
        match value {
            _ if setting.is_switch => out += "=True",
            Some(v) if is_word(v) => {
                out += &format!("='{v}'");
                rest = &rest[1 + v.len()..];
            }
            Some(v) if v.parse::<f64>().is_ok() => {
                out += &format!("={v}");
                rest = &rest[1 + v.len()..];
            }
            _ => {}
        }
    }
    out + rest
}

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
            let name = name.replace('-', "_");
            PyValueError::new_err(format!("{name}={value}: {e}"))
        })?;
    }
    let spec: RunSpec = serde_json::from_value(Value::Object(run)).map_err(fault)?;
    spec.check_settings().map_err(raised)?;
    Ok((spec, resources))
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

/// The key of the run that a JSON object of arguments describes.
#[pyfunction]
pub(crate) fn run_key(arguments: &str) -> PyResult<String> {
    Ok(parse(arguments)?.0.key())
}
