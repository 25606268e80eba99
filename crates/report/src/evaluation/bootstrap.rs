//! Scores with intervals.

use budwood_base::random::Key;

use super::evaluated::{Evaluated, Part, Scores, columns, number, percent};
use crate::Table;

/// Draws of the bootstrap.
const DRAWS: u64 = 1000;

/// A score and where it lies in 95 of 100 draws of as many rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Name of the score.
    pub name: String,
    /// On all rows.
    pub value: f64,
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % are above.
    pub high: f64,
}

/// Scores with their intervals: rows are drawn with replacement, always the same ones for a number
/// of rows. Draws in which a score is undefined are left out of its interval. Where all draws are
/// alike, as where every answer is right, they do not say how far the score may be off: the
/// interval is undefined.
pub(super) fn intervals(rows: usize, scores: Scores<'_>) -> Vec<Interval> {
    let all: Vec<usize> = (0..rows).collect();
    let whole = scores(&all);
    let key = Key::new(rows as u64).named("bootstrap");
    let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); whole.len()];
    for draw in 0..DRAWS {
        let key = key.child(draw);
        let chosen: Vec<usize> = (0..rows as u64).map(|i| key.below(i, rows)).collect();
        for (values, (_, value)) in drawn.iter_mut().zip(scores(&chosen)) {
            values.extend(value.is_finite().then_some(value));
        }
    }
    let interval = |((name, value), mut values): ((String, f64), Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let says = values.first() != values.last();
        let at = |share: f64| {
            let place = (values.len() as f64 - 1.0) * share;
            values
                .get(place.round().max(0.0) as usize)
                .copied()
                .filter(|_| says)
                .unwrap_or(f64::NAN)
        };
        Interval { name, value, low: at(0.025), high: at(0.975) }
    };
    whole.into_iter().zip(drawn).map(interval).collect()
}

pub(super) fn part(evaluated: &Evaluated<'_>) -> Part {
    let of = |i: Interval| vec![i.name, number(i.value), number(i.low), number(i.high)];
    let mut rows: Vec<Vec<String>> =
        intervals(evaluated.rows, evaluated.scores).into_iter().map(of).collect();
    for (name, score, value) in &evaluated.beside {
        rows.push(vec![format!("{score} of {name}"), number(*value), String::new(), String::new()]);
    }
    let table = Table {
        columns: columns(&["score", "value", "95 % from", "to"]),
        rows,
        caption: Vec::new(),
    };
    let note = format!(
        "On {} rows. The interval is that of {DRAWS} draws of as many rows (bootstrap): it says how \
         far the score may be off because the rows are few, not because they differ from yours. It is \
         undefined where all draws are alike: if no row is answered wrongly, {} of new ones may still \
         be (rule of three).",
        evaluated.rows,
        percent(1f64.min(3.0 / evaluated.rows as f64))
    );
    Part { name: "scores", title: "Scores".into(), note, table, figure: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of a share by the normal approximation, which holds for this many rows.
    #[test]
    fn the_interval_of_a_share_is_the_known_one() {
        let right = |i: usize| i % 10 < 7;
        let score = |rows: &[usize]| {
            let hits = rows.iter().filter(|i| right(**i)).count();
            vec![("accuracy".to_string(), hits as f64 / rows.len() as f64)]
        };
        let found = &intervals(400, &score)[0];
        let half = 1.96 * (0.7f64 * 0.3 / 400.0).sqrt();
        assert_eq!(found.value, 0.7);
        assert!((found.low - (0.7 - half)).abs() < 0.008, "{found:?}");
        assert!((found.high - (0.7 + half)).abs() < 0.008, "{found:?}");
        assert_eq!(*found, intervals(400, &score)[0], "the same each time");
    }

    /// Ten right answers of ten do not show an accuracy of 100 %.
    #[test]
    fn draws_that_are_all_alike_give_no_interval() {
        let score = |rows: &[usize]| vec![("accuracy".to_string(), rows.len() as f64 / 10.0)];
        let found = &intervals(10, &score)[0];
        assert_eq!(found.value, 1.0);
        assert!(found.low.is_nan() && found.high.is_nan(), "{found:?}");
    }

    #[test]
    fn undefined_scores_stay_undefined() {
        let score = |_: &[usize]| vec![("r".to_string(), f64::NAN)];
        let found = &intervals(3, &score)[0];
        assert!(found.value.is_nan() && found.low.is_nan() && found.high.is_nan());
    }
}
