//! Numbers in flags, each with its bounds, so that a wrong one is known before any work.

use std::time::Duration;

/// A whole number from `MIN` to `MAX`.
pub(crate) fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (MIN..=MAX).contains(n));
    number.ok_or_else(|| format!("not a whole number from {MIN} to {MAX}"))
}

/// A number from 0 to `MAX`.
pub(crate) fn amount<const MAX: u32>(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| (0.0..=f64::from(MAX)).contains(n));
    number.ok_or_else(|| format!("not a number from 0 to {MAX}"))
}

/// A probability below 1.
pub(crate) fn probability(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n| (0.0..1.0).contains(n));
    number.ok_or_else(|| "not a probability from 0 to below 1".into())
}

/// Seconds, up to a hundred years.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    amount::<3_155_760_000>(text).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(count::<1, 5>("5"), Ok(5));
        for bad in ["0", "6", "-1", "1e3", "", "99999999999999999999"] {
            assert!(count::<1, 5>(bad).is_err(), "{bad}");
        }
        assert_eq!(amount::<5>("0.5"), Ok(0.5));
        for bad in ["nan", "inf", "-0.1", "5.1", "-inf", "x"] {
            assert!(amount::<5>(bad).is_err(), "{bad}");
        }
        assert!(probability("1").is_err() && probability("nan").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("1e30").is_err() && seconds("nan").is_err());
    }
}
