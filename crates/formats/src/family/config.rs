//! A model's `config.json`, read field by field with messages that name the field.

use std::path::Path;

use budwood_base::encoder::{Activation, EncoderSpec};
use budwood_base::names;
use serde_json::{Value, json};

use crate::error::Error;

/// A `config.json` with its place, for messages.
pub struct Config<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its content.
    pub json: &'a Value,
}

impl Config<'_> {
    /// A whole number above zero that must be there.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn size(&self, field: &str) -> Result<usize, Error> {
        let value = self.json.get(field);
        let value = value.ok_or_else(|| self.fault(format!("lacks the field '{field}'")))?;
        let number = value.as_u64().filter(|&n| n > 0 && n < 1 << 31);
        number.map(|n| n as usize).ok_or_else(|| {
            self.fault(format!("field '{field}' is {value}, not a whole number above 0"))
        })
    }

    /// As [`Config::size`], with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is something else.
    pub fn size_or(&self, field: &str, default: usize) -> Result<usize, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => self.size(field),
        }
    }

    /// A whole number from 0 on, with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is something else.
    pub fn count_or(&self, field: &str, default: usize) -> Result<usize, Error> {
        match self.json.get(field) {
            Some(value) if value.as_u64() == Some(0) => Ok(0),
            _ => self.size_or(field, default),
        }
    }

    /// The base of rotary positions, with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is not a number from 1 on.
    pub fn base_or(&self, field: &str, default: f64) -> Result<f32, Error> {
        let base = self.number_or(field, default)?;
        if (1.0..1e12).contains(&base) {
            return Ok(base as f32);
        }
        Err(self.fault(format!("field '{field}' is {base}, not a number from 1 on and below 1e12")))
    }

    /// The base of rotary positions as `transformers` 5 writes it:
    /// `{ "rope_type": "default", "rope_theta": 10000.0 }`.
    ///
    /// # Errors
    /// If it is no object, or asks for positions of another kind.
    pub fn rope_parameters(&self, default: f64) -> Result<f32, Error> {
        let Value::Object(fields) = self.json else {
            let message = format!("'rope_parameters' holds {}, which is no object", self.json);
            return Err(self.fault(message));
        };
        if let Some(other) =
            fields.keys().find(|k| !["rope_type", "rope_theta"].contains(&k.as_str()))
        {
            let message = format!("'rope_parameters' holds '{other}', which does not exist here");
            return Err(self.fault(message));
        }
        self.expect("rope_type", &[json!("default")])?;
        self.base_or("rope_theta", default)
    }

    /// The width of heads, or of what is turned of them, where their elements are turned in pairs.
    ///
    /// # Errors
    /// If it is odd or 0.
    pub fn even_head_dim(&self, width: usize) -> Result<usize, Error> {
        if width > 0 && width.is_multiple_of(2) {
            return Ok(width);
        }
        Err(self
            .fault(format!("rotary positions turn pairs, and {width} elements of a head are none")))
    }

    /// A length in pixels, of squares: one number, or the same number twice.
    ///
    /// # Errors
    /// If it is missing, something else, or not of a square.
    pub fn square(&self, field: &str) -> Result<usize, Error> {
        match self.json.get(field).and_then(Value::as_array).map(Vec::as_slice) {
            Some([height, width]) if height == width => {
                let length = height.as_u64().filter(|&n| n > 0 && n < 1 << 31);
                length.map(|n| n as usize).ok_or_else(|| {
                    self.fault(format!("field '{field}' is {height}, not a whole number above 0"))
                })
            }
            Some(sides) => {
                let sides = sides.iter().map(Value::to_string).collect::<Vec<_>>().join(" x ");
                Err(self.fault(format!("field '{field}' is {sides}; only squares exist here")))
            }
            None => self.size(field),
        }
    }

    /// As [`Config::square`], with the default that `transformers` has.
    ///
    /// # Errors
    /// As [`Config::square`].
    pub fn square_or(&self, field: &str, default: usize) -> Result<usize, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => self.square(field),
        }
    }

    /// The part of a model's configuration that stands in a field of its own.
    ///
    /// # Errors
    /// If it is missing or no object.
    pub fn part(&self, field: &str) -> Result<Config<'_>, Error> {
        match self.json.get(field) {
            Some(json @ Value::Object(_)) => Ok(Config { path: self.path, json }),
            Some(other) => Err(self.fault(format!("field '{field}' is {other}, not an object"))),
            None => Err(self.fault(format!("lacks the field '{field}'"))),
        }
    }

    /// Whether something is so, with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is something else than true or false.
    pub fn flag_or(&self, field: &str, default: bool) -> Result<bool, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| {
                self.fault(format!("field '{field}' is {value}, not true or false"))
            }),
        }
    }

    /// A token's id with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is not a whole number that an id can be.
    pub fn id_or(&self, field: &str, default: u32) -> Result<u32, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                value.as_u64().filter(|&id| id < 1 << 31).map(|id| id as u32).ok_or_else(|| {
                    self.fault(format!("field '{field}' is {value}, not a token's id"))
                })
            }
        }
    }

    /// A number with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is something else than a number.
    pub fn number_or(&self, field: &str, default: f64) -> Result<f64, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| self.fault(format!("field '{field}' is {value}, not a number"))),
        }
    }

    /// A probability below 1 with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is something else.
    pub fn dropout_or(&self, field: &str, default: f64) -> Result<f32, Error> {
        let p = self.number_or(field, default)?;
        if (0.0..1.0).contains(&p) {
            return Ok(p as f32);
        }
        Err(self.fault(format!("field '{field}' is {p}, not a probability below 1")))
    }

    /// An activation with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is none that is known.
    pub fn activation_or(&self, field: &str, default: Activation) -> Result<Activation, Error> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_str().and_then(Activation::from_name).ok_or_else(|| {
                let known: Vec<_> = Activation::NAMES.iter().map(|(_, n)| n[0]).collect();
                let known = known.join(", ");
                self.fault(format!("field '{field}' is {value}; the activations are {known}"))
            }),
        }
    }

    /// Checks that so many layers can stand in a file of so many tensors, before a list of them is
    /// made.
    ///
    /// # Errors
    /// If they cannot.
    pub fn check_layers(&self, spec: &EncoderSpec, tensors: usize) -> Result<(), Error> {
        let (layers, most) = (spec.layers, names::LAYERS_MOST);
        if spec.own_layers() <= tensors {
            return match layers <= most {
                true => Ok(()),
                false => Err(self.fault(format!(
                    "asks for {layers} layers in 'num_hidden_layers'; an encoder has at most {most}"
                ))),
            };
        }
        Err(self.fault(format!(
            "asks for {layers} layers, but the weights' file holds {tensors} tensors in all"
        )))
    }

    /// A layer norm's epsilon with the default that `transformers` has.
    ///
    /// # Errors
    /// If it is not a number from 0 on and below 1.
    pub fn epsilon_or(&self, field: &str, default: f64) -> Result<f32, Error> {
        let epsilon = self.number_or(field, default)?;
        if (0.0..1.0).contains(&epsilon) {
            return Ok(epsilon as f32);
        }
        Err(self.fault(format!("field '{field}' is {epsilon}, not a number from 0 on and below 1")))
    }

    /// Checks what cannot be computed.
    ///
    /// # Errors
    /// If the width is not a multiple of the number of heads, positions are not absolute, or the
    /// model is a decoder.
    pub fn check(&self, hidden: usize, heads: usize) -> Result<(), Error> {
        if !hidden.is_multiple_of(heads) {
            return Err(self.fault(format!("{heads} heads do not divide the width of {hidden}")));
        }
        self.expect("is_decoder", &[json!(false)])?;
        self.expect("add_cross_attention", &[json!(false)])?;
        self.expect("pruned_heads", &[json!({}), json!([])])?;
        self.expect("position_embedding_type", &[json!("absolute")])
    }

    /// Checks that a field, if it is there, has one of the values that mean what the encoder here
    /// does: any other would change its answers.
    ///
    /// # Errors
    /// If it has another.
    pub fn expect(&self, field: &str, values: &[Value]) -> Result<(), Error> {
        let Some(value) = self.json.get(field).filter(|v| !v.is_null()) else { return Ok(()) };
        if values.contains(value) {
            return Ok(());
        }
        let known: Vec<_> = values.iter().map(Value::to_string).collect();
        let only = if known.is_empty() { "null".into() } else { known.join(" or ") };
        Err(self.fault(format!("field '{field}' is {value}; only {only} exists here")))
    }

    /// An error at this file.
    pub fn fault(&self, message: impl Into<String>) -> Error {
        Error::content(self.path, message)
    }
}
