//! What can be wrong with an image. The caller knows its path.

use crate::limits::{BYTES_MAX, PIXELS_MAX};

/// A fault of an image or of how images are to be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bytes at all.
    #[error("is empty")]
    Empty,
    /// More bytes than are read.
    #[error("holds {0} bytes; images of up to {BYTES_MAX} bytes are read")]
    TooManyBytes(u64),
    /// None of the formats that are read.
    #[error("is not an image in JPEG, PNG, WebP or BMP; convert it to one of them")]
    Unknown,
    /// Something else that stands in the place of a file.
    #[error("{0}")]
    Foreign(&'static str),
    /// Width or height of 0.
    #[error("has {0} x {1} pixels, but an image has at least 1 x 1")]
    NoPixels(u32, u32),
    /// More pixels than are decoded, as its header says; nothing has been decoded.
    #[error("has {0} x {1} pixels by its header; images of up to {PIXELS_MAX} pixels are decoded")]
    TooManyPixels(u32, u32),
    /// The file ends before the image does.
    #[error("is cut off: the file ends before the image does")]
    Truncated,
    /// The decoder gave up.
    #[error("cannot be decoded: {0}")]
    Decode(String),
    /// A `preprocessor_config.json` that cannot be followed.
    #[error("{0}")]
    Config(String),
}
