//! The largest images that are read.

/// Pixels of the largest image that is decoded.
pub const PIXELS_MAX: u64 = 100_000_000;
/// Bytes of the largest file that is decoded.
pub const BYTES_MAX: u64 = 256 << 20;
