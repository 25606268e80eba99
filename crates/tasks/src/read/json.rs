//! JSON: an object a line, a list of objects, an object that holds one, and the forms that pandas
//! writes by columns. SQuAD has a form of its own.

use std::path::Path;

use super::table::Builder;
use super::{Form, ReadOptions, Table, Unpacked, squad, text};
use crate::{Cell, Error};

/// Columns are the keys of all objects; those that an object lacks are absent from its row.
pub(super) fn read(path: &Path, content: Unpacked, options: ReadOptions) -> Result<Table, Error> {
    let packed = content.packed;
    let (text, encoding) = text(path, content.bytes, options.encoding)?;
    let form =
        |name, places| Form { name, places, packed, encoding: Some(encoding), separator: None };
    if squad::is_squad(&text) {
        return squad::read(path, form("SQuAD's JSON", "question"), &text);
    }
    let ending = super::unpack::ending(path);
    if !is_lines(&text) && (ending == "json" || !text.trim_start().starts_with('{')) {
        match serde_json::from_str::<Cell>(&text) {
            Ok(whole) => return document(path, form("JSON", "row"), text.len(), whole),
            // A list has no other reading; what is not an object may be one bad line among others.
            Err(e) if text.trim_start().starts_with('[') || ending == "json" => {
                let message = format!("is not JSON (column {}): {}", e.column(), without_place(&e));
                return Err(Error::row(path, "line", e.line(), message));
            }
            Err(_) => {}
        }
    }
    let mut builder = Builder::new(path, form("JSON lines", "line"), text.len());
    for (i, line) in lines(&text).enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(Cell::Dict(entries)) => builder.push(i + 1, entries)?,
            Ok(other) => builder.bad(i + 1, || format!("is a {}, not an object", other.kind())),
            Err(e) => builder.bad(i + 1, || {
                let word = ["NaN", "Infinity"].iter().find(|w| line.contains(**w));
                let hint = word.map_or(String::new(), |w| format!("; JSON has no {w}, write null"));
                format!("is not a JSON object (column {}): {}{hint}", e.column(), without_place(&e))
            }),
        }
    }
    builder.finish()
}

/// Lines as an editor counts them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

/// What is wrong, without the place that is said elsewhere.
fn without_place(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}

/// Whether a text is an object a line: more lines than one, and the first is an object by itself.
fn is_lines(text: &str) -> bool {
    let mut full = lines(text).filter(|l| !l.trim().is_empty());
    let first = full.next().unwrap_or_default().trim_start();
    first.starts_with('{')
        && full.next().is_some()
        && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok()
}

/// The table of a file that is one value.
fn document(path: &Path, form: Form, bytes: usize, whole: Cell) -> Result<Table, Error> {
    let none = |what: &str| Error::file(path, format!("{what}; {FORMS}"));
    match whole {
        Cell::List(list) => rows(path, Form { name: "JSON list", ..form }, bytes, list),
        Cell::Dict(mut entries) => {
            // {"data": [{..}, ..]}, as pandas writes it with orient="table"; {"columns": ..,
            // "data": [[..], ..]} with "split".
            let take = |entries: &mut Vec<(String, Cell)>, name: &str| {
                let place = entries.iter().position(|(n, c)| n == name && c.list().is_some())?;
                match entries.swap_remove(place).1 {
                    Cell::List(list) => Some(list),
                    _ => None,
                }
            };
            let is = |name: &str| entries.iter().any(|(n, _)| n == name);
            if is("columns") && is("data") {
                let columns =
                    take(&mut entries, "columns").ok_or_else(|| none("has no list 'columns'"))?;
                let data = take(&mut entries, "data").ok_or_else(|| none("has no list 'data'"))?;
                let form = Form { name: "JSON of pandas (split)", ..form };
                return split(path, form, bytes, &columns, data);
            }
            let objects = |c: &Cell| {
                let list = c.list()?;
                (!list.is_empty() && list.iter().all(|c| matches!(c, Cell::Dict(_)))).then_some(())
            };
            let places: Vec<usize> =
                (0..entries.len()).filter(|&i| objects(&entries[i].1).is_some()).collect();
            let length = |i: &usize| entries[*i].1.list().map(<[Cell]>::len);
            let data = places.iter().copied().find(|&i| entries[i].0 == "data");
            if data.is_none() && places.iter().any(|i| length(i) != length(&places[0])) {
                let names: Vec<&str> = places.iter().map(|&i| entries[i].0.as_str()).collect();
                let names = names.join(", ");
                return Err(Error::file(
                    path,
                    format!(
                        "holds several lists of objects: {names}; write each to a file of its own"
                    ),
                ));
            }
            // A list of objects beside other lists is a column among columns.
            let alone = || entries.iter().all(|(_, c)| c.list().is_none() || objects(c).is_some());
            if let Some(place) = data.or((places.len() == 1 && alone()).then(|| places[0])) {
                let (name, list) = entries.swap_remove(place);
                let Cell::List(list) = list else { return Err(none("has no list")) };
                let mut table =
                    rows(path, Form { name: "JSON object with a list", ..form }, bytes, list)?;
                table.notes.push(format!("the rows are those of the key '{name}'"));
                return Ok(table);
            }
            if !entries.is_empty() && entries.iter().all(|(_, c)| is_column(c)) {
                return by_columns(path, form, bytes, entries);
            }
            // One object is one row.
            rows(path, form, bytes, vec![Cell::Dict(entries)])
        }
        other => Err(none(&format!("holds a {}", other.kind()))),
    }
}

