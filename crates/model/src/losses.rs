//! Losses over a head's outputs.

use std::borrow::Cow;
use std::ops::Range;

use budwood_engine::loss;

/// What the outputs of some sequences should have been.
#[derive(Clone, Debug)]
pub enum Targets {
    /// A class for each sequence.
    Classes(Vec<u32>),
    /// A number for each sequence.
    Values(Vec<f32>),
    /// For each sequence and label, 1 where the label holds.
    Labels(Vec<Vec<f32>>),
    /// For each token of each sequence its tag; none where it does not count.
    Tags(Vec<Vec<Option<u32>>>),
    /// For each sequence the first and the last token of the answer.
    Spans(Vec<(u32, u32)>),
    /// For each sequence the tokens that belong at the places which its batch asks for.
    Words(Vec<Vec<u32>>),
}

impl Targets {
    /// Losses that a sequence's loss is the sum of: its tokens with tags, its masked places; 1
    /// where a sequence has one loss.
    pub fn losses(&self, sequence: usize) -> usize {
        match self {
            Self::Tags(tags) => tags[sequence].iter().flatten().count(),
            Self::Words(words) => words[sequence].len(),
            _ => 1,
        }
    }
}

/// How the loss of a batch is made from its examples.
#[derive(Clone, Debug)]
pub struct Loss {
    /// A weight for each example, already divided by their sum over the step (an example counts as
    /// often as it has losses), so that a step's loss is a mean however it is cut into chunks.
    pub weights: Vec<f32>,
    /// Share of a class's probability that goes to all classes alike (Szegedy et al. 2016); of a
    /// label, to yes and no alike. Numbers and places have none.
    pub smoothing: f32,
}

/// The loss of outputs `[rows, columns]` and its gradient. Sequence `i`, whose outputs are
/// `rows[i]`, is example `first + i`.
///
/// # Panics
/// If the targets are not of the head's kind.
pub(crate) fn loss_of(
    outputs: &[f32],
    columns: usize,
    rows: &[Range<usize>],
    targets: &Targets,
    loss: &Loss,
    first: usize,
) -> (f64, Vec<f32>) {
    let mut d = vec![0.0; outputs.len()];
    let mut total = 0.0;
    for (i, rows) in rows.iter().enumerate() {
        let example = first + i;
        let weight = loss.weights[example];
        let at = rows.start * columns..rows.end * columns;
        let (y, d) = (&outputs[at.clone()], &mut d[at]);
        let value = match targets {
            Targets::Classes(classes) => {
                cross_entropy(y, classes[example] as usize, (weight, loss.smoothing), d)
            }
            Targets::Values(values) => {
                loss::squared_error(y[0], values[example], weight, &mut d[0])
            }
            Targets::Labels(labels) => {
                let smooth = |t: &f32| t + loss.smoothing * (0.5 - t);
                let labels = &labels[example][..];
                let labels: Cow<'_, [f32]> = match loss.smoothing == 0.0 {
                    true => labels.into(),
                    false => labels.iter().map(smooth).collect(),
                };
                loss::binary_cross_entropy(y, &labels, weight, d)
            }
            Targets::Tags(tags) => {
                assert_eq!(tags[example].len(), rows.len(), "a tag or none for each token");
                let tokens = y.chunks(columns).zip(d.chunks_mut(columns)).zip(&tags[example]);
                let tagged = tokens.filter_map(|((y, d), tag)| Some((y, d, (*tag)?)));
                let given = (weight, loss.smoothing);
                tagged.map(|(y, d, tag)| cross_entropy(y, tag as usize, given, d)).sum()
            }
            Targets::Words(words) => {
                assert_eq!(words[example].len(), rows.len(), "a token for each place");
                let places = y.chunks(columns).zip(d.chunks_mut(columns)).zip(&words[example]);
                let given = (weight, loss.smoothing);
                places.map(|((y, d), word)| cross_entropy(y, *word as usize, given, d)).sum()
            }
            Targets::Spans(spans) => {
                let (start, end) = spans[example];
                let ends = [start as usize, end as usize];
                let losses = ends
                    .into_iter()
                    .enumerate()
                    .map(|(column, place)| place_loss(y, columns, column, place, weight / 2.0, d));
                losses.sum::<f32>() / 2.0
            }
        };
        total += f64::from(value) * f64::from(weight);
    }
    (total, d)
}

