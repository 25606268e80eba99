//! Options of a method: which there are, their defaults, and reading them with a message that names
//! the method and the option.

use std::collections::BTreeMap;

use budwood_base::encoder::{Activation, EncoderSpec};
use budwood_base::method::MethodPart;
use serde_json::{Value, json};

use super::nearest::nearest;
use crate::error::ModelError;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number above 0.
    Count,
    /// A whole number from 0 on.
    Whole,
    /// A number.
    Number,
    /// A number from 0 on and below 1.
    Probability,
    /// `true` or `false`.
    Flag,
    /// As a flag that is off by default, and recorded only where it is on: adapters that are older
    /// than it stay what they are.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number or one of these words.
    NumberOrWord(&'static [&'static str]),
    /// The name of an activation.
    Activation,
    /// A list of some of these words.
    Words(&'static [&'static str]),
    /// The same or an empty list, which is the default and not recorded.
    FurtherWords(&'static [&'static str]),
    /// A list of layers, from 0.
    Layers,
    /// A number, or a map from layer to number with the key `default` for the others.
    PerLayer,
}

/// One option of a method.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its default, in the notation of specifications.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// A method's options in force.
pub(crate) struct Options<'a> {
    method: &'a str,
    values: BTreeMap<String, Value>,
}

impl<'a> Options<'a> {
    pub(crate) fn new(
        method: &'a str,
        known: &[OptionSpec],
        part: &MethodPart,
    ) -> Result<Self, ModelError> {
        for given in part.options.keys() {
            if !known.iter().any(|o| o.name == given) {
                return Err(ModelError::UnknownOption {
                    method: method.into(),
                    option: given.clone(),
                    nearest: nearest(given, known.iter().map(|o| o.name)),
                    known: known.iter().map(|o| o.name).collect::<Vec<_>>().join(", "),
                });
            }
        }
        let default =
            |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()));
        let value = |option: &OptionSpec| {
            let value =
                part.options.get(option.name).cloned().unwrap_or_else(|| default(option.default));
            (option.name.to_string(), value)
        };
        let options = Self { method, values: known.iter().map(value).collect() };
        for option in known {
            options.check(option)?;
        }
        Ok(options)
    }

    /// All of them, but those that came later and are off.
    pub(crate) fn in_force(self, known: &[OptionSpec]) -> BTreeMap<String, Value> {
        let Self { mut values, .. } = self;
        for option in known {
            let off = match option.kind {
                Kind::Switch => json!(false),
                Kind::FurtherWords(_) => json!([]),
                _ => continue,
            };
            values.retain(|name, value| name != option.name || *value != off);
        }
        values
    }

    fn check(&self, option: &OptionSpec) -> Result<(), ModelError> {
        let value = &self.values[option.name];
        // Of 64 bits, and one of 32 in the arithmetic.
        let number = |v: &Value| v.as_f64().is_some_and(|x| (x as f32).is_finite());
        let word = |words: &[&str]| value.as_str().is_some_and(|v| words.contains(&v));
        let (fits, expected) = match option.kind {
            Kind::Count => (
                value.as_u64().is_some_and(|n| n > 0 && n < 1 << 32),
                "a whole number above 0".to_string(),
            ),
            Kind::Whole => (
                value.as_u64().is_some_and(|n| n < 1 << 32),
                "a whole number from 0 on".to_string(),
            ),
            Kind::Number => (number(value), "a number".to_string()),
            Kind::Probability => (
                value.as_f64().is_some_and(|p| (0.0..1.0).contains(&p)),
                "a number from 0 on and below 1".to_string(),
            ),
            Kind::Flag | Kind::Switch => (value.is_boolean(), "true or false".to_string()),
            Kind::Word(words) => (word(words), format!("one of {}", words.join(", "))),
            Kind::NumberOrWord(words) => {
                (number(value) || word(words), format!("a number or {}", words.join(", ")))
            }
            Kind::Activation => {
                let known = value.as_str().is_some_and(|v| Activation::from_name(v).is_some());
                let names: Vec<_> = Activation::NAMES.iter().map(|(_, names)| names[0]).collect();
                (known, format!("one of {}", names.join(", ")))
            }
            Kind::Words(words) | Kind::FurtherWords(words) => {
                let known = |v: &Value| v.as_str().is_some_and(|v| words.contains(&v));
                let none = matches!(option.kind, Kind::FurtherWords(_));
                let list = value.as_array().filter(|l| none || !l.is_empty());
                let fits = list.is_some_and(|l| l.iter().all(known));
                (
                    fits,
                    format!(r#"a list of some of {}, such as ["{}"]"#, words.join(", "), words[0]),
                )
            }
            Kind::Layers => {
                let whole = |list: &Vec<Value>| list.iter().all(Value::is_u64);
                (value.as_array().is_some_and(whole), "a list of layers such as [0,1]".to_string())
            }
            Kind::PerLayer => {
                let key = |k: &String| k == "default" || k.parse::<usize>().is_ok();
                let positive = |v: &Value| v.as_f64().is_some_and(|n| n > 0.0);
                let map = |m: &serde_json::Map<String, Value>| {
                    m.iter().all(|(k, v)| key(k) && positive(v))
                };
                (
                    positive(value) || value.as_object().is_some_and(map),
                    r#"a number above 0 or a map such as {"0":4,"default":16}"#.to_string(),
                )
            }
        };
        if fits { Ok(()) } else { Err(self.fault(option.name, &expected)) }
    }

    /// The error that an option's value is not what was expected.
    pub(crate) fn fault(&self, option: &str, expected: &str) -> ModelError {
        ModelError::OptionValue {
            method: self.method.into(),
            option: option.into(),
            value: self.values[option].to_string(),
            expected: expected.into(),
        }
    }

    fn get(&self, option: &str) -> &Value {
        match self.values.get(option) {
            Some(value) => value,
            None => panic!("method {} reads option {option}, which it lacks", self.method),
        }
    }

    pub(crate) fn count(&self, option: &str) -> usize {
        self.get(option).as_u64().unwrap_or(1) as usize
    }

    pub(crate) fn number(&self, option: &str) -> f64 {
        self.get(option).as_f64().unwrap_or(0.0)
    }

    pub(crate) fn maybe_number(&self, option: &str) -> Option<f64> {
        self.get(option).as_f64()
    }

    pub(crate) fn flag(&self, option: &str) -> bool {
        self.get(option).as_bool().unwrap_or(false)
    }

    pub(crate) fn word(&self, option: &str) -> &str {
        self.get(option).as_str().unwrap_or("")
    }

    pub(crate) fn words(&self, option: &str) -> Vec<&str> {
        self.get(option).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub(crate) fn activation(&self, option: &str) -> Activation {
        Activation::from_name(self.word(option)).unwrap_or(Activation::Identity)
    }

    /// The layers that are not left out.
    pub(crate) fn layers(
        &self,
        left_out: &str,
        encoder: &EncoderSpec,
    ) -> Result<Vec<usize>, ModelError> {
        let n_layers = encoder.own_layers();
        let list = self.get(left_out).as_array().cloned().unwrap_or_default();
        let list: Vec<usize> = list.iter().filter_map(Value::as_u64).map(|l| l as usize).collect();
        if encoder.axes.shared_layers && !list.is_empty() {
            let none = "no layers: those of this encoder are one, with what methods put into it";
            return Err(self.fault(left_out, none));
        }
        if list.iter().any(|&l| l >= n_layers) {
            return Err(self.fault(left_out, &format!("layers of 0..{n_layers}")));
        }
        Ok((0..n_layers).filter(|l| !list.contains(l)).collect())
    }

    /// The value for a layer of an option that may be a map.
    pub(crate) fn per_layer(&self, option: &str, layer: usize) -> Result<f64, ModelError> {
        let value = self.get(option);
        if let Some(number) = value.as_f64() {
            return Ok(number);
        }
        let found = value.get(layer.to_string()).or_else(|| value.get("default"));
        let expected = format!("given for layer {layer}, or as 'default'");
        found.and_then(Value::as_f64).ok_or_else(|| self.fault(option, &expected))
    }
}