const FORMS: &str =
    "an object a line, a list of objects, {\"data\": [..]}, or pandas' form by columns is read";

/// Whether a value may be a column of its own: a list, or a dictionary by rows.
fn is_column(cell: &Cell) -> bool {
    matches!(cell, Cell::List(_) | Cell::Dict(_))
}

fn rows(path: &Path, form: Form, bytes: usize, list: Vec<Cell>) -> Result<Table, Error> {
    let mut builder = Builder::new(path, form, bytes);
    for (i, cell) in list.into_iter().enumerate() {
        match cell {
            Cell::Dict(entries) => builder.push(i + 1, entries)?,
            other => builder.bad(i + 1, || format!("is a {}, not an object", other.kind())),
        }
    }
    builder.finish()
}

fn split(
    path: &Path,
    form: Form,
    bytes: usize,
    columns: &[Cell],
    data: Vec<Cell>,
) -> Result<Table, Error> {
    let names: Vec<String> = columns.iter().map(|c| c.text().into_owned()).collect();
    let mut builder = Builder::new(path, form, bytes);
    for (i, row) in data.into_iter().enumerate() {
        match row {
            Cell::List(cells) if cells.len() == names.len() => {
                builder.push(i + 1, names.iter().cloned().zip(cells).collect())?;
            }
            _ => builder.bad(i + 1, || format!("is not a list of {} values", names.len())),
        }
    }
    builder.finish()
}

/// `{"text": {"0": .., "1": ..}, ..}`, `{"text": [..], ..}`, or rows by name: `{"0": {"text": ..},
/// ..}`.
fn by_columns(
    path: &Path,
    form: Form,
    bytes: usize,
    entries: Vec<(String, Cell)>,
) -> Result<Table, Error> {
    let fault = |message: String| Error::file(path, message);
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let by_row = entries.iter().all(|(name, cell)| {
        is_number(name)
            && matches!(cell, Cell::Dict(inner) if !inner.iter().all(|(n, _)| is_number(n)))
    });
    if by_row {
        let list = entries.into_iter().map(|(_, cell)| cell).collect();
        return rows(path, Form { name: "JSON of pandas (index)", ..form }, bytes, list);
    }
    let mut table = Table::new(path, Form { name: "JSON by columns", ..form }, &[]);
    let mut index: Option<(String, Vec<String>)> = None;
    for (name, cell) in entries {
        let (keys, cells): (Vec<String>, Vec<Cell>) = match cell {
            Cell::List(list) => ((0..list.len()).map(|i| i.to_string()).collect(), list),
            Cell::Dict(entries) => entries.into_iter().unzip(),
            other => return Err(fault(format!("its column '{name}' is a {}", other.kind()))),
        };
        match &index {
            None => index = Some((name.clone(), keys)),
            Some((_, known)) if *known == keys => {}
            Some((first, known)) => {
                return Err(fault(format!(
                    "is read by columns, but its column '{name}' has other rows than '{first}': {} and {}; {FORMS}",
                    keys.len(),
                    known.len()
                )));
            }
        }
        table.columns.push(super::Column { name, cells, names: None });
    }
    let rows = table.columns.first().map_or(0, |c| c.cells.len());
    table.places = (1..=u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    Ok(table)
}
