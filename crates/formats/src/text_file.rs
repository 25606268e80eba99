//! Small files of text, which are configurations.

use std::path::Path;

use budwood_base::json;
use serde_json::Value;

use crate::Error;

/// The largest configuration that is read, in bytes: far above any that exists.
pub(crate) const MOST: u64 = 16 << 20;

/// Refuses what is not a plain file, or has more than `most` bytes.
pub(crate) fn check(path: &Path, most: u64) -> Result<(), Error> {
    budwood_base::files::check_plain(path, most).map_err(Error::io(path))
}

/// A file of JSON.
pub(crate) fn read_json(path: &Path) -> Result<Value, Error> {
    check(path, MOST)?;
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    json::check(text.as_bytes()).map_err(|why| Error::content(path, why))?;
    serde_json::from_str(&text).map_err(|e| Error::not_json(path, &text, &e))
}
