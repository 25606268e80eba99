//! One JSON object a line, or one list of objects; SQuAD's form of its own.

use std::path::Path;

use serde_json::{Map, Value};

use super::{ReadOptions, Row, Table, squad, text};
use crate::Error;

/// Columns are the keys of the first object; every object must have them.
pub(super) fn read(path: &Path, bytes: Vec<u8>, options: ReadOptions) -> Result<Table, Error> {
    let text = text(path, bytes, options.encoding)?;
    if squad::is_squad(&text) {
        return squad::read(path, &text);
    }
    let mut objects: Vec<(usize, Map<String, Value>)> = Vec::new();
    if text.trim_start().starts_with('[') {
        let list: Vec<Map<String, Value>> = serde_json::from_str(&text)
            .map_err(|e| Error::row(path, e.line(), format!("is not a list of objects: {e}")))?;
        objects.extend(list.into_iter().enumerate().map(|(i, o)| (i + 1, o)));
    } else {
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let object = serde_json::from_str(line)
                .map_err(|e| Error::row(path, i + 1, format!("is not a JSON object: {e}")))?;
            objects.push((i + 1, object));
        }
    }
    let columns: Vec<String> =
        objects.first().map(|(_, o)| o.keys().cloned().collect()).unwrap_or_default();
    let mut rows = Vec::with_capacity(objects.len());
    for (number, object) in objects {
        let cell = |column: &String| match object.get(column) {
            Some(value) => Ok(cell(value)),
            None => Err(Error::row(path, number, format!("lacks the key '{column}'"))),
        };
        rows.push(Row { number, cells: columns.iter().map(cell).collect::<Result<_, _>>()? });
    }
    Ok(Table { path: path.into(), columns, rows })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
