//! What differs between two descriptions, for messages that name it.

use serde::Serialize;
use serde_json::Value;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is; in a description the field's name, with those that it stands in before it.
    pub what: String,
    /// The first description's value.
    pub ours: String,
    /// The second's.
    pub theirs: String,
}

/// The first field in which two values of a kind differ.
pub fn first<T: Serialize>(ours: &T, theirs: &T) -> Option<Difference> {
    let value = |x: &T| serde_json::to_value(x).unwrap_or_default();
    of_values("", &value(ours), &value(theirs))
}

fn of_values(place: &str, ours: &Value, theirs: &Value) -> Option<Difference> {
    if ours == theirs {
        return None;
    }
    if let (Value::Object(a), Value::Object(b)) = (ours, theirs) {
        let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
        return names.into_iter().find_map(|name| {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned();
            of_values(&place, &of(a).unwrap_or_default(), &of(b).unwrap_or_default())
        });
    }
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    };
    Some(Difference { what: place.into(), ours: shown(ours), theirs: shown(theirs) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_field_is_named_with_both_values() {
        let a = json!({ "heads": 12, "input": { "positions": 512, "kind": "text" } });
        let b = json!({ "heads": 12, "input": { "positions": 40, "kind": "text" } });
        let found = first(&a, &b).unwrap();
        assert_eq!(
            (found.what.as_str(), found.ours.as_str(), found.theirs.as_str()),
            ("input.positions", "512", "40")
        );
        assert_eq!(first(&a, &a), None);
        assert_eq!(first(&json!({}), &json!({ "x": "y" })).unwrap().ours, "none");
    }
}
