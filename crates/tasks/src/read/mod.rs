//! Tables from files: one file a form. What a file is packed and written in is known by its first
//! bytes, its form by the ending of its name.

pub(crate) mod conll;
mod delimited;
mod encoding;
mod json;
mod options;
mod parquet;
mod plain;
pub(crate) mod squad;
mod table;
mod unpack;

use std::path::Path;

use crate::Error;

pub use delimited::separator;
pub use encoding::Encoding;
pub(crate) use encoding::text;
pub use options::ReadOptions;
pub use table::{Bad, Column, Form, Table};
use unpack::ending;
pub(crate) use unpack::{Unpacked, unpacked};

/// A reader of one form of file.
struct Format {
    endings: &'static [&'static str],
    read: fn(&Path, Unpacked, ReadOptions) -> Result<Table, Error>,
}

const FORMATS: &[Format] = &[
    Format { endings: &["csv"], read: delimited::csv },
    Format { endings: &["tsv", "txt", "tab"], read: delimited::tsv },
    Format { endings: &["jsonl", "ndjson", "json"], read: json::read },
    Format { endings: &["parquet"], read: parquet::read },
    Format { endings: &["conll", "iob", "iob2", "bio", "bioes"], read: conll::read },
];

/// Text that no column divides.
const PLAIN: Format = Format { endings: &["txt", "text"], read: plain::read };

/// Reads a table. Rows that cannot be read are listed in it.
///
/// # Errors
/// If the file cannot be read, is of an unknown form, or has no row.
pub fn table(path: &Path, options: ReadOptions) -> Result<Table, Error> {
    let content = unpacked(path, options.max_unpacked)?;
    let format = match options.plain && options.separator.is_none() {
        true => plain_format(path, &content.bytes),
        false => format(path, &content.bytes)?,
    };
    let table = (format.read)(path, content, options)?;
    not_empty(table)
}

/// Whether the ending of a file's name is that of a table or a text.
pub(crate) fn is_of_text(path: &Path) -> bool {
    let ending = ending(path);
    FORMATS.iter().any(|f| f.endings.contains(&ending.as_str()))
}

/// Reads comma-separated values, whatever the file's name.
pub(crate) fn comma_separated(path: &Path, options: ReadOptions) -> Result<Table, Error> {
    let options = ReadOptions { separator: Some(b','), ..options };
    not_empty(delimited::csv(path, unpacked(path, options.max_unpacked)?, options)?)
}

fn not_empty(table: Table) -> Result<Table, Error> {
    match table.is_empty() && table.bad.count == 0 {
        true => Err(Error::file(&table.path, "holds no row of data")),
        false => Ok(table),
    }
}

/// The form of a file of texts: plain, unless the ending of its name is another's.
fn plain_format(path: &Path, bytes: &[u8]) -> &'static Format {
    match PLAIN.endings.contains(&ending(path).as_str()) {
        true => &PLAIN,
        false => format(path, bytes).unwrap_or(&PLAIN),
    }
}

/// The form of a file: Parquet by its first bytes, others by the ending, and without a known one by
/// how they begin.
fn format(path: &Path, bytes: &[u8]) -> Result<&'static Format, Error> {
    let of = |ending: &str| FORMATS.iter().find(|f| f.endings.contains(&ending));
    let ending = ending(path);
    let first_line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let found = match () {
        () if bytes.starts_with(b"PAR1") => of("parquet"),
        () if ending == "parquet" => {
            let message = "is not Parquet: it does not begin with PAR1";
            return Err(Error::file(path, message));
        }
        () => of(&ending),
    };
    let begins = |start: &[u8]| first_line.trim_ascii_start().starts_with(start);
    // Files of some data sets have no ending at all.
    let by_content = || match () {
        () if !ending.is_empty() => None,
        () if begins(b"{") || begins(b"[{") => of("json"),
        () if first_line.contains(&b'\t') => of("tsv"),
        () => None,
    };
    found.or_else(by_content).ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().flat_map(|f| f.endings).copied().collect();
        let known = known.join(", .");
        let what = match ending.is_empty() {
            true => "has no ending that says what it is".to_string(),
            false => format!("the ending '.{ending}' is not known"),
        };
        Error::file(path, format!("{what}; known are .{known}"))
    })
}
