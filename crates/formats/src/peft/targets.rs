//! Which modules a configuration names: a list of names, an expression, or all linear ones; and
//! patterns of ranks.

use std::path::{Path, PathBuf};

use fancy_regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::Error;

/// Steps back that an expression may take on a module's name, which has some fifty letters.
const STEPS: usize = 5_000;

/// The modules that a configuration adapts.
pub(super) struct Targets {
    /// None where it does not say: what is in the file is adapted.
    wanted: Option<Names>,
    excluded: Option<Names>,
    layers: Option<Layers>,
}

enum Names {
    /// A module, or what ends with it after a full stop.
    Listed(Vec<String>),
    /// The whole name matches.
    Matching(Expression),
    All,
}

/// Layers that alone are adapted.
struct Layers {
    numbers: Vec<u64>,
    /// What stands before a layer's number in a module's name; none for any name.
    before: Option<Vec<Expression>>,
}

/// An expression of Python, with its place for messages.
struct Expression {
    path: PathBuf,
    field: String,
    regex: Regex,
}

impl Targets {
    pub(super) fn read(path: &Path, config: &Value) -> Result<Self, Error> {
        Ok(Self {
            wanted: names(path, config, "target_modules")?,
            excluded: names(path, config, "exclude_modules")?,
            layers: layers(path, config)?,
        })
    }

    /// Whether a linear module of a layer (or outside of all) is adapted; none where the
    /// configuration leaves it to the file.
    pub(super) fn has(&self, module: &str, layer: Option<usize>) -> Result<Option<bool>, Error> {
        let Some(wanted) = &self.wanted else { return Ok(None) };
        let in_layers = match &self.layers {
            None => true,
            Some(layers) => layers.have(module, layer)?,
        };
        let excluded = match &self.excluded {
            None => false,
            Some(names) => names.have(module)?,
        };
        Ok(Some(in_layers && !excluded && wanted.have(module)?))
    }
}

impl Names {
    fn have(&self, module: &str) -> Result<bool, Error> {
        Ok(match self {
            Self::All => true,
            Self::Matching(expression) => expression.fits(module)?,
            Self::Listed(names) => names.iter().any(|name| {
                module.strip_suffix(name.as_str()).is_some_and(|r| r.is_empty() || r.ends_with('.'))
            }),
        })
    }
}

impl Layers {
    fn have(&self, module: &str, layer: Option<usize>) -> Result<bool, Error> {
        let Some(layer) = layer else { return Ok(false) };
        let mut is_layer = self.before.is_none();
        for expression in self.before.iter().flatten() {
            is_layer |= expression.fits(module)?;
        }
        Ok(is_layer && self.numbers.contains(&(layer as u64)))
    }
}

impl Expression {
    /// Reads `text`, which stands between two pieces.
    fn read(
        path: &Path,
        field: &str,
        text: &str,
        (before, after): (&str, &str),
    ) -> Result<Self, Error> {
        let mut builder = RegexBuilder::new(&format!("{before}{text}{after}"));
        let built = builder.delegate_size_limit(1 << 20).backtrack_limit(STEPS).build();
        let regex = built.map_err(|e| {
            let message =
                format!("'{field}' holds the expression '{text}', which is not read: {e}");
            Error::content(path, message)
        })?;
        Ok(Self { path: path.into(), field: field.into(), regex })
    }

    fn fits(&self, module: &str) -> Result<bool, Error> {
        self.regex.is_match(module).map_err(|e| {
            let (field, regex) = (&self.field, &self.regex);
            let message = format!("'{field}': '{regex}' is not matched with '{module}': {e}");
            Error::content(&self.path, message)
        })
    }
}

fn names(path: &Path, config: &Value, field: &str) -> Result<Option<Names>, Error> {
    Ok(Some(match config.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(all)) if all == "all-linear" => Names::All,
        Some(Value::String(text)) => {
            Names::Matching(Expression::read(path, field, text, ("^(?:", ")$"))?)
        }
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

/// `layers_to_transform`, a number or a list of which an empty one means all, and
/// `layers_pattern`.
fn layers(path: &Path, config: &Value) -> Result<Option<Layers>, Error> {
    let field = "layers_to_transform";
    let fault = |field: &str, what: &str| {
        Error::content(path, format!("'{field}' is {}, not {what}", config[field]))
    };
    let number = |value: &Value| {
        value.as_u64().ok_or_else(|| fault(field, "the number of a layer or a list of such"))
    };
    let numbers = match config.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(all)) if all.is_empty() => return Ok(None),
        Some(Value::Array(all)) => all.iter().map(number).collect::<Result<_, _>>()?,
        Some(one) => vec![number(one)?],
    };
    let field = "layers_pattern";
    let texts = match config.get(field) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => {
            let texts = all.iter().map(|text| {
                text.as_str().ok_or_else(|| fault(field, "an expression or a list of such"))
            });
            texts.collect::<Result<_, _>>()?
        }
        Some(_) => return Err(fault(field, "an expression or a list of such")),
    };
    let around = (r"^.*\.", r"\.\d+\.");
    let read = |text: &&str| Expression::read(path, field, text, around);
    let before = texts.iter().filter(|text| !text.is_empty()).map(read);
    let before = before.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Layers { numbers, before: (!before.is_empty()).then_some(before) }))
}

/// Values of modules by expressions, as `rank_pattern` and `alpha_pattern` hold them.
pub(super) struct Pattern(Vec<(Expression, f64)>);

impl Pattern {
    pub(super) fn read(path: &Path, config: &Value, field: &str) -> Result<Self, Error> {
        let fault = |value: &Value, what| {
            Error::content(path, format!("'{field}' holds {value}, which is no {what}"))
        };
        let map = match config.get(field) {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(value) => value.as_object().ok_or_else(|| fault(value, "map of expressions"))?,
        };
        let entries = map.iter().map(|(key, value)| {
            let around = (r"^(?:.*\.)?(?:", ")$");
            let number = value.as_f64().ok_or_else(|| fault(value, "number"))?;
            Ok((Expression::read(path, field, key, around)?, number))
        });
        Ok(Self(entries.collect::<Result<_, Error>>()?))
    }

    /// The value of the first entry that fits one of a module's names.
    pub(super) fn of(&self, names: [&str; 2]) -> Result<Option<f64>, Error> {
        for name in names {
            for (key, value) in &self.0 {
                if key.fits(name)? {
                    return Ok(Some(*value));
                }
            }
        }
        Ok(None)
    }
}
