//! Specifications in records: the key of a run, and the settings that a record keeps.
//!
//! The settings of the first version are always written, later ones only where they differ from
//! what their absence means. So a setting that is added changes no key of an older run.

use budwood_base::digest;
use serde::Serialize;
use serde_json::{Map, Value};

use super::data::AUTO;
use super::{DataSpec, RecipeChoice, RunSpec};
use crate::Error;

/// The settings that came after the first version.
const LATER: &[&str] = &[
    "area",
    "image-column",
    "image-root",
    "skip-bad",
    "image-size",
    "flip",
    "random-crop",
    "schedule",
    "min-lr",
    "max-length",
    "doc-stride",
    "drop-path",
    "frozen-dropout",
    "recipe",
    "separator",
    "missing",
    "label-names",
    "max-classes",
    "positive",
    "class-weights",
    "label-smoothing",
    "paragraphs",
    "mask-share",
    "whole-words",
    "init",
];

/// A specification's settings as a record keeps them: `unsaid` is what absence means.
fn recorded<T: Serialize>(spec: &T, unsaid: &T) -> Map<String, Value> {
    let usual = object(unsaid);
    let mut map = object(spec);
    map.retain(|name, value| !LATER.contains(&name.as_str()) || usual.get(name) != Some(value));
    // An encoding that is found had the name of the default when there was one alone.
    if let Some(encoding) = map.get_mut("encoding")
        && matches!(encoding.as_str(), Some(AUTO | ""))
    {
        *encoding = Value::from("utf-8");
    }
    map
}

/// All settings with their values.
///
/// By way of the text, in which 0.1 is `0.1` as an `f32` too: so it has always been in keys.
fn object(spec: &impl Serialize) -> Map<String, Value> {
    let text = serde_json::to_string(spec).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

impl RunSpec {
    /// What a record means by a setting that it does not name.
    fn unsaid() -> Self {
        Self { recipe: RecipeChoice::Paper, ..Self::default() }
    }

    /// The settings as the record of a run keeps them.
    pub fn settings(&self) -> Map<String, Value> {
        recorded(&self.in_full(), &Self::unsaid())
    }

    /// Those of some settings that are not as usual, which means that they were given.
    pub(crate) fn given(&self, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
        let (own, usual) = (object(self), object(&Self::default()));
        names.filter(|name| own.get(*name) != usual.get(*name)).collect()
    }

    /// The specification of a record's settings.
    ///
    /// # Errors
    /// If a setting is unknown or has a value of another kind.
    pub fn from_settings(settings: &Map<String, Value>) -> Result<Self, Error> {
        let mut all = object(&Self::unsaid());
        all.extend(settings.clone());
        serde_json::from_value(Value::Object(all)).map_err(|e| Error::Record(e.to_string()))
    }

    /// The key of the run: SHA-256 of its settings in a record. Equal keys are equal runs.
    pub fn key(&self) -> String {
        digest::of_bytes(Value::Object(self.settings()).to_string().as_bytes())
    }
}

impl DataSpec {
    /// The settings of the data as a board or a record keeps them.
    pub fn settings(&self) -> Map<String, Value> {
        recorded(self, &Self::default())
    }

    /// What says which rows a result was scored on, for a board: the settings that differ from the
    /// default, without names and without what training alone does with the rows.
    pub fn source(&self) -> Map<String, Value> {
        let of_training = ["name", "area", "train-rows", "image-size", "flip", "random-crop"];
        let usual = object(&Self::default());
        let mut map = object(self);
        map.retain(|name, value| {
            !of_training.contains(&name.as_str()) && usual.get(name) != Some(value)
        });
        map
    }

    /// The data of a record's settings, whatever else stands beside them.
    ///
    /// # Errors
    /// If a setting has a value of another kind.
    pub fn from_settings(settings: &Map<String, Value>) -> Result<Self, Error> {
        let names = object(&Self::default());
        let own = settings.iter().filter(|(name, _)| names.contains_key(*name));
        let own: Map<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        serde_json::from_value(Value::Object(own)).map_err(|e| Error::Record(e.to_string()))
    }
}
