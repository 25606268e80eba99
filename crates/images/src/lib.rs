//! Image files to the pixels that an encoder reads: decoding, resizing, cropping, augmentation,
//! normalisation.
//!
//! Opens no file of an image: callers hand in bytes. Knows nothing of data sets or models.

mod augment;
mod decode;
mod error;
mod limits;
mod processor;
mod resize;

pub use augment::Augment;
pub use decode::{check, decode};
pub use error::Error;
pub use limits::{BYTES_MAX, PIXELS_MAX};
pub use processor::{Processor, Size};
pub use resize::{Filter, resize};

/// An image of 8-bit red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`, row by row from the top.
    pub pixels: Vec<u8>,
}

impl Rgb {
    /// From one value a pixel, `[height, width]`.
    ///
    /// # Panics
    /// If the number of values does not fit.
    pub fn from_grey(width: usize, height: usize, grey: &[u8]) -> Self {
        assert_eq!(grey.len(), width * height, "a value for each pixel");
        Self { width, height, pixels: grey.iter().flat_map(|&g| [g; 3]).collect() }
    }

    /// A part of the image; what lies outside of it is black.
    #[must_use]
    pub fn crop(&self, left: isize, top: isize, width: usize, height: usize) -> Self {
        let mut pixels = vec![0; 3 * width * height];
        let first = left.max(0);
        let last = (left + width as isize).min(self.width as isize);
        for y in 0..height {
            let from = top + y as isize;
            if first >= last || from < 0 || from >= self.height as isize {
                continue;
            }
            let n = 3 * (last - first) as usize;
            let source = 3 * (from as usize * self.width + first as usize);
            let target = 3 * (y * width + (first - left) as usize);
            pixels[target..target + n].copy_from_slice(&self.pixels[source..source + n]);
        }
        Self { width, height, pixels }
    }

    /// Left and right exchanged.
    pub fn flip(&mut self) {
        for row in self.pixels.chunks_exact_mut(3 * self.width) {
            let (mut a, mut b) = (0, self.width);
            while a + 1 < b {
                b -= 1;
                for c in 0..3 {
                    row.swap(3 * a + c, 3 * b + c);
                }
                a += 1;
            }
        }
    }
}