/// Cross-entropy with a weight and a smoothing `s`. As `-ln p[k]` is `-ln p[class]` and the
/// distance of their logits, the smoothed loss is that of the class and `s` times its logit less
/// the mean.
fn cross_entropy(y: &[f32], class: usize, (weight, s): (f32, f32), d: &mut [f32]) -> f32 {
    let value = loss::cross_entropy(y, class, weight, d);
    if s == 0.0 {
        return value;
    }
    let n = y.len() as f32;
    d[class] += weight * s;
    d.iter_mut().for_each(|d| *d -= weight * s / n);
    value + s * (y[class] - y.iter().sum::<f32>() / n)
}

/// Cross-entropy of softmax over the tokens in one column of `[tokens, columns]`.
fn place_loss(
    y: &[f32],
    columns: usize,
    column: usize,
    place: usize,
    weight: f32,
    d: &mut [f32],
) -> f32 {
    let logits: Vec<f32> = y.iter().skip(column).step_by(columns).copied().collect();
    let mut d_logits = vec![0.0; logits.len()];
    let loss = loss::cross_entropy(&logits, place, weight, &mut d_logits);
    for (d, x) in d.iter_mut().skip(column).step_by(columns).zip(d_logits) {
        *d = x;
    }
    loss
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one example has one range of rows")]
mod tests {
    use super::*;

    /// Expected values: the sums of the definition, in a plain loop over all classes.
    #[test]
    fn smoothed_targets_are_a_share_for_all_classes() {
        let (y, s) = ([0.3f32, -1.2, 2.0, 0.7], 0.2f32);
        let p = |k: usize| y[k].exp() / y.iter().map(|x| x.exp()).sum::<f32>();
        let q = |k: usize| s / 4.0 + if k == 1 { 1.0 - s } else { 0.0 };
        let loss = Loss { weights: vec![0.5], smoothing: s };
        let (value, d) = loss_of(&y, 4, &[0..1], &Targets::Classes(vec![1]), &loss, 0);
        let expected = 0.5 * (0..4).map(|k| -q(k) * p(k).ln()).sum::<f32>();
        assert!((value - f64::from(expected)).abs() < 1e-6, "{value} {expected}");
        let tag = Targets::Tags(vec![vec![Some(1)]]);
        assert_eq!(loss_of(&y, 4, &[0..1], &tag, &loss, 0), (value, d.clone()));
        for (k, d) in d.iter().enumerate() {
            assert!((d - 0.5 * (p(k) - q(k))).abs() < 1e-6, "{k}");
        }
    }

    #[test]
    fn smoothed_labels_are_a_share_for_yes_and_no() {
        let (y, t, s) = ([0.3f32, -1.2], [1.0f32, 0.0], 0.2f32);
        let loss = Loss { weights: vec![0.5], smoothing: s };
        let (value, d) = loss_of(&y, 2, &[0..1], &Targets::Labels(vec![t.to_vec()]), &loss, 0);
        let mut expected = 0.0;
        for k in 0..2 {
            let (p, q) = (1.0 / (1.0 + (-y[k]).exp()), [0.9, 0.1][k]);
            expected -= 0.5 / 2.0 * (q * p.ln() + (1.0 - q) * (1.0 - p).ln());
            assert!((d[k] - 0.5 * (p - q) / 2.0).abs() < 1e-6, "{k}");
        }
        assert!((value - f64::from(expected)).abs() < 1e-6, "{value} {expected}");
    }
}
