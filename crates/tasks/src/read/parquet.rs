//! Parquet files, as data-set hubs keep them, with all types of columns. What the hub of Hugging
//! Face says of classes in a file's metadata is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use budwood_base::calendar::date;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

use super::{Column, Form, ReadOptions, Table, Unpacked};
use crate::{Cell, Error};

/// Reads all rows.
pub(super) fn read(path: &Path, content: Unpacked, _: ReadOptions) -> Result<Table, Error> {
    let form = Form { name: "Parquet", places: "row", packed: content.packed, ..Form::default() };
    // The library panics at some of the files that no writer makes.
    let read = catch_unwind(AssertUnwindSafe(|| rows(path, form, content)));
    read.unwrap_or_else(|_| Err(Error::file(path, "is damaged: it cannot be read as Parquet")))
}

fn rows(path: &Path, form: Form, content: Unpacked) -> Result<Table, Error> {
    let failed = |e: ParquetError| Error::file(path, format!("cannot be read as Parquet: {e}"));
    let too_large = |what: &str| {
        let message = format!(
            "becomes more than {} MB when it is read ({what}); if that is right, say --max-unpacked with a number of MB",
            content.limit / 1_000_000
        );
        Error::file(path, message)
    };
    let limit = content.limit;
    let reader = SerializedFileReader::new(bytes::Bytes::from(content.bytes)).map_err(failed)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr_ptr();
    let names: Vec<String> =
        schema.root_schema().get_fields().iter().map(|f| f.name().to_string()).collect();
    let mut room = limit;
    for group in metadata.row_groups() {
        for column in group.columns() {
            let size = u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX);
            room = room.checked_sub(size).ok_or_else(|| too_large("its pages unpacked"))?;
        }
    }
    let names_of = class_names(metadata.file_metadata().key_value_metadata());
    let mut table = Table::new(path, form, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for column in &mut table.columns {
        column.names = names_of.iter().find(|(n, _)| *n == column.name).map(|(_, l)| l.clone());
    }
    let mut room = limit;
    for (i, row) in reader.get_row_iter(None).map_err(failed)?.enumerate() {
        let fields = row.map_err(failed)?.into_columns().into_iter().map(|(_, f)| cell(f));
        let told = |(cell, column): (Cell, &Column)| match cell {
            // What the hub's library writes where classes have names and a row has none.
            Cell::Int(-1) if column.names.is_some() => Cell::Missing,
            other => other,
        };
        let cells: Vec<Cell> = fields.zip(&table.columns).map(told).collect();
        let size: usize = cells.iter().map(Cell::size).sum();
        room = room.checked_sub(size as u64).ok_or_else(|| too_large("its rows"))?;
        table.push(i + 1, cells);
    }
    Ok(table)
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Missing,
        Field::Bool(b) => Cell::Bool(b),
        Field::Byte(n) => Cell::Int(n.into()),
        Field::Short(n) => Cell::Int(n.into()),
        Field::Int(n) => Cell::Int(n.into()),
        Field::Long(n) => Cell::Int(n),
        Field::UByte(n) => Cell::Int(n.into()),
        Field::UShort(n) => Cell::Int(n.into()),
        Field::UInt(n) => Cell::Int(n.into()),
        Field::ULong(n) => i64::try_from(n).map_or_else(|_| n.to_string().into(), Cell::Int),
        // The number that the short form of the narrower type names: 0.1, not 0.10000000149.
        Field::Float16(x) => Cell::Number(x.to_string().parse().unwrap_or(f64::NAN)),
        Field::Float(x) => Cell::Number(x.to_string().parse().unwrap_or(f64::NAN)),
        Field::Double(x) => Cell::Number(x),
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => Cell::Bytes(bytes.data().to_vec()),
        },
        Field::Date(days) => date(i64::from(days)).into(),
        Field::TimeMillis(ms) => time(i64::from(ms) * 1000, 3).into(),
        Field::TimeMicros(us) => time(us, 6).into(),
        Field::TimestampMillis(ms) => stamp(ms, 1000, 3).into(),
        Field::TimestampMicros(us) => stamp(us, 1_000_000, 6).into(),
        Field::Group(row) => Cell::Dict(
            row.into_columns().into_iter().map(|(name, field)| (name, cell(field))).collect(),
        ),
        Field::ListInternal(list) => {
            Cell::List(list.elements().iter().cloned().map(cell).collect())
        }
        Field::MapInternal(map) => {
            let entry =
                |(k, v): &(Field, Field)| (cell(k.clone()).text().into_owned(), cell(v.clone()));
            Cell::Dict(map.entries().iter().map(entry).collect())
        }
        // A whole one comes with a point at its end.
        decimal @ Field::Decimal(_) => decimal.to_string().trim_end_matches('.').into(),
    }
}

/// Microseconds of a day as a time.
fn time(micros: i64, digits: usize) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!("{:06}", micros.rem_euclid(1_000_000));
    format!("{h:02}:{m:02}:{s:02}.{}", &fraction[..digits])
}

/// A moment since 1970 UTC, in so many parts of a second.
fn stamp(value: i64, parts: i64, digits: usize) -> String {
    let day = 86_400 * parts;
    let micros = value.rem_euclid(day) * (1_000_000 / parts);
    format!("{} {} +00:00", date(value.div_euclid(day)), time(micros, digits))
}

/// The names of classes by column that the key `huggingface` of a file's metadata holds.
fn class_names(
    metadata: Option<&Vec<parquet::file::metadata::KeyValue>>,
) -> Vec<(String, Vec<String>)> {
    let text = metadata.into_iter().flatten().find(|kv| kv.key == "huggingface");
    let text = text.and_then(|kv| kv.value.as_deref()).unwrap_or_default();
    let info: Value = serde_json::from_str(text).unwrap_or_default();
    let names_of = |feature: &Value| {
        let names = feature.get("names").or_else(|| feature.pointer("/feature/names"))?;
        let names = names.as_array()?.iter().map(|n| n.as_str().map(str::to_string));
        names.collect::<Option<Vec<String>>>()
    };
    let features = info.pointer("/info/features").and_then(Value::as_object);
    let named = |(name, feature): (&String, &Value)| Some((name.clone(), names_of(feature)?));
    features.into_iter().flatten().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: Python's `datetime`, and for years that it has not, `numpy.datetime64`.
    #[test]
    fn moments_at_any_end_are_written() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(-719_162), "0001-01-01");
        assert_eq!(stamp(1_700_000_000_123, 1000, 3), "2023-11-14 22:13:20.123 +00:00");
        assert_eq!(stamp(-1, 1000, 3), "1969-12-31 23:59:59.999 +00:00");
        assert_eq!(stamp(i64::MAX, 1_000_000, 6), "294247-01-10 04:00:54.775807 +00:00");
        assert_eq!(stamp(i64::MIN, 1000, 3).len(), "-292275055-05-16 16:47:04.192 +00:00".len());
    }
}
