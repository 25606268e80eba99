//! Numbers in settings, each with its bounds, so that a wrong one is known before any work.

use std::fmt;
use std::time::Duration;

/// Which numbers have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Whole numbers from the first to the second.
    Count(usize, usize),
    /// Numbers from 0 to this.
    Amount(u32),
    /// Probabilities below 1.
    Probability,
}

impl Bound {
    /// Whether a number is among them.
    pub fn holds(self, x: f64) -> bool {
        match self {
            Self::Count(min, max) => (min as f64..=max as f64).contains(&x),
            Self::Amount(max) => (0.0..=f64::from(max)).contains(&x),
            Self::Probability => (0.0..1.0).contains(&x),
        }
    }
}

/// What a number outside is.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(min, max) => write!(f, "not a whole number from {min} to {max}"),
            Self::Amount(max) => write!(f, "not a number from 0 to {max}"),
            Self::Probability => write!(f, "not a probability from 0 to below 1"),
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A whole number from `MIN` to `MAX`.
///
/// # Errors
/// What the text is not.
pub fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (MIN..=MAX).contains(n));
    number.ok_or_else(|| Bound::Count(MIN, MAX).to_string())
}

/// A number from 0 to `MAX`.
///
/// # Errors
/// What the text is not.
pub fn amount<const MAX: u32>(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| Bound::Amount(MAX).holds(*n));
    number.ok_or_else(|| Bound::Amount(MAX).to_string())
}

/// A probability below 1.
///
/// # Errors
/// What the text is not.
pub fn probability(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n| (0.0..1.0).contains(n));
    number.ok_or_else(|| Bound::Probability.to_string())
}

/// Seconds, up to a hundred years.
///
/// # Errors
/// What the text is not.
pub fn seconds(text: &str) -> Result<Duration, String> {
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
