//! Random changes of training images, off unless asked for. What an example becomes depends on its
//! key only.

use budwood_base::random::Key;
use serde::{Deserialize, Serialize};

use crate::{Processor, Rgb, resize};

/// Which changes are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augment {
    /// Left and right are exchanged in half of the images.
    pub flip: bool,
    /// A part of random size and shape is resized to the model's size, instead of the whole.
    pub crop: bool,
}

impl Augment {
    /// Share of the image's area that a random part has.
    const AREA: (f64, f64) = (0.08, 1.0);
    /// Its width by its height.
    const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

    /// Whether anything is done.
    pub fn any(self) -> bool {
        self.flip || self.crop
    }

    /// The model's image of a decoded one: cropped at random or as the processor says.
    #[must_use]
    pub fn prepare(self, image: &Rgb, processor: &Processor, key: Key) -> Rgb {
        match processor.output() {
            Ok((height, width)) if self.crop => {
                let Part { left, top, width: w, height: h } =
                    part(image.width, image.height, key.named("crop"));
                let image = image.crop(left as isize, top as isize, w, h);
                resize(&image, width, height, processor.filter)
            }
            _ => processor.prepare(image),
        }
    }

    /// The last change, of a prepared image.
    pub fn finish(self, image: &mut Rgb, key: Key) {
        if self.flip && key.named("flip").uniform(0) < 0.5 {
            image.flip();
        }
    }
}

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// A random part as torchvision's `RandomResizedCrop` chooses it: ten tries of a random area and a
/// random shape, even in the logarithm; else the largest part around the middle whose shape is
/// allowed.
fn part(width: usize, height: usize, key: Key) -> Part {
    let between = |(low, high): (f64, f64), u: f64| low + (high - low) * u;
    let logs = (Augment::RATIO.0.ln(), Augment::RATIO.1.ln());
    for i in 0..10 {
        let key = key.child(i);
        let area = (width * height) as f64 * between(Augment::AREA, key.uniform(0));
        let ratio = between(logs, key.uniform(1)).exp();
        let w = (area * ratio).sqrt().round_ties_even() as usize;
        let h = (area / ratio).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let (left, top) = (key.below(2, width - w + 1), key.below(3, height - h + 1));
            return Part { left, top, width: w, height: h };
        }
    }
    let ratio = width as f64 / height as f64;
    let (w, h) = if ratio < Augment::RATIO.0 {
        (width, (width as f64 / Augment::RATIO.0).round_ties_even() as usize)
    } else if ratio > Augment::RATIO.1 {
        ((height as f64 * Augment::RATIO.1).round_ties_even() as usize, height)
    } else {
        (width, height)
    };
    let (w, h) = (w.clamp(1, width), h.clamp(1, height));
    Part { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_parts_have_the_distribution_of_the_definition() {
        let (n, mut shares, mut ratios) = (20_000, 0.0, 0.0);
        for i in 0..n {
            let p = part(640, 480, Key::new(3).child(i));
            assert!(p.left + p.width <= 640 && p.top + p.height <= 480);
            let (w, h) = (p.width as f64, p.height as f64);
            let share = w * h / (640.0 * 480.0);
            assert!((0.078..=1.001).contains(&share), "{p:?}");
            assert!((0.73..1.36).contains(&(w / h)), "{p:?}");
            shares += share;
            ratios += (w / h).ln();
        }
        // Means over 200,000 draws of `RandomResizedCrop.get_params` of torchvision 0.29 on 640 x
        // 480.
        assert!((shares / n as f64 - 0.4337).abs() < 0.006, "{}", shares / n as f64);
        assert!((ratios / n as f64 - 0.0308).abs() < 0.006, "{}", ratios / n as f64);
    }

    #[test]
    fn very_long_images_give_their_middle() {
        let p = part(1000, 10, Key::new(0));
        assert!(p.width <= 13 && p.height <= 10, "{p:?}");
        let tall = part(1, 1000, Key::new(0));
        assert_eq!((tall.width, tall.height), (1, 1));
    }
}
