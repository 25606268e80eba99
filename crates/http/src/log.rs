//! The operator's log: lines on the standard error, so many a second at the most.

use std::fmt;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines a second; what is beyond is counted.
const LINES: u32 = 50;

struct Second {
    begin: Instant,
    lines: u32,
    left_out: u64,
}

static SECOND: Mutex<Option<Second>> = Mutex::new(None);

/// Writes a line, with the moment before it. Whoever calls sees to it that no secret and nothing of
/// a client's texts is in it. Clients cannot make the log grow faster than [`LINES`] a second.
pub fn log(line: fmt::Arguments<'_>) {
    let now = Instant::now();
    let mut second = SECOND.lock().unwrap_or_else(PoisonError::into_inner);
    let current = second.get_or_insert(Second { begin: now, lines: 0, left_out: 0 });
    if now.duration_since(current.begin) >= Duration::from_secs(1) {
        let left_out = current.left_out;
        *current = Second { begin: now, lines: 0, left_out: 0 };
        if left_out > 0 {
            write(format_args!("{left_out} lines were left out"));
        }
    }
    match current.lines < LINES {
        true => {
            current.lines += 1;
            write(line);
        }
        false => current.left_out += 1,
    }
}

fn write(line: fmt::Arguments<'_>) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    // Where nobody reads the log, the server goes on.
    let _ = writeln!(std::io::stderr(), "{} {line}", stamp(seconds));
}

/// `2026-11-25T04:30:00Z` (Howard Hinnant's `civil_from_days`).
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_680_126, "2026-11-26T08:02:06Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(stamp(seconds), text);
        }
    }
}
