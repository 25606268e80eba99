//! Text for people: numbers, sizes, tables.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Result;

/// A line on standard output; a closed pipe is an error, not a panic.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout().lock(), "{}", $crate::output::plain(&format!($($arg)*)))
    }};
}
pub(crate) use say;

/// A text as a terminal may show it: control characters, which names in files may hold, stand in their escaped form.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

/// A JSON value on standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(n: u64) -> String {
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

/// Bytes in the unit that reads best.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// Seconds as `12.3 s` or `4 min 05 s`.
pub(crate) fn seconds(s: f64) -> String {
    if s < 60.0 {
        format!("{s:.1} s")
    } else {
        format!("{} min {:02} s", s as u64 / 60, s as u64 % 60)
    }
}

/// Rows with aligned columns; the first is the heading. Columns of numbers stand to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let number = |s: &String| s.trim_end_matches('%').replace(',', "").parse::<f64>().is_ok();
    let right: Vec<bool> =
        (0..columns).map(|c| rows.iter().skip(1).filter_map(|r| r.get(c)).all(number)).collect();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            let cell = if right[c] { format!("{pad}{cell}") } else { format!("{cell}{pad}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        say!("{}", line.trim_end())?;
    }
    Ok(())
}

/// The largest resident memory of this process so far, in bytes; 0 where the system does not say.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}c\nd\te"), "a\\u{1b}[31mb\\u{9b}c\nd\te");
        assert_eq!(plain("é, 中"), "é, 中");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(bytes(2_500_000), "2.5 MB");
        assert_eq!(seconds(125.4), "2 min 05 s");
    }
}
