//! Matthews' correlation coefficient, in Gorodkin's generalisation to several classes (Gorodkin
//! 2004).

use super::classes::Classes;
use super::definition::{Measure, Metric, Scale};
use super::ratio::ratio;

pub(super) const METRIC: Metric = Metric {
    name: "matthews",
    title: "Matthews correlation",
    kinds: &["classification"],
    first_of: &["cola"],
    scale: Scale::Share,
    undefined: "all answers are one class, or all rows are",
    measure: Measure::Classes(matthews),
};

/// With `t_k` rows of class `k`, `p_k` answers of it, `c` right answers and `s` rows:
/// `(c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2)(s^2 - sum t_k^2))`.
fn matthews(of: &Classes) -> Option<f64> {
    let classes = || 0..of.count();
    let there: Vec<f64> = classes().map(|class| of.there(class) as f64).collect();
    let given: Vec<f64> = classes().map(|class| of.given(class) as f64).collect();
    let right: f64 = classes().map(|class| of.right(class) as f64).sum();
    let total: f64 = there.iter().sum();
    let cross: f64 = there.iter().zip(&given).map(|(t, p)| t * p).sum();
    let square = |x: &[f64]| total * total - x.iter().map(|x| x * x).sum::<f64>();
    Some(ratio(right * total - cross, (square(&there) * square(&given)).sqrt()))
}
