//! A cell of a table with the type that its file gave it.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// A value as the file holds it. Files of plain text hold [`Cell::Text`] alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// The row has no such key.
    Absent,
    /// JSON's null, or a missing value of Parquet.
    #[default]
    Missing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, which may be infinite or not a number.
    Number(f64),
    /// A text.
    Text(String),
    /// Bytes that no type says more about.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Cell>),
    /// Named values in their order.
    Dict(Vec<(String, Cell)>),
}

/// What stands for a missing value where numbers are expected, in small letters. The last are what
/// spreadsheets write for formulas that failed.
const MISSING: &[&str] = &[
    "nan", "-nan", "none", "null", "na", "n/a", "#n/a", "#na", "<na>", "nat", "#div/0!", "#value!",
    "#ref!", "#name?", "#num!", "#null!",
];

/// Whether a text is a word for a missing number. In a column of words it is a word.
pub(crate) fn is_missing_word(text: &str) -> bool {
    MISSING.contains(&text.trim().to_lowercase().as_str())
}

impl Cell {
    /// Whether nothing stands there: missing, or a text of blanks.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Absent | Self::Missing => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// The finite number that it is, or that its text is; truth values are none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Number(x) => Some(*x).filter(|x| x.is_finite()),
            Self::Text(text) => text.trim().parse().ok().filter(|x: &f64| x.is_finite()),
            _ => None,
        }
    }

    /// The truth value that it is, or that its text is.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            Self::Text(text) => match text.trim() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is missing where numbers are expected: nothing, `nan`, `None` or alike.
    pub(crate) fn is_missing_number(&self) -> bool {
        match self {
            Self::Number(x) => x.is_nan(),
            Self::Text(text) => text.trim().is_empty() || is_missing_word(text),
            other => other.is_empty(),
        }
    }

    /// As text; lists and dictionaries in JSON's form. Bytes give their text where they are UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Absent | Self::Missing => "".into(),
            Self::Bool(b) => b.to_string().into(),
            Self::Int(n) => n.to_string().into(),
            // As Python and JSON write it: 1.0, not 1.
            Self::Number(x) => format!("{x:?}").into(),
            Self::Text(text) => text.into(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::List(_) | Self::Dict(_) => serde_json::to_string(self).unwrap_or_default().into(),
        }
    }

    /// Whether it is, or holds, bytes that are no text.
    pub(crate) fn has_bytes(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::List(list) => list.iter().any(Self::has_bytes),
            Self::Dict(entries) => entries.iter().any(|(_, cell)| cell.has_bytes()),
            _ => false,
        }
    }

    /// The entry of a dictionary.
    pub(crate) fn entry(&self, name: &str) -> Option<&Cell> {
        let Self::Dict(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == name).map(|(_, cell)| cell)
    }

    /// The cells of a list.
    pub(crate) fn list(&self) -> Option<&[Cell]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// What it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Absent | Self::Missing => "missing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "whole number",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Dict(_) => "dictionary",
        }
    }

    /// Memory that it takes, roughly, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
                Self::List(list) => list.iter().map(Self::size).sum(),
                Self::Dict(entries) => {
                    entries.iter().map(|(n, c)| n.len() + size_of::<String>() + c.size()).sum()
                }
                _ => 0,
            }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// As JSON; bytes as text, and what is not a finite number as null.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Missing => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::Number(x) => serializer.serialize_f64(*x),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            Self::List(list) => serializer.collect_seq(list),
            Self::Dict(entries) => {
                serializer.collect_map(entries.iter().map(|(name, cell)| (name, cell)))
            }
        }
    }
}

/// Room for one. A list has room for four at its first element otherwise, and the allocator makes
/// no use of what is given back later: lists in lists would take seventy times their text.
fn room_for_first<T>(list: &mut Vec<T>) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = Cell;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Cell, E> {
                Ok(Cell::Missing)
            }
            fn visit_bool<E>(self, b: bool) -> Result<Cell, E> {
                Ok(Cell::Bool(b))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Cell, E> {
                Ok(Cell::Int(n))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Cell, E> {
                // What is larger stays exact as a text.
                Ok(i64::try_from(n).map_or_else(|_| Cell::Text(n.to_string()), Cell::Int))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Cell, E> {
                Ok(Cell::Number(x))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
                Ok(text.into())
            }
            fn visit_string<E>(self, text: String) -> Result<Cell, E> {
                Ok(Cell::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
                let mut list = Vec::new();
                while let Some(cell) = seq.next_element()? {
                    room_for_first(&mut list);
                    list.push(cell);
                }
                list.shrink_to_fit();
                Ok(Cell::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
                let mut entries: Vec<(String, Cell)> = Vec::new();
                let mut known = std::collections::HashSet::new();
                while let Some((name, cell)) = map.next_entry::<String, Cell>()? {
                    // A few names are compared faster than they are hashed.
                    let twice = match entries.len() {
                        0..16 => entries.iter().any(|(other, _)| *other == name),
                        _ => {
                            if known.is_empty() {
                                known.extend(entries.iter().map(|(n, _)| n.clone()));
                            }
                            !known.insert(name.clone())
                        }
                    };
                    if twice {
                        return Err(A::Error::custom(format!("the key '{name}' stands twice")));
                    }
                    room_for_first(&mut entries);
                    entries.push((name, cell));
                }
                Ok(Cell::Dict(entries))
            }
        }
        deserializer.deserialize_any(Cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_values_are_numbers() {
        for text in ["1", " 1.0 ", "+1e0", "1."] {
            assert_eq!(Cell::from(text).number(), Some(1.0), "{text}");
        }
        for text in ["inf", "-Infinity", "nan", "1e999", "", "one", "0x10", "1,0"] {
            assert_eq!(Cell::from(text).number(), None, "{text}");
        }
        assert_eq!(Cell::Bool(true).number(), None);
        assert_eq!(Cell::Number(f64::INFINITY).number(), None);
    }

    #[test]
    fn json_keeps_its_types_and_no_key_stands_twice() {
        let cell: Cell =
            serde_json::from_str(r#"{"a":[1,1.0,true,null,"x"],"b":18446744073709551615}"#)
                .unwrap();
        let list = cell.entry("a").and_then(Cell::list).unwrap();
        let expected = [
            Cell::Int(1),
            Cell::Number(1.0),
            Cell::Bool(true),
            Cell::Missing,
            Cell::Text("x".into()),
        ];
        assert_eq!(list, expected);
        assert_eq!(cell.entry("b"), Some(&Cell::Text("18446744073709551615".into())));
        // Lists in lists take as much room as they need.
        let mut nested = &serde_json::from_str::<Cell>("[[[[1]]]]").unwrap();
        while let Cell::List(list) = nested {
            assert_eq!((list.len(), list.capacity()), (1, 1));
            nested = &list[0];
        }
        let twice = serde_json::from_str::<Cell>(r#"{"a":1,"a":2}"#).unwrap_err();
        assert!(twice.to_string().contains("'a' stands twice"), "{twice}");
        let many: String = (0..40).map(|i| format!("\"k{i}\":1,")).collect();
        assert!(serde_json::from_str::<Cell>(&format!("{{{many}\"k20\":1}}")).is_err());
    }
}
