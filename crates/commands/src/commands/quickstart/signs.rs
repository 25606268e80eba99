//! Pictures of signs that nobody writes: what the small model of `quickstart --images` learned
//! from. They need no data set, and so no licence but this project's.
//!
//! A sign is two to four strokes through random points. Each picture of it is drawn by another
//! hand: its points are moved a little, the whole is turned, slanted, stretched and shifted, and
//! the pen has another width. Telling the signs apart takes what telling letters and digits apart
//! takes (after Lake et al. 2015, section "Omniglot data set", whose signs people drew).

use std::sync::Arc;

use anyhow::Result;
use budwood::run::RunData;
use budwood_base::random::Key;
use budwood_tasks::{Dataset, Example, Image, ImageContent, Input, Target};

/// Signs; each is a class.
pub(super) const SIGNS: usize = 200;
/// Height and width of a picture in pixels.
const SIDE: usize = 28;
/// Straight pieces of a drawn stroke.
const PIECES: usize = 10;

/// Across and down, each in 0..1 within the picture.
type Point = [f64; 2];

/// The end points of a curve and the point that pulls it (a quadratic Bezier curve).
type Stroke = [Point; 3];

/// `each` pictures of every sign, white on black.
///
/// # Errors
/// None; what opens a picture could fail on those of files.
pub(super) fn data(each: usize) -> Result<RunData> {
    let labels = (0..SIGNS).map(|sign| format!("sign {sign}")).collect();
    let all = (0..each).flat_map(|hand| (0..SIGNS).map(move |sign| (sign, hand)));
    let examples = all.map(|(sign, hand)| {
        let pixels = picture(sign, hand);
        let content = ImageContent::Grey { width: SIDE, height: SIDE, pixels };
        let input = Input::Image(Image::open(format!("sign {sign}, {hand}"), content)?);
        Ok(Example { input, target: Target::Class(sign as u32) })
    });
    let examples = examples.collect::<Result<Vec<_>>>()?;
    let train = Dataset::from_examples(examples, "train", "made-up signs");
    Ok(RunData::from_examples("classification", "made-up signs", labels, train)?)
}

/// The picture of a sign by a hand: `[SIDE, SIDE]` grey levels.
fn picture(sign: usize, hand: usize) -> Arc<[u8]> {
    let key = Key::new(0).named("signs").child(sign as u64);
    let lines = lines(&drawn(&strokes(key), key.named("hand").child(hand as u64)));
    let pen = 0.6 + 0.9 * key.named("pen").uniform(hand as u64);
    let level = |pixel: usize| {
        let at = [(pixel % SIDE) as f64 + 0.5, (pixel / SIDE) as f64 + 0.5];
        let near = lines.iter().map(|line| distance(at, line)).fold(f64::INFINITY, f64::min);
        (255.0 * (pen + 0.5 - near).clamp(0.0, 1.0)).round() as u8
    };
    (0..SIDE * SIDE).map(level).collect()
}

/// The strokes of a sign. Half of them begin where the one before ends.
fn strokes(key: Key) -> Vec<Stroke> {
    let count = 2 + key.below(0, 3);
    let mut last = None;
    let stroke = |i: usize| {
        let key = key.child(i as u64);
        let point = |p: u64| [0.1 + 0.8 * key.uniform(2 * p), 0.1 + 0.8 * key.uniform(2 * p + 1)];
        let from = last.filter(|_| key.uniform(9) < 0.5).unwrap_or(point(0));
        last = Some(point(2));
        [from, point(1), point(2)]
    };
    (0..count).map(stroke).collect()
}

/// The strokes as one hand draws them.
fn drawn(strokes: &[Stroke], key: Key) -> Vec<Stroke> {
    let between = |i: u64, low: f64, high: f64| low + (high - low) * key.uniform(i);
    let (turn, slant) = (between(0, -0.3, 0.3), between(1, -0.3, 0.3));
    let stretch = [between(2, 0.65, 1.0), between(3, 0.65, 1.0)];
    let shift = [between(4, -0.08, 0.08), between(5, -0.08, 0.08)];
    let shaking = key.named("points");
    let moved = |i: usize, point: Point| {
        let [x, y] = [0, 1].map(|axis| {
            let place = (2 * i + axis) as u64;
            stretch[axis] * (point[axis] - 0.5 + 0.035 * shaking.normal(place))
        });
        let x = x + slant * y;
        let turned = [turn.cos() * x - turn.sin() * y, turn.sin() * x + turn.cos() * y];
        [0.5 + turned[0] + shift[0], 0.5 + turned[1] + shift[1]]
    };
    let stroke = |(i, stroke): (usize, &Stroke)| {
        let [a, b, c] = *stroke;
        [moved(3 * i, a), moved(3 * i + 1, b), moved(3 * i + 2, c)]
    };
    strokes.iter().enumerate().map(stroke).collect()
}

/// The strokes as straight lines, in pixels.
fn lines(strokes: &[Stroke]) -> Vec<[Point; 2]> {
    let at = |[a, b, c]: &Stroke, t: f64| {
        let (u, v, w) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
        [0, 1].map(|axis| SIDE as f64 * (u * a[axis] + v * b[axis] + w * c[axis]))
    };
    let piece = |i: usize| i as f64 / PIECES as f64;
    let of = |stroke| (0..PIECES).map(move |i| [at(stroke, piece(i)), at(stroke, piece(i + 1))]);
    strokes.iter().flat_map(of).collect()
}

/// From a point to the nearest of a line's.
fn distance(at: Point, [from, to]: &[Point; 2]) -> f64 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let along = (at[0] - from[0]) * dx + (at[1] - from[1]) * dy;
    let t = (along / (dx * dx + dy * dy).max(1e-12)).clamp(0.0, 1.0);
    (at[0] - from[0] - t * dx).hypot(at[1] - from[1] - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of one sign are nearer to each other than to those of others.
    #[test]
    fn pictures_of_a_sign_are_alike() {
        let apart = |a: &[u8], b: &[u8]| -> f64 {
            a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
        };
        let mut same = 0.0;
        let mut other = 0.0;
        for sign in 0..50 {
            let first = picture(sign, 0);
            same += (1..5).map(|hand| apart(&first, &picture(sign, hand))).sum::<f64>();
            other += (1..5).map(|k| apart(&first, &picture(sign + k, k))).sum::<f64>();
        }
        assert!(same < 0.8 * other, "{same} {other}");
        let ink = |sign| picture(sign, 0).iter().filter(|level| **level > 127).count();
        assert!((0..SIGNS).all(|sign| (25..350).contains(&ink(sign))));
        assert_eq!(picture(3, 4), picture(3, 4));
    }
}
