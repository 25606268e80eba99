//! Images as examples refer to them: where the bytes are, and which they are.

mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood_base::digest;
use budwood_base::files::read_plain;
use budwood_images::{BYTES_MAX, Rgb};

use crate::Error;

pub use source::ImageOptions;
pub(crate) use source::{FOLDER, IMAGE_LAYOUTS, ImageLayout, ImageTable, open_all};

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
    /// In memory, a grey level a pixel, row by row.
    Grey {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// `[height, width]`.
        pixels: Arc<[u8]>,
    },
}

impl ImageContent {
    /// The bytes of a file in base64, with or without `data:...;base64,` before it; nothing if it
    /// is not that. Many programs break its lines, which does not matter.
    pub fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
        let data = text.split_once(";base64,").map_or(text, |(_, data)| data);
        STANDARD.decode(data.split_ascii_whitespace().collect::<String>()).ok()
    }
}

impl Image {
    /// Reads an image once, to know that it can be decoded and which it is.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub fn open(name: impl Into<String>, content: ImageContent) -> Result<Self, Error> {
        let mut image = Self { name: name.into(), content, sha256: String::new() };
        image.sha256 = image.read()?.1;
        Ok(image)
    }

    /// Decodes it.
    ///
    /// # Errors
    /// If it cannot be read or decoded, or is another than it was.
    pub fn decode(&self) -> Result<Rgb, Error> {
        let (image, sha256) = self.read()?;
        if sha256 != self.sha256 {
            let message = "has changed since it was first read; start again";
            return Err(Error::file(self.place(), message));
        }
        Ok(image)
    }

    /// Where it is, for messages.
    fn place(&self) -> &Path {
        match &self.content {
            ImageContent::File(path) => path,
            _ => Path::new(&self.name),
        }
    }

    fn read(&self) -> Result<(Rgb, String), Error> {
        let encoded = |bytes: &[u8]| {
            let image = budwood_images::decode(bytes);
            let image = image.map_err(|e| Error::file(self.place(), e.to_string()))?;
            Ok((image, digest::of_bytes(bytes)))
        };
        match &self.content {
            ImageContent::File(path) => {
                encoded(&read_plain(path, BYTES_MAX).map_err(Error::io(path))?)
            }
            ImageContent::Bytes(bytes) => encoded(bytes),
            ImageContent::Grey { width, height, pixels } => {
                let size = format!("{width} x {height}");
                let sha256 = digest::of_parts([("size", size.as_bytes()), ("grey", pixels)]);
                Ok((Rgb::from_grey(*width, *height, pixels), sha256))
            }
        }
    }
}
