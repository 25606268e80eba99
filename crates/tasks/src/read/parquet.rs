//! Parquet files, as data-set hubs keep them: flat columns of text, numbers and booleans.

use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::{ReadOptions, Row, Table};
use crate::Error;

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
        Field::Bytes(b) => String::from_utf8_lossy(b.data()).into_owned(),
        other => other.to_string(),
    }
}
