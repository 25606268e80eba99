//! Method specifications as people write them:
//! `adapter`, `adapter[width=8]`, `par_bn[reduction_factor=2]|prefix_tuning[bottleneck_size=800]`.
//!
//! This file knows the notation only. Which methods and options exist, and what they mean, is in
//! `model::method`, one file a method.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One or more methods applied together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSpec {
    /// The members of the union, in the order written; at least one.
    pub parts: Vec<MethodPart>,
}

/// One method with its options. Numbers are equal by value: 8 and 8.0, as other libraries write it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodPart {
    /// Name of the method.
    pub name: String,
    /// Options given or, in an adapter file, all options in force.
    pub options: BTreeMap<String, Value>,
}

impl PartialEq for MethodPart {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        };
        let of = |name| other.options.get(name);
        self.name == other.name
            && self.options.len() == other.options.len()
            && self.options.iter().all(|(name, a)| of(name).is_some_and(|b| same(a, b)))
    }
}

impl MethodSpec {
    /// A single method without options.
    pub fn named(name: &str) -> Self {
        Self { parts: vec![MethodPart { name: name.into(), options: BTreeMap::new() }] }
    }
}

impl MethodPart {
    /// Sets an option.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl Into<Value>) -> Self {
        self.options.insert(option.into(), value.into());
        self
    }
}

impl fmt::Display for MethodSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                f.write_str("|")?;
            }
            f.write_str(&part.name)?;
            if !part.options.is_empty() {
                f.write_str("[")?;
                for (j, (key, value)) in part.options.iter().enumerate() {
                    let comma = if j > 0 { "," } else { "" };
                    match value {
                        Value::String(s) => write!(f, "{comma}{key}={s}")?,
                        other => write!(f, "{comma}{key}={other}")?,
                    }
                }
                f.write_str("]")?;
            }
        }
        Ok(())
    }
}

/// Why a text is not a method specification.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodSyntaxError {
    /// Nothing between two bars, or nothing at all.
    #[error("a method's name is missing in '{0}'")]
    NoName(String),
    /// The options do not close.
    #[error("'{0}' lacks the closing ']' of its options")]
    Unclosed(String),
    /// An option without a value.
    #[error("option '{0}' needs a value: write {0}=VALUE")]
    NoValue(String),
    /// The same option twice.
    #[error("option '{0}' is given twice")]
    Twice(String),
}

impl FromStr for MethodSpec {
    type Err = MethodSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts =
            split_outside(text, '|').into_iter().map(parse_part).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }
}

fn parse_part(text: &str) -> Result<MethodPart, MethodSyntaxError> {
    let text = text.trim();
    let (name, options) = match text.split_once('[') {
        None => (text, ""),
        Some((name, rest)) => {
            let rest = rest.strip_suffix(']');
            (name, rest.ok_or_else(|| MethodSyntaxError::Unclosed(text.into()))?)
        }
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(MethodSyntaxError::NoName(text.into()));
    }
    let mut part = MethodPart { name: name.into(), options: BTreeMap::new() };
    for option in split_outside(options, ',').into_iter().filter(|o| !o.trim().is_empty()) {
        let missing = || MethodSyntaxError::NoValue(option.trim().into());
        let (key, value) = option.split_once('=').ok_or_else(missing)?;
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            return Err(missing());
        }
        let value = parse_value(value);
        if part.options.insert(key.into(), value).is_some() {
            return Err(MethodSyntaxError::Twice(key.into()));
        }
    }
    Ok(part)
}

/// Numbers, booleans, lists and maps are JSON, with the quotes of words in lists left off if one
/// likes; anything else is a word.
fn parse_value(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(list) => split_outside(list, ',').into_iter().map(|t| parse_value(t.trim())).collect(),
        None => Value::String(text.into()),
    }
}

/// Splits at `separator` where no bracket or brace is open.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (i, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            c if c == separator && depth <= 0 => {
                parts.push(&text[start..i]);
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        let of = |text: &str| -> MethodSpec { text.parse().unwrap() };
        assert_eq!(of("lora[alpha=8,r=4]"), of("lora[r=4.0,alpha=8.0]"));
        for other in
            ["lora[alpha=8.5,r=4]", "lora[alpha=8]", "lora[alpha=\"8\",r=4]", "vera[alpha=8,r=4]"]
        {
            assert_ne!(of("lora[alpha=8,r=4]"), of(other), "{other}");
        }
    }

    #[test]
    fn notation_goes_both_ways() {
        for text in [
            "adapter",
            "adapter[width=8]",
            "seq_bn[leave_out=[0,1],reduction_factor={\"0\":4,\"default\":16}]",
            "par_bn[reduction_factor=2]|prefix_tuning[bottleneck_size=800]",
            "adapter[activation=relu,init_scale=0.001]",
        ] {
            let spec: MethodSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn words_in_lists_need_no_quotes() {
        let spec: MethodSpec = "lora[r=4,targets=[query,value]]".parse().unwrap();
        assert_eq!(spec.parts[0].options["targets"], serde_json::json!(["query", "value"]));
        assert_eq!(spec.to_string().parse::<MethodSpec>().unwrap(), spec);
    }

    #[test]
    fn faults_are_named() {
        let parse = |t: &str| t.parse::<MethodSpec>().unwrap_err().to_string();
        assert!(parse("adapter[width=8").contains("closing"));
        assert!(parse("adapter[width]").contains("width=VALUE"));
        assert!(parse("adapter[width=8,width=9]").contains("twice"));
        assert!(parse("a||b").contains("missing"));
    }
}
