//! One word a line with its tags in columns, an empty line between sentences (CoNLL).

use std::path::Path;

use serde_json::json;

use super::{ReadOptions, Row, Table, text};
use crate::Error;

/// A row for each sentence, whose number is that of its first line. The first column is `tokens`, the last `tags` (where there is more than
/// one), those between have their number; cells are lists in JSON. Columns are separated by tabs, in lines without a tab by blanks. Lines of
/// `-DOCSTART-` are left out.
pub(crate) fn read(path: &Path, bytes: Vec<u8>, options: ReadOptions) -> Result<Table, Error> {
    let text = text(path, bytes, options.encoding)?;
    let mut width = 0;
    let mut rows = Vec::new();
    let mut sentence: Vec<Vec<&str>> = Vec::new();
    let mut first = 0;
    // One more empty line ends the last sentence.
    for (i, line) in text.lines().chain([""]).enumerate() {
        let number = i + 1;
        if line.trim().is_empty() {
            let column = |c: usize| json!(sentence.iter().map(|w| w[c]).collect::<Vec<_>>());
            if !sentence.is_empty() {
                let cells = (0..width).map(|c| column(c).to_string()).collect();
                rows.push(Row { number: first, cells });
                sentence.clear();
            }
            continue;
        }
        if line.starts_with("-DOCSTART-") {
            continue;
        }
        let cells: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        if width == 0 {
            width = cells.len();
        }
        if cells.len() != width {
            let message = format!(
                "has {} columns, but {width} stand in the rows before; a row is a word and its tags, and sentences have an empty row between them",
                cells.len()
            );
            return Err(Error::row(path, number, message));
        }
        if cells.iter().any(|c| c.is_empty()) {
            return Err(Error::row(path, number, "has an empty column"));
        }
        if sentence.is_empty() {
            first = number;
        }
        sentence.push(cells);
    }
    let name = |c: usize| match c {
        0 => "tokens".to_string(),
        _ if c + 1 == width => "tags".to_string(),
        _ => (c + 1).to_string(),
    };
    Ok(Table { path: path.into(), columns: (0..width).map(name).collect(), rows })
}
