//! Positions of patches: the table's own rows, or mixes of them where an image has another size
//! than the table was made for.
//!
//! The mixes are those of bicubic interpolation as PyTorch defines it (`interpolate` with
//! `mode="bicubic"`, `align_corners=False` and a target size; a = -0.75, edges repeated), which is
//! what `transformers` 4.57 applies in ViT, DeiT, DINOv2, CLIP and SigLIP; in DINOv2 with registers
//! it adds `antialias=True`. They are linear in the table, so that trained positions get gradients
//! at any size.

use budwood_base::encoder::{ImageInput, PositionResize};
use budwood_engine::RowMix;

/// For each token of an image of `grid` rows and columns of patches, the rows of the table of
/// positions that make its position: none for registers.
pub fn positions(spec: &ImageInput, grid: (usize, usize)) -> Vec<RowMix> {
    let (special, side) = (spec.positioned_tokens(), spec.side());
    let mut mixes: Vec<RowMix> = (0..special as u32).map(|row| vec![(row, 1.0)]).collect();
    mixes.resize(spec.special_tokens(), RowMix::new());
    let taps = match spec.axes.position_resize {
        PositionResize::Cubic => taps,
        PositionResize::Antialiased => antialiased_taps,
    };
    let (down, across) = (taps(side, grid.0), taps(side, grid.1));
    for y in &down {
        for x in &across {
            let row = |a: usize, b: usize| (special + a * side + b) as u32;
            let pairs =
                y.iter().flat_map(|(a, v)| x.iter().map(move |(b, w)| (row(*a, *b), v * w)));
            mixes.push(pairs.collect());
        }
    }
    mixes
}

/// For each of `to` places the places among `from` that it takes, with their weights.
fn taps(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    if from == to {
        return (0..to).map(|i| vec![(i, 1.0)]).collect();
    }
    let scale = from as f32 / to as f32;
    let place = |i: usize| {
        let at = scale * (i as f32 + 0.5) - 0.5;
        let (whole, t) = (at.floor(), at - at.floor());
        let tap = |k: isize| {
            let source = (whole as isize + k).clamp(0, from as isize - 1) as usize;
            (source, cubic(t - k as f32, -0.75))
        };
        (-1..=2).map(tap).collect()
    };
    (0..to).map(place).collect()
}

/// As [`taps`], with weights that shrinking stretches and edges cut off.
fn antialiased_taps(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f32 / to as f32;
    let stretch = scale.max(1.0);
    let reach = 2.0 * stretch;
    let place = |i: usize| {
        let middle = scale * (i as f32 + 0.5);
        let first = (middle - reach + 0.5).max(0.0) as usize;
        let last = ((middle + reach + 0.5) as usize).min(from);
        let weight = |row: usize| cubic((row as f32 - middle + 0.5) / stretch, -0.5);
        let sum: f32 = (first..last).map(weight).sum();
        (first..last).map(|row| (row, weight(row) / sum)).collect()
    };
    (0..to).map(place).collect()
}

/// The cubic convolution kernel (Keys 1981).
fn cubic(x: f32, a: f32) -> f32 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
