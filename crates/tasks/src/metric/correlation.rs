//! Correlations of the given with the right numbers.

use super::definition::{Measure, Metric, NO_VARIANCE, Scale};
use super::ratio::ratio;

/// Rank correlation.
pub(super) const SPEARMAN: Metric = Metric {
    name: "spearman",
    title: "Spearman correlation",
    kinds: &["regression"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_VARIANCE,
    measure: Measure::Numbers(spearman),
};

/// Linear correlation.
pub(super) const PEARSON: Metric = Metric {
    name: "pearson",
    title: "Pearson correlation",
    kinds: &["regression"],
    first_of: &[],
    scale: Scale::Share,
    undefined: NO_VARIANCE,
    measure: Measure::Numbers(pearson),
};

/// Pearson's correlation; not a number where a variance is 0, as SciPy.
///
/// # Panics
/// If the lengths differ.
pub(super) fn pearson(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        xy += (x - mx) * (y - my);
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
    }
    ratio(xy, (xx * yy).sqrt()).clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.
///
/// # Panics
/// If the lengths differ.
pub(super) fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut ranks = vec![0.0; x.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&i| x[i] == x[order[start]]).count().max(1);
        let rank = start as f64 + (equal as f64 - 1.0) / 2.0;
        order[start..start + equal].iter().for_each(|&i| ranks[i] = rank);
        start += equal;
    }
    ranks
}
