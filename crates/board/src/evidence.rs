//! What predictions say beyond a score: classes, calibration.

use std::collections::BTreeMap;

use budwood_base::record::Prediction;
use serde::Serialize;

/// Scores of a class; shares without a denominator are 0, as in scikit-learn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// The class.
    pub class: String,
    /// Share of the predictions of it that are right.
    pub precision: f64,
    /// Share of its examples that were found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Its examples.
    pub rows: u64,
}

/// How confidence meets accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error: the mean distance of confidence and accuracy over ten bins of
    /// equal width, by their numbers of examples (Guo et al. 2017).
    pub ece: f64,
    /// The bins with examples.
    pub bins: Vec<Bin>,
}

/// Examples of about the same confidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Lower end of confidence.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// Examples.
    pub rows: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of right answers.
    pub accuracy: f64,
}

/// More different answers than this are no classes.
const CLASSES: usize = 1000;

/// Scores of each class, by name; none if the answers are numbers or texts.
pub fn classes(predictions: &[Prediction]) -> Vec<ClassScores> {
    let of_classes = predictions.iter().any(|p| p.confidence.is_some());
    // Of each class: right, predicted, there.
    let mut counts: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for p in predictions {
        counts.entry(&p.expected).or_default()[2] += 1;
        counts.entry(&p.predicted).or_default()[1] += 1;
        if p.expected == p.predicted {
            counts.entry(&p.expected).or_default()[0] += 1;
        }
    }
    if !of_classes || counts.len() > CLASSES {
        return Vec::new();
    }
    let share = |n: u64, of: u64| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    let scores = |(class, [right, predicted, there]): (&str, [u64; 3])| ClassScores {
        class: class.into(),
        precision: share(right, predicted),
        recall: share(right, there),
        f1: share(2 * right, predicted + there),
        rows: there,
    };
    counts.into_iter().map(scores).collect()
}

/// Calibration over ten bins; none without confidences.
pub fn calibration(predictions: &[Prediction]) -> Option<Calibration> {
    const BINS: usize = 10;
    let mut sums = [(0u64, 0.0f64, 0u64); BINS];
    for p in predictions {
        let confidence = f64::from(p.confidence?);
        // A bin holds its upper end, as in the paper.
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += u64::from(p.expected == p.predicted);
    }
    let total = predictions.len() as f64;
    let bins: Vec<Bin> = sums
        .iter()
        .enumerate()
        .filter(|(_, s)| s.0 > 0)
        .map(|(i, &(rows, confidence, right))| Bin {
            from: i as f64 / BINS as f64,
            to: (i + 1) as f64 / BINS as f64,
            rows,
            confidence: confidence / rows as f64,
            accuracy: right as f64 / rows as f64,
        })
        .collect();
    let distance = |b: &Bin| b.rows as f64 * (b.confidence - b.accuracy).abs();
    (!bins.is_empty())
        .then(|| Calibration { ece: bins.iter().map(distance).sum::<f64>() / total, bins })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(expected: &str, predicted: &str, confidence: f32) -> Prediction {
        let (expected, predicted) = (expected.into(), predicted.into());
        Prediction { row: 0, expected, predicted, confidence: Some(confidence) }
    }

    #[test]
    fn classes_are_as_in_scikit_learn() {
        // classification_report(["a","a","b","c"], ["a","b","b","b"], zero_division=0)
        let all =
            [("a", "a"), ("a", "b"), ("b", "b"), ("c", "b")].map(|(e, p)| prediction(e, p, 0.5));
        let found = classes(&all);
        let want =
            [("a", 1.0, 0.5, 2.0 / 3.0, 2), ("b", 1.0 / 3.0, 1.0, 0.5, 1), ("c", 0.0, 0.0, 0.0, 1)];
        for (f, (class, precision, recall, f1, rows)) in found.iter().zip(want) {
            assert_eq!((f.class.as_str(), f.rows), (class, rows));
            for (x, y) in [(f.precision, precision), (f.recall, recall), (f.f1, f1)] {
                assert!((x - y).abs() < 1e-12, "{class}");
            }
        }
    }

    #[test]
    fn calibration_by_hand() {
        let all = [("a", "a", 0.95), ("a", "a", 0.95), ("a", "b", 0.95), ("b", "b", 0.6)]
            .map(|(e, p, c)| prediction(e, p, c));
        let found = calibration(&all).unwrap();
        // (3 * |0.95 - 2/3| + 1 * |0.6 - 1|) / 4
        assert!((found.ece - (3.0 * (0.95 - 2.0 / 3.0) + 0.4) / 4.0).abs() < 1e-7);
        assert_eq!(found.bins.iter().map(|b| b.rows).collect::<Vec<_>>(), [1, 3]);
        assert!(calibration(&[]).is_none());
    }
}
