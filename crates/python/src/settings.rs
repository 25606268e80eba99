//! Settings as keyword arguments: names, defaults and words of help are those of the command line.

use std::sync::OnceLock;

use budwood::{Resources, RunSpec};
use clap::{ArgAction, Args, Command};
use pyo3::prelude::*;
use serde_json::{Map, Value};

/// A setting.
pub(crate) struct Setting {
    /// As an argument: `dev_share`.
    pub(crate) name: String,
    pub(crate) default: Value,
    help: String,
    /// Whether a flag says it by itself.
    is_switch: bool,
    /// The words that it may be, where there are few.
    choices: Vec<String>,
}

/// All settings of a run and of what it may take of the machine, in the order of the command line.
pub(crate) fn all() -> &'static [Setting] {
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
#[pyfunction]
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
        // What stands in quotes is of the data.
        let begins = out.is_empty() || out.ends_with([' ', '(', '\n']);
        if !begins || name.is_empty() {
            out += "--";
            rest = behind;
            continue;
        }
        rest = &behind[name.len()..];
        out += &name;
        let Some(setting) = all().iter().find(|s| s.name == name) else { continue };
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
