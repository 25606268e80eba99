//! What a masked language model says of a place, in few numbers: of outputs for a whole vocabulary
//! the likeliest are kept, as soon as they are computed. Ten thousand texts would else need
//! gigabytes.

/// Words that are kept for each place that is to be filled.
pub const KEPT: usize = 64;

/// What is said of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    /// The negative logarithm of the right word's probability; 0 where that word is not known.
    pub loss: f32,
    /// The likeliest words with their probabilities, likeliest first.
    pub words: Vec<(u32, f32)>,
}

/// The places of one input from its outputs, `vocabulary` for each; the likeliest word alone where
/// the right ones are known. A place becomes its loss, then a word and its probability in turn.
/// Words below 2^24 are whole numbers of 32 bits.
pub(crate) fn packed(outputs: &[f32], vocabulary: usize, right: Option<&[u32]>) -> Vec<f32> {
    let kept = kept(vocabulary, right.is_some());
    let mut all = Vec::new();
    for (i, row) in outputs.chunks(vocabulary.max(1)).enumerate() {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = row.iter().map(|x| f64::from((x - largest).exp())).sum();
        let log = |x: f32| f64::from(x - largest) - total.ln();
        let right = right.and_then(|right| row.get(right[i] as usize));
        all.push(right.map_or(0.0, |x| -log(*x) as f32));
        let mut order: Vec<u32> = (0..row.len() as u32).collect();
        // Of equal ones the first.
        let before =
            |a: &u32, b: &u32| row[*b as usize].total_cmp(&row[*a as usize]).then_with(|| a.cmp(b));
        if kept < order.len() {
            order.select_nth_unstable_by(kept - 1, before);
            order.truncate(kept);
        }
        order.sort_unstable_by(before);
        for word in order {
            all.extend([word as f32, log(row[word as usize]).exp() as f32]);
        }
    }
    all
}

/// What [`packed`] made, of so many places.
pub(crate) fn unpacked(row: &[f32], places: usize) -> Vec<Filled> {
    let place = |place: &[f32]| {
        let words = place[1..].chunks(2).map(|pair| (pair[0] as u32, pair[1]));
        Filled { loss: place[0], words: words.collect() }
    };
    row.chunks((row.len() / places.max(1)).max(1)).map(place).collect()
}

fn kept(vocabulary: usize, known: bool) -> usize {
    if known { 1 } else { KEPT.min(vocabulary) }.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_are_kept_in_order_and_losses_are_those_of_softmax() {
        let n = 200usize;
        let outputs: Vec<f32> = (0..2 * n).map(|i| ((i * 7919) % 613) as f32 / 100.0).collect();
        for places in [0..1, 0..2] {
            let outputs = &outputs[..places.len() * n];
            let all = unpacked(&packed(outputs, n, None), places.len());
            assert_eq!(all.len(), places.len());
            for (row, filled) in outputs.chunks(n).zip(&all) {
                let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                assert_eq!((filled.words.len(), filled.loss), (KEPT, 0.0));
                for (&(word, p), expected) in filled.words.iter().zip(order) {
                    assert_eq!(word as usize, expected);
                    assert!((f64::from(p) - f64::from(row[expected]).exp() / total).abs() < 1e-7);
                }
            }
            let right: Vec<u32> = (0..places.len() as u32).map(|i| 5 + i).collect();
            let known = unpacked(&packed(outputs, n, Some(&right)), places.len());
            for ((row, filled), right) in outputs.chunks(n).zip(&known).zip(right) {
                let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                let loss = total.ln() - f64::from(row[right as usize]);
                assert!((f64::from(filled.loss) - loss).abs() < 1e-5);
                assert_eq!(filled.words.len(), 1);
            }
        }
        // What is not a number stays so, for others to find.
        assert!(packed(&[f32::NAN, 1.0], 2, Some(&[1])).iter().any(|x| x.is_nan()));
        assert!(packed(&[f32::INFINITY, 1.0], 2, None).iter().any(|x| x.is_nan()));
    }
}
