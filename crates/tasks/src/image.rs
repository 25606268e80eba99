//! Images as examples refer to them: where the bytes are, and which they are.

use std::path::PathBuf;
use std::sync::Arc;

/// An image of an example, not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its path or place, for messages and answers.
    pub name: String,
    /// Where its bytes are.
    pub content: ImageContent,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// Where the bytes of an image are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageContent {
    /// In a file of its own.
    File(PathBuf),
    /// In memory, encoded as a file would be.
    Bytes(Arc<[u8]>),
}
