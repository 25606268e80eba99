//! Bytes of an image file to red, green and blue: what Pillow's `Image.open`,
//! `ImageOps.exif_transpose` and
//! `convert("RGB")` give.
//!
//! The content says which format it is, never a name. Alpha is dropped, as Pillow does, and so is
//! all after the first picture of an animation. Of 16 bits the upper eight are kept; Pillow does so
//! for colour, but cuts grey at 255, which leaves little of such an image, and is not followed
//! there. Colour profiles are not applied.

use std::io::Cursor;

use budwood_base::files::foreign;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::limits::{BYTES_MAX, PIXELS_MAX};
use crate::{Error, Rgb};

/// Memory that a decoder may ask for: 16 bits of red, green, blue and alpha.
const DECODER_BYTES_MAX: u64 = 8 * PIXELS_MAX;

/// Decodes an image and turns it upright as its EXIF data say.
///
/// # Errors
/// If it is none of the formats, too large by its header, without pixels, cut off or damaged.
pub fn decode(bytes: &[u8]) -> Result<Rgb, Error> {
    // A decoder that fails in its arithmetic must not take the program with it.
    let upright = || -> Result<Rgb, Error> {
        let mut decoder = open(bytes)?;
        let orientation = decoder.orientation().map_err(fault)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
        image.apply_orientation(orientation);
        Ok(rgb(image))
    };
    std::panic::catch_unwind(upright).unwrap_or(Err(Error::Decode("its decoder failed".into())))
}

/// Checks all that can be known without decoding; the width and height that the file gives.
///
/// # Errors
/// As [`decode`], but for damage inside the image.
pub fn check(bytes: &[u8]) -> Result<(usize, usize), Error> {
    let (width, height) = open(bytes)?.dimensions();
    Ok((width as usize, height as usize))
}

fn open(bytes: &[u8]) -> Result<impl ImageDecoder + '_, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Error::TooManyBytes(bytes.len() as u64));
    }
    let unknown = || foreign(bytes).map_or(Error::Unknown, Error::Foreign);
    let format = image::guess_format(bytes).map_err(|_| unknown())?;
    if !format.reading_enabled() {
        return Err(Error::Unknown);
    }
    // The decoder of JPEG fills what is missing with grey, and reads what follows the end: there
    // phones put the film of a moving photograph.
    let bytes = match format {
        ImageFormat::Jpeg => &bytes[..end_of_jpeg(bytes).ok_or(Error::Truncated)?],
        _ => bytes,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::NoPixels(width, height));
    }
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(Error::TooManyPixels(width, height));
    }
    Ok(decoder)
}

/// Where the first image of a file of JPEG ends (behind FF D9), if it does. Segments are passed
/// over by their lengths, as a thumbnail in the header has an end of its own.
fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // In the data of an image, 0 follows each FF that is none of a marker.
        let is_marker = |w: &[u8]| w[0] == 0xff && !matches!(w[1], 0 | 0xff);
        at += bytes.get(at..)?.windows(2).position(is_marker)? + 2;
        match bytes[at - 1] {
            0xd9 => return Some(at),
            // These have no length.
            0x01 | 0xd0..=0xd8 => {}
            _ => at += usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])),
        }
    }
}

fn fault(error: ImageError) -> Error {
    let cut = |e: &std::io::Error| e.kind() == std::io::ErrorKind::UnexpectedEof;
    match &error {
        ImageError::IoError(e) if cut(e) => Error::Truncated,
        ImageError::Decoding(inner) => {
            let mut source = std::error::Error::source(inner);
            while let Some(e) = source {
                if e.downcast_ref::<std::io::Error>().is_some_and(cut) {
                    return Error::Truncated;
                }
                source = e.source();
            }
            Error::Decode(error.to_string())
        }
        _ => Error::Decode(error.to_string()),
    }
}

fn rgb(image: DynamicImage) -> Rgb {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let high = |x: u16| (x >> 8) as u8;
    let pixels = match image {
        DynamicImage::ImageRgb8(i) => i.into_raw(),
        DynamicImage::ImageLuma8(i) => i.into_raw().into_iter().flat_map(|g| [g; 3]).collect(),
        DynamicImage::ImageLumaA8(i) => i.pixels().flat_map(|p| [p.0[0]; 3]).collect(),
        DynamicImage::ImageRgba8(i) => i.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect(),
        DynamicImage::ImageLuma16(i) => i.pixels().flat_map(|p| [high(p.0[0]); 3]).collect(),
        DynamicImage::ImageLumaA16(i) => i.pixels().flat_map(|p| [high(p.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(i) => i.pixels().flat_map(|p| p.0.map(high)).collect(),
        DynamicImage::ImageRgba16(i) => {
            i.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]].map(high)).collect()
        }
        other => other.into_rgb8().into_raw(),
    };
    Rgb { width, height, pixels }
}
