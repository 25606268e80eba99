//! What was measured beside what is claimed.

use budwood_base::digest;
use budwood_base::record::Prediction;
use budwood_database::{Connection, params};

use super::evaluator::Evaluation;
use super::outcome::Measured;
use crate::text::key;
use crate::{Error, query};

/// The metrics of a leaderboard that the evaluation gives, each beside the claim.
pub(super) fn compare(
    sql: &Connection,
    result: i64,
    leaderboard: i64,
    evaluation: &Evaluation,
) -> Result<Vec<(i64, Measured)>, Error> {
    let rows = evaluation.predictions.len();
    let mut found = Vec::new();
    for score in &evaluation.scores {
        let row = sql.first(
            "SELECT m.id, m.tolerance, s.raw, s.value, s.measured FROM metrics m
                 LEFT JOIN scores s ON s.metric = m.id AND s.result = ?2
                 WHERE m.leaderboard = ?1 AND m.name_key = ?3",
            params![leaderboard, result, key(&score.name)],
            |r| {
                let texts: (Option<f64>, Option<String>) = (r.get(1)?, r.get(2)?);
                Ok((r.get::<i64>(0)?, texts, r.get::<Option<f64>>(3)?, r.get(4)?))
            },
        )?;
        let Some((metric, (tolerance, raw), claimed, before)) = row else { continue };
        let tolerance = tolerance
            .unwrap_or_else(|| default_tolerance(raw.as_deref().unwrap_or_default(), rows));
        let measured = Measured {
            name: score.name.clone(),
            claimed,
            measured: score.value,
            before,
            interval: score.interval,
            tolerance,
            confirmed: claimed.map(|c| (c - score.value).abs() <= tolerance + 1e-9),
        };
        found.push((metric, measured));
    }
    Ok(found)
}

/// Half a unit of the claim's last digit, for rounding, and one example in a thousand, at least
/// one, for the last bits of another machine; in points of 100.
fn default_tolerance(raw: &str, rows: usize) -> f64 {
    let digits = query::as_written(raw);
    let decimals =
        digits.split_once('.').map_or(0, |(_, d)| d.bytes().take_while(u8::is_ascii_digit).count());
    let rounding = 0.5 * 10f64.powi(-i32::try_from(decimals.min(12)).unwrap_or(12));
    rounding + 100.0 * (1.0 / rows.max(1) as f64).max(0.001)
}

/// Examples with another prediction; none if these are not the same examples.
pub(super) fn differing(a: &[Prediction], b: &[Prediction]) -> Option<u64> {
    let same = !a.is_empty() && a.len() == b.len();
    same.then(|| a.iter().zip(b).filter(|(x, y)| x.predicted != y.predicted).count() as u64)
}

pub(super) fn digest_of(predictions: &[Prediction]) -> String {
    digest::of_parts(predictions.iter().map(|p| ("predicted", p.predicted.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_follows_digits_and_examples() {
        assert!((default_tolerance("91.28", 100_000) - 0.105).abs() < 1e-12);
        assert!((default_tolerance("\"91.3\"", 200) - 0.55).abs() < 1e-12);
        assert!((default_tolerance("91", 1000) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn predictions_differ_one_by_one_and_only_of_the_same_examples() {
        let all = |labels: &[&str]| -> Vec<Prediction> {
            let prediction = |(row, label): (usize, &&str)| Prediction {
                row: row as _,
                expected: "a".into(),
                predicted: (*label).into(),
                confidence: None,
            };
            labels.iter().enumerate().map(prediction).collect()
        };
        let claimed = all(&["a", "b", "a"]);
        assert_eq!(differing(&claimed, &all(&["a", "a", "b"])), Some(2));
        assert_eq!(differing(&claimed, &claimed), Some(0));
        assert_eq!(differing(&claimed, &all(&["a", "b"])), None);
        assert_eq!(differing(&[], &[]), None);
        assert_ne!(digest_of(&claimed), digest_of(&all(&["a", "a", "b"])));
        assert_eq!(digest_of(&claimed), digest_of(&all(&["a", "b", "a"])));
    }
}
