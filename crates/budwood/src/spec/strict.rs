//! Reading and writing specifications with serde: unknown names are refused.
//!
//! serde cannot refuse unknown fields where structs are flattened. Here an object's names are
//! held against those that the type's default value writes.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{DataSpec, RunSpec};

/// The names of all settings of a type.
fn names<T: Default + Serialize>() -> Vec<String> {
    match serde_json::to_value(T::default()) {
        Ok(Value::Object(map)) => map.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// The object of a specification, if all its names are settings of `T`.
fn known<'de, T: Default + Serialize, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    let map = Map::deserialize(from)?;
    let names = names::<T>();
    match map.keys().find(|name| !names.contains(name)) {
        None => Ok(Value::Object(map)),
        Some(unknown) => Err(D::Error::custom(format!(
            "there is no setting '{unknown}'; the settings are {}",
            names.join(", ")
        ))),
    }
}

macro_rules! strict {
    ($spec:ty) => {
        impl Serialize for $spec {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                <$spec>::serialize(self, to)
            }
        }

        impl<'de> Deserialize<'de> for $spec {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let object = known::<Self, D>(from)?;
                <$spec>::deserialize(object).map_err(D::Error::custom)
            }
        }
    };
}

strict!(DataSpec);
strict!(RunSpec);
