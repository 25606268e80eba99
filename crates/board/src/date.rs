//! Dates of results: given, or read from an arXiv number.

use budwood_base::calendar;
use serde::{Deserialize, Serialize};

/// How a date is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateSource {
    /// The source gives it.
    Given,
    /// Year and month of the paper's arXiv number.
    ArxivId,
    /// End of the run.
    Run,
}

impl DateSource {
    /// Its name, as in addresses and exports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::ArxivId => "arxiv-id",
            Self::Run => "run",
        }
    }
}

/// The arXiv number in an address or text, without its version: `1902.00751`.
pub fn arxiv_id(text: &str) -> Option<&str> {
    let start = text.to_ascii_lowercase().find("arxiv")?;
    let rest = &text[start..];
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    for (i, _) in rest.match_indices('.') {
        let Some(month) = i.checked_sub(4).and_then(|from| rest.get(from..i)) else { continue };
        let after = &rest[i + 1..];
        let n = after.bytes().take_while(u8::is_ascii_digit).count();
        let before = i.checked_sub(5).and_then(|at| rest.as_bytes().get(at));
        let good_month = digits(month) && (1..=12).contains(&month[2..].parse().unwrap_or(0));
        if good_month && (4..=5).contains(&n) && !before.is_some_and(u8::is_ascii_digit) {
            return Some(&rest[i - 4..i + 1 + n]);
        }
    }
    None
}

/// `2019-02` of `1902.00751`.
pub fn month_of_arxiv(id: &str) -> Option<String> {
    let year: u32 = id.get(..2)?.parse().ok()?;
    let month: u32 = id.get(2..4)?.parse().ok()?;
    (1..=12).contains(&month).then(|| format!("20{year:02}-{month:02}"))
}

/// A date as `YYYY-MM-DD`, `YYYY-MM` or `YYYY`; none if it is not one.
pub fn valid(text: &str) -> Option<&str> {
    day(text).map(|_| text)
}

/// Days since 1970-01-01 of a date as [`valid`] takes it; months and years by their middle.
pub fn day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let number = |part: Option<&str>, width: usize| match part {
        None => Some(None),
        Some(p) if p.len() == width && p.bytes().all(|b| b.is_ascii_digit()) => {
            p.parse::<i64>().ok().map(Some)
        }
        Some(_) => None,
    };
    let year = number(parts.next(), 4)??;
    let month = number(parts.next(), 2)?;
    let day = number(parts.next(), 2)?;
    let (month, day) = match (month, day) {
        (None, _) => (7, 1),
        (Some(m), None) => (m, 15),
        (Some(m), Some(d)) => (m, d),
    };
    let good = parts.next().is_none() && (1..=12).contains(&month);
    (good && (1..=days_of_month(year, month)).contains(&day))
        .then(|| calendar::days(year, month, day))
}

/// Days of a month in the Gregorian calendar.
fn days_of_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    calendar::days(next_year, next, 1) - calendar::days(year, month, 1)
}

/// `YYYY-MM-DD` of seconds since 1970 UTC.
pub fn of_seconds(seconds: i64) -> String {
    calendar::date(seconds.div_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arxiv_numbers_give_months() {
        assert_eq!(arxiv_id("https://arxiv.org/abs/1902.00751v2"), Some("1902.00751"));
        assert_eq!(arxiv_id("http://arxiv.org/pdf/0704.0001.pdf"), Some("0704.0001"));
        assert_eq!(arxiv_id("https://arxiv.org/abs/cs/0112017"), None);
        assert_eq!(arxiv_id("https://example.org/1902.00751"), None);
        assert_eq!(arxiv_id("https://arxiv.org/abs/1913.00751"), None);
        assert_eq!(month_of_arxiv("1902.00751").as_deref(), Some("2019-02"));
        assert_eq!(arxiv_id("arXivé.1902.00751"), Some("1902.00751"));
    }

    #[test]
    fn days_count_from_1970() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("2000-03-01"), Some(11_017));
        assert_eq!(day("2019-06-13"), Some(18_060));
        assert_eq!(day("2019-02"), day("2019-02-15"));
        for bad in ["", "2019-13-01", "19-02-01", "2019-2-1", "2019-02-01-01", "soon", "2019-02-32"]
        {
            assert_eq!(day(bad), None, "{bad}");
        }
        for bad in
            ["2024-02-30", "2023-02-29", "1900-02-29", "2024-04-31", "2024-12-32", "2024-01-00"]
        {
            assert_eq!(day(bad), None, "{bad}");
        }
        for good in
            ["2024-02-29", "2000-02-29", "2024-12-31", "2024-04-30", "0000-01-01", "9999-12-31"]
        {
            assert!(day(good).is_some(), "{good}");
        }
        assert_eq!(of_seconds(18_060 * 86_400 + 5), "2019-06-13");
        assert_eq!(of_seconds(951_782_400), "2000-02-29");
    }
}
