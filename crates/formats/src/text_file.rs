//! Small files of text, which are configurations.

use std::path::Path;

use serde_json::Value;

use crate::Error;

/// The largest configuration that is read, in bytes: far above any that exists.
pub(crate) const MOST: u64 = 16 << 20;

/// Refuses what is not a plain file (reading a pipe would wait for ever) or has more than `most`
/// bytes.
pub(crate) fn check(path: &Path, most: u64) -> Result<(), Error> {
    let file = std::fs::metadata(path).map_err(Error::io(path))?;
    if !file.is_file() {
        return Err(Error::content(path, "is not a plain file"));
    }
    if file.len() > most {
        let message = format!("has {} bytes; at most {most} are read", file.len());
        return Err(Error::content(path, message));
    }
    Ok(())
}

/// A file of JSON.
pub(crate) fn read_json(path: &Path) -> Result<Value, Error> {
    check(path, MOST)?;
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::not_json(path, &text, &e))
}
