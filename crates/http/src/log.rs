//! The operator's log: lines on the standard error, so many a second at the most.

use std::fmt;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use budwood_base::calendar;

/// Lines a second; what is beyond is counted.
const LINES: u32 = 50;

struct Second {
    begin: Instant,
    lines: u32,
    left_out: u64,
}

static SECOND: Mutex<Option<Second>> = Mutex::new(None);

/// Writes a line, with the moment before it. Whoever calls sees to it that no secret and nothing of
/// a client's texts is in it. Clients cannot make the log grow at will: beyond some lines in a
/// second, the rest of that second is only counted.
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

/// `2026-11-25T04:30:00Z`
fn stamp(seconds: u64) -> String {
    let date = calendar::date((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
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
