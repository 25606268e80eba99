//! Plain text: a text in each line, or in each paragraph.

use std::path::Path;

use super::json::lines;
use super::{Form, ReadOptions, Table, Unpacked, text};
use crate::Error;

/// A row for each line that is not empty, or for each paragraph: lines with an empty one before and
/// after, joined by blanks, whose place is that of the first. The column is `text`.
pub(super) fn read(path: &Path, content: Unpacked, options: ReadOptions) -> Result<Table, Error> {
    let (text, encoding) = text(path, content.bytes, options.encoding)?;
    let form = Form {
        name: Form::PLAIN,
        places: "line",
        packed: content.packed,
        encoding: Some(encoding),
        separator: None,
    };
    let mut table = Table::new(path, form, &["text"]);
    let (mut paragraph, mut first) = (Vec::new(), 0);
    // One more empty line ends the last paragraph.
    for (i, line) in lines(&text).map(str::trim).chain([""]).enumerate() {
        match (line.is_empty(), options.paragraphs) {
            (false, false) => table.push(i + 1, [line.into()]),
            (false, true) => {
                if paragraph.is_empty() {
                    first = i + 1;
                }
                paragraph.push(line);
            }
            (true, _) if !paragraph.is_empty() => {
                table.push(first, [paragraph.join(" ").into()]);
                paragraph.clear();
            }
            (true, _) => {}
        }
    }
    Ok(table)
}
