//! Which modules a configuration names: a list of names, an expression, or all linear ones; and
//! patterns of ranks.

use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::Error;

/// The modules that a configuration adapts.
pub(super) struct Targets {
    /// None where it does not say: what is in the file is adapted.
    wanted: Option<Names>,
    excluded: Option<Names>,
    /// Layers that alone are adapted.
    layers: Option<Vec<u64>>,
}

enum Names {
    /// A module, or what ends with it after a full stop.
    Listed(Vec<String>),
    /// The whole name matches.
    Matching(Regex),
    All,
}

impl Targets {
    pub(super) fn read(path: &Path, config: &Value) -> Result<Self, Error> {
        let layers = match config.get("layers_to_transform") {
            None | Some(Value::Null) => None,
            Some(Value::Array(layers)) => Some(layers.iter().filter_map(Value::as_u64).collect()),
            Some(one) => Some(one.as_u64().into_iter().collect()),
        };
        Ok(Self {
            wanted: names(path, config, "target_modules")?,
            excluded: names(path, config, "exclude_modules")?,
            layers,
        })
    }

    /// Whether a linear module of a layer (or outside of all) is adapted; none where the
    /// configuration leaves it to the file.
    pub(super) fn has(&self, module: &str, layer: Option<usize>) -> Option<bool> {
        let wanted = self.wanted.as_ref()?;
        let in_layers = match (&self.layers, layer) {
            (None, _) => true,
            (Some(layers), Some(layer)) => layers.contains(&(layer as u64)),
            (Some(_), None) => false,
        };
        let excluded = self.excluded.as_ref().is_some_and(|names| names.have(module));
        Some(wanted.have(module) && in_layers && !excluded)
    }
}

impl Names {
    fn have(&self, module: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(expression) => expression.is_match(module),
            Self::Listed(names) => names.iter().any(|name| {
                module.strip_suffix(name.as_str()).is_some_and(|r| r.is_empty() || r.ends_with('.'))
            }),
        }
    }
}

fn names(path: &Path, config: &Value, field: &str) -> Result<Option<Names>, Error> {
    Ok(Some(match config.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(all)) if all == "all-linear" => Names::All,
        Some(Value::String(text)) => Names::Matching(expression(path, field, text, "^(?:", ")$")?),
        Some(Value::Array(names)) => {
            let names: Vec<_> = names.iter().filter_map(|n| Some(n.as_str()?.into())).collect();
            if names.is_empty() {
                return Ok(None);
            }
            Names::Listed(names)
        }
        Some(other) => {
            let message =
                format!("'{field}' is {other}, neither a list of names nor an expression");
            return Err(Error::content(path, message));
        }
    }))
}

fn expression(
    path: &Path,
    field: &str,
    text: &str,
    before: &str,
    after: &str,
) -> Result<Regex, Error> {
    let built =
        regex::RegexBuilder::new(&format!("{before}{text}{after}")).size_limit(1 << 20).build();
    built.map_err(|e| {
        Error::content(
            path,
            format!("'{field}' holds the expression '{text}', which is not read: {e}"),
        )
    })
}

/// Values of modules by expressions, as `rank_pattern` and `alpha_pattern` hold them.
pub(super) struct Pattern(Vec<(Regex, Value)>);

impl Pattern {
    pub(super) fn read(path: &Path, config: &Value, field: &str) -> Result<Self, Error> {
        let map = config.get(field).and_then(Value::as_object);
        let entries = map.into_iter().flatten().map(|(key, value)| {
            Ok((expression(path, field, key, r"^(?:.*\.)?(?:", ")$")?, value.clone()))
        });
        Ok(Self(entries.collect::<Result<_, Error>>()?))
    }

    /// The value of the first entry that fits a module.
    pub(super) fn of(&self, module: &str) -> Option<f64> {
        self.0.iter().find(|(key, _)| key.is_match(module))?.1.as_f64()
    }
}
