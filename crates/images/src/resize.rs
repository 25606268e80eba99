//! Resizing as Pillow does it, to the bit: antialiased filters, weights of 22 bits, rows before
//! columns but for images that lose much of their height, and 8 bits in between. The library that
//! is at hand for this takes columns first and so differs by up to twelve grey levels.
//!
//! | | shape | elements |
//! |---|---|---|
//! | image | `[height, width, 3]` | bytes |
//! | after the rows | `[height, new width, 3]` | bytes |
//! | or after the columns | `[new height, width, 3]` | bytes |
//! | result | `[new height, new width, 3]` | bytes |
//!
//! A side of `n` places becomes one of `m`. Place `i` of the new side has its middle at
//! `c = (i + 1/2) n / m` of the old one. It is made of the old places `p` within the filter's
//! reach, which is stretched by `r = max(n / m, 1)`; a smaller image so takes the mean of what it
//! covers:
//!
//! ```text
//! w_p = f((p + 1/2 - c) / r)
//! W_p = round(2^22 w_p / sum of all w)
//! y_i = (sum W_p x_p + 2^21) >> 22
//! ```
//!
//! Sums are exact in 32 bits and cut to a byte, after the rows and after the columns. The weights
//! of a side are the same for all its lines and are made once (`Taps`).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::Rgb;

/// How a pixel is made of those around its place; the numbers in files are Pillow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest pixel: Pillow's 0.
    Nearest,
    /// Lanczos over three pixels: 1.
    Lanczos,
    /// A triangle: 2.
    Bilinear,
    /// A cubic with a = -0.5: 3.
    Bicubic,
    /// A box: 4.
    Box,
    /// Hamming's window: 5.
    Hamming,
}

impl Filter {
    /// The filter of that number in Pillow.
    pub fn from_number(number: u64) -> Option<Self> {
        use Filter::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
        let all = [Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming];
        all.get(usize::try_from(number).ok()?).copied()
    }

    /// Distance from its middle at which it ends.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        let d = x.abs();
        match self {
            Self::Nearest => 1.0,
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - d).max(0.0),
            Self::Hamming if d >= 1.0 => 0.0,
            Self::Hamming => sinc(d) * (0.54 + 0.46 * (PI * d).cos()),
            // Keys's cubic.
            Self::Bicubic if d < 1.0 => (1.5 * d - 2.5) * d * d + 1.0,
            Self::Bicubic if d < 2.0 => ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

/// The image in another size.
///
/// # Panics
/// If a side of either has no pixel.
pub fn resize(image: &Rgb, width: usize, height: usize, filter: Filter) -> Rgb {
    assert!(width * height * image.width * image.height > 0, "an image has pixels");
    if filter == Filter::Nearest {
        return nearest(image, width, height);
    }
    let (columns, rows) = (width != image.width, height != image.height);
    let narrowed = |image: &Rgb| horizontal(image, &Taps::new(image.width, width, filter));
    let lowered = |image: &Rgb| vertical(image, &Taps::new(image.height, height, filter));
    // Pillow's own rule, since it began to choose: whichever order is less work for tall images.
    let less = |from: usize, to: usize| from as i64 - to as i64;
    let tall = less(image.height, height) > (2 * less(image.width, width)).max(0);
    match (columns, rows) {
        (false, false) => image.clone(),
        (true, false) => narrowed(image),
        (false, true) => lowered(image),
        (true, true) if tall => narrowed(&lowered(image)),
        (true, true) => lowered(&narrowed(image)),
    }
}

/// Bits behind the point of a weight.
const BITS: u32 = 22;
/// Half of the last place of 8 bits, from which sums start.
const HALF: i32 = 1 << (BITS - 1);

fn level(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// For each place of the new side, the old places that it is made of: the first of them, and their
/// weights.
struct Taps {
    first: Vec<usize>,
    weights: Vec<Vec<i32>>,
}

impl Taps {
    fn new(from: usize, to: usize, filter: Filter) -> Self {
        let scale = from as f64 / to as f64;
        // A smaller image takes wider filters: that is the antialiasing.
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let (mut first, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for place in 0..to {
            let middle = (place as f64 + 0.5) * scale;
            let begin = (middle - support + 0.5).max(0.0) as usize;
            let end = ((middle + support + 0.5) as usize).min(from);
            let weight = |x: usize| filter.weight((x as f64 - middle + 0.5) / stretch);
            let exact: Vec<f64> = (begin..end).map(weight).collect();
            let sum: f64 = exact.iter().sum();
            let sum = if sum == 0.0 { 1.0 } else { sum };
            let fixed = |w: &f64| (w / sum * f64::from(1 << BITS)).round() as i32;
            first.push(begin);
            weights.push(exact.iter().map(fixed).collect());
        }
        Self { first, weights }
    }
}

fn horizontal(image: &Rgb, taps: &Taps) -> Rgb {
    let width = taps.first.len();
    let mut pixels = Vec::with_capacity(3 * width * image.height);
    // Four numbers a pixel instead of three: one vector.
    let mut row = vec![[0i32; 4]; image.width];
    for source in image.pixels.chunks_exact(3 * image.width) {
        for (wide, p) in row.iter_mut().zip(source.chunks_exact(3)) {
            *wide = [i32::from(p[0]), i32::from(p[1]), i32::from(p[2]), 0];
        }
        for (&first, weights) in taps.first.iter().zip(&taps.weights) {
            let mut sums = [HALF; 4];
            for (pixel, &weight) in row[first..].iter().zip(weights) {
                for (sum, &x) in sums.iter_mut().zip(pixel) {
                    *sum += weight * x;
                }
            }
            pixels.extend_from_slice(&[level(sums[0]), level(sums[1]), level(sums[2])]);
        }
    }
    Rgb { width, height: image.height, pixels }
}

fn vertical(image: &Rgb, taps: &Taps) -> Rgb {
    let stride = 3 * image.width;
    let mut pixels = Vec::with_capacity(stride * taps.first.len());
    let mut sums = vec![0i32; stride];
    for (&first, weights) in taps.first.iter().zip(&taps.weights) {
        sums.fill(HALF);
        let rows = image.pixels[first * stride..].chunks_exact(stride);
        for (row, &weight) in rows.zip(weights) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(x);
            }
        }
        pixels.extend(sums.iter().map(|&sum| level(sum)));
    }
    Rgb { width: image.width, height: taps.first.len(), pixels }
}

fn nearest(image: &Rgb, width: usize, height: usize) -> Rgb {
    let place = |i: usize, from: usize, to: usize| {
        (((i as f64 + 0.5) * (from as f64 / to as f64)) as usize).min(from - 1)
    };
    let columns: Vec<usize> = (0..width).map(|x| place(x, image.width, width)).collect();
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        let row = 3 * image.width * place(y, image.height, height);
        for &x in &columns {
            pixels.extend_from_slice(&image.pixels[row + 3 * x..][..3]);
        }
    }
    Rgb { width, height, pixels }
}
