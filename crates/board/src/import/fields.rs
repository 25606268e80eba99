//! The fields of an element of the archive, taken out by name; what nobody takes is left over and
//! kept.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::report::Report;

/// The fields that are still there.
pub(super) struct Fields<'r> {
    pub(super) rest: Map<String, Value>,
    report: &'r RefCell<Report>,
    of: &'static str,
}

impl<'r> Fields<'r> {
    /// The fields of an object; none, and counted, for anything else.
    pub(super) fn of(of: &'static str, value: Value, report: &'r RefCell<Report>) -> Option<Self> {
        match value {
            Value::Object(rest) => Some(Self { rest, report, of }),
            _ => {
                report.borrow_mut().odd(of, "is not an object");
                None
            }
        }
    }

    fn odd(&self, name: &str, kind: &str) {
        self.report.borrow_mut().odd(self.of, &format!("{name} is not {kind}"));
    }

    /// A text; empty if it is missing, null or, which is counted, something else.
    pub(super) fn text(&mut self, name: &str) -> String {
        self.text_or_none(name).unwrap_or_default()
    }

    pub(super) fn text_or_none(&mut self, name: &str) -> Option<String> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(n)) => Some(n.to_string()),
            Some(_) => {
                self.odd(name, "a text");
                None
            }
        }
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.odd(name, "a list");
                Vec::new()
            }
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let list = self.list(name);
        list.into_iter()
            .filter_map(|v| if let Value::String(s) = v { Some(s) } else { None })
            .collect()
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(b)) => Some(b),
            Some(_) => {
                self.odd(name, "true or false");
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Option<i64> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Number(n)) => n.as_i64(),
            Some(Value::String(s)) if s.trim().is_empty() => None,
            Some(Value::String(s)) if s.trim().parse::<i64>().is_ok() => s.trim().parse().ok(),
            Some(_) => {
                self.odd(name, "a whole number");
                None
            }
        }
    }

    /// What nobody took, as JSON, without what says nothing.
    pub(super) fn left(self) -> String {
        Value::Object(self.rest.into_iter().filter(|(_, v)| !says_nothing(v)).collect()).to_string()
    }
}

/// Whether a value is what a missing one stands for.
pub(crate) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    }
}
