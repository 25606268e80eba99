//! Parquet files, as data-set hubs keep them: flat columns of text, numbers, booleans and bytes, and images.

use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::{ReadOptions, Row, Table};
use crate::Error;
use crate::image::cell_of_bytes;

/// Reads all rows.
pub(super) fn read(path: &Path, bytes: Vec<u8>, _: ReadOptions) -> Result<Table, Error> {
    let failed = |e: parquet::errors::ParquetError| {
        let message = format!(
            "cannot be read as Parquet: {e}. Uncompressed and Snappy files can be read; write others again, or as CSV"
        );
        Error::file(path, message)
    };
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).map_err(failed)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let columns: Vec<String> =
        schema.root_schema().get_fields().iter().map(|f| f.name().to_string()).collect();
    let mut rows = Vec::new();
    for (i, row) in reader.get_row_iter(None).map_err(failed)?.enumerate() {
        let row = row.map_err(failed)?;
        let cells = row.get_column_iter().map(|(_, field)| cell(field)).collect();
        rows.push(Row { number: i + 1, cells });
    }
    Ok(Table { path: path.into(), columns, rows })
}

fn cell(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(s) => s.clone(),
        Field::Bytes(b) => match std::str::from_utf8(b.data()) {
            Ok(text) => text.into(),
            Err(_) => cell_of_bytes(b.data()),
        },
        // Data-set hubs keep an image as its bytes, its path, or both.
        Field::Group(group) => {
            let of = |name: &str| {
                let field = group.get_column_iter().find(|(n, _)| *n == name);
                field.map(|(_, field)| cell(field)).filter(|cell| !cell.is_empty())
            };
            of("bytes").or_else(|| of("path")).unwrap_or_else(|| group.to_string())
        }
        other => other.to_string(),
    }
}
