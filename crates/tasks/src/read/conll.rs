//! One word a line with its tags in columns, an empty line between sentences (CoNLL).

use std::path::Path;

use super::json::lines;
use super::{Column, Form, ReadOptions, Table, Unpacked, text};
use crate::{Cell, Error};

/// What separates columns. Other blanks of Unicode are part of words.
const BLANKS: [char; 2] = [' ', '\t'];

/// A row for each sentence, whose place is that of its first line. The first column is `tokens`,
/// the last `tags` (where there is more than one), those between have their number; cells are
/// lists. Columns are separated by tabs, in lines without a tab by blanks. Lines of `-DOCSTART-`
/// are left out.
pub(crate) fn read(path: &Path, content: Unpacked, options: ReadOptions) -> Result<Table, Error> {
    let (text, encoding) = text(path, content.bytes, options.encoding)?;
    let form = Form {
        name: "CoNLL's columns",
        places: "line",
        packed: content.packed,
        encoding: Some(encoding),
        separator: None,
    };
    let mut table = Table::new(path, form, &[]);
    let mut sentence: Vec<Vec<&str>> = Vec::new();
    let mut first = 0;
    // A sentence with a line that cannot be read is left out as a whole.
    let mut fault: Option<(usize, String)> = None;
    // One more empty line ends the last sentence.
    for (i, line) in lines(&text).chain([""]).enumerate() {
        let number = i + 1;
        if line.trim_matches(BLANKS).is_empty() {
            if let Some((line, message)) = fault.take() {
                table.bad.push(u32::try_from(line).unwrap_or(u32::MAX), || message);
            } else if !sentence.is_empty() {
                let column = |c: usize| Cell::List(sentence.iter().map(|w| w[c].into()).collect());
                let cells: Vec<Cell> = (0..table.columns.len()).map(column).collect();
                table.push(first, cells);
            }
            sentence.clear();
            continue;
        }
        if line.starts_with("-DOCSTART-") {
            continue;
        }
        let cells: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(|c| c.trim_matches(' ')).collect(),
            false => line.split(' ').filter(|c| !c.is_empty()).collect(),
        };
        let width = table.columns.len();
        if width == 0 {
            let name = |c: usize| match c {
                0 => "tokens".to_string(),
                _ if c + 1 == cells.len() => "tags".to_string(),
                _ => (c + 1).to_string(),
            };
            let column = |c| Column { name: name(c), ..Column::default() };
            table.columns = (0..cells.len()).map(column).collect();
        } else if cells.len() != width {
            let message = format!(
                "has {} columns, but {width} stand in the lines before; a line is a word and its tags, and sentences have \
                 an empty line between them",
                cells.len()
            );
            fault = fault.or(Some((number, message)));
        }
        if cells.iter().any(|c| c.is_empty()) {
            fault = fault.or(Some((number, "has an empty column".into())));
        }
        if sentence.is_empty() {
            first = number;
        }
        sentence.push(cells);
    }
    Ok(table)
}
