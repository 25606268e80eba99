//! Comma- and tab-separated values.

use std::path::Path;

use super::{ReadOptions, Row, Table, text};
use crate::Error;

/// Comma-separated, quoted as in RFC 4180.
pub(super) fn csv(path: &Path, bytes: Vec<u8>, options: ReadOptions) -> Result<Table, Error> {
    read(path, bytes, options, b',', true)
}

/// Tab-separated; quotes are ordinary characters unless the options say otherwise.
pub(super) fn tsv(path: &Path, bytes: Vec<u8>, options: ReadOptions) -> Result<Table, Error> {
    read(path, bytes, options, b'\t', !options.literal_quotes)
}

fn read(
    path: &Path,
    bytes: Vec<u8>,
    options: ReadOptions,
    delimiter: u8,
    quoting: bool,
) -> Result<Table, Error> {
    let text = text(path, bytes, options.encoding)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoting)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut columns: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, |p| p.line() as usize);
            Error::row(path, line, format!("cannot be read: {e}"))
        })?;
        let number = record.position().map_or(0, |p| p.line() as usize);
        let cells: Vec<String> = record.iter().map(str::to_string).collect();
        // The reader skips empty lines; a line of blanks is one too.
        if cells.iter().all(|c| c.trim().is_empty()) {
            continue;
        }
        if columns.is_empty() {
            if options.header {
                columns = cells.iter().map(|c| c.trim().to_string()).collect();
                continue;
            }
            columns = (1..=cells.len()).map(|i| i.to_string()).collect();
        }
        if cells.len() != columns.len() {
            let message = format!(
                "has {} fields, but {} are expected{}",
                cells.len(),
                columns.len(),
                if quoting { "; check its quotes" } else { "" }
            );
            return Err(Error::row(path, number, message));
        }
        rows.push(Row { number, cells });
    }
    Ok(Table { path: path.into(), columns, rows })
}
