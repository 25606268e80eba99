//! Tables from files: one file a format, chosen by the ending of the name.

pub(crate) mod conll;
mod delimited;
mod jsonl;
mod parquet;
pub(crate) mod squad;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Error;

/// How bytes become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without byte-order mark.
    #[default]
    Utf8,
    /// ISO 8859-1: every byte is a character.
    Latin1,
}

/// How a file is read, where its ending does not say everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// How bytes become text.
    pub encoding: Encoding,
    /// Whether the first row names the columns; files without get the names `1`, `2`, ...
    pub header: bool,
    /// Whether quotes in tab-separated files are ordinary characters, as in GLUE's files.
    pub literal_quotes: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { encoding: Encoding::Utf8, header: true, literal_quotes: true }
    }
}

/// Rows of text with named columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Row>,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the file, from 1: for messages.
    pub number: usize,
    /// Its cells.
    pub cells: Vec<String>,
}

/// A reader of one kind of file.
struct Format {
    endings: &'static [&'static str],
    read: fn(&Path, Vec<u8>, ReadOptions) -> Result<Table, Error>,
}

const FORMATS: &[Format] = &[
    Format { endings: &["csv"], read: delimited::csv },
    Format { endings: &["tsv", "txt", "tab"], read: delimited::tsv },
    Format { endings: &["jsonl", "ndjson", "json"], read: jsonl::read },
    Format { endings: &["parquet"], read: parquet::read },
    Format { endings: &["conll", "iob", "iob2", "bio", "bioes"], read: conll::read },
];

/// Reads a table. `.gz` and `.bz2` after the ending are unpacked.
///
/// # Errors
/// If the file cannot be read, has an unknown ending, no row, or a row that does not fit.
pub fn table(path: &Path, options: ReadOptions) -> Result<Table, Error> {
    let bytes = bytes(path)?;
    let mut ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if matches!(ending.as_str(), "gz" | "bz2") {
        let inner = path.file_stem().map(Path::new).and_then(Path::extension);
        ending = inner.and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    }
    // Files of some data sets have no ending at all; a tab in the first line says what they are.
    let first_line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    if ending.is_empty() && first_line.contains(&b'\t') {
        ending = "tsv".into();
    }
    let format =
        FORMATS.iter().find(|f| f.endings.contains(&ending.as_str())).ok_or_else(|| {
            let known: Vec<_> = FORMATS.iter().flat_map(|f| f.endings).copied().collect();
            let known = known.join(", .");
            Error::file(path, format!("the ending '.{ending}' is not known; known are .{known}"))
        })?;
    let table = (format.read)(path, bytes, options)?;
    if table.rows.is_empty() {
        return Err(Error::file(path, "holds no row of data"));
    }
    Ok(table)
}

/// Reads comma-separated values, whatever the file's name.
pub(crate) fn comma_separated(path: &Path, options: ReadOptions) -> Result<Table, Error> {
    let table = delimited::csv(path, bytes(path)?, options)?;
    if table.rows.is_empty() {
        return Err(Error::file(path, "holds no row of data"));
    }
    Ok(table)
}

/// The bytes of a file, unpacked.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    let read = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes),
        Some("bz2") => bzip2::read::MultiBzDecoder::new(file).read_to_end(&mut bytes),
        _ => file.read_to_end(&mut bytes),
    };
    read.map_err(Error::io(path))?;
    Ok(bytes)
}

/// The text of a file without its byte-order mark.
pub(crate) fn text(path: &Path, bytes: Vec<u8>, encoding: Encoding) -> Result<String, Error> {
    if encoding == Encoding::Latin1 {
        return Ok(bytes.into_iter().map(char::from).collect());
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let row = e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        let byte = e.as_bytes().get(at).copied().unwrap_or_default();
        let message = format!(
            "byte 0x{byte:02x} is not UTF-8; if the file is ISO 8859-1, say --encoding latin-1"
        );
        Error::row(path, row, message)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
