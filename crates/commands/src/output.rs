//! Text for people: numbers, sizes, tables.

use std::borrow::Cow;
use std::io::{self, Write};

use anyhow::Result;
pub(crate) use budwood::number::thousands;
use budwood_board::text::is_hidden;

/// A line on standard output. What others wrote cannot steer the terminal.
macro_rules! say {
    ($($arg:tt)*) => { $crate::output::said(&format!($($arg)*)) };
}
pub(crate) use say;

/// A line on standard error, as safe as those of [`say`].
macro_rules! note {
    ($($arg:tt)*) => { $crate::output::noted(&format!($($arg)*)) };
}
pub(crate) use note;

/// What [`say`] does.
pub(crate) fn said(line: &str) -> io::Result<()> {
    writeln!(stdout(), "{}", lines(line))
}

/// What [`note`] does. No work ends because its log is full or closed.
pub(crate) fn noted(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", lines(line));
}

/// Standard output. A reader that closed its end, such as `head`, has what it wanted: what it does
/// not take is dropped, and the work goes on to its end.
pub(crate) struct Stdout(io::StdoutLock<'static>);

/// Opens [`Stdout`].
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout().lock())
}

impl Stdout {
    fn taken<T>(result: io::Result<T>, all: T) -> io::Result<T> {
        result.or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(all),
            io::ErrorKind::Interrupted => Err(error),
            kind => Err(io::Error::new(kind, format!("standard output: {error}"))),
        })
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::taken(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::taken(self.0.flush(), ())
    }
}

/// A JSON value on standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    // JSON escapes what stands below U+0020 itself. The rest can only stand inside its texts, where
    // it may be escaped.
    let text = visible(&text, |c| c == '\n', |c| format!("\\u{:04x}", c as u32));
    writeln!(stdout(), "{text}")?;
    Ok(())
}

/// A text of others without characters that steer a terminal or hide from a reader: these are
/// written as `\u{1b}`. Ends of lines and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |c| matches!(c, '\n' | '\t'), |c| c.escape_unicode().to_string())
}

/// The same for what must stay on its line.
fn line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false, |c| c.escape_unicode().to_string())
}

fn visible(
    text: &str,
    stays: impl Fn(char) -> bool,
    written: impl Fn(char) -> String,
) -> Cow<'_, str> {
    let hidden = |c: &char| is_hidden(*c) && !stays(*c);
    if !text.chars().any(|c| hidden(&c)) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 16), |mut out, c| {
            if hidden(&c) {
                out += &written(c)
            } else {
                out.push(c)
            }
            out
        })
        .into()
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
    let clean = |row: &Vec<String>| row.iter().map(|cell| line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(clean).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let number = |s: &String| s.trim_end_matches('%').replace(',', "").parse::<f64>().is_ok();
    let right: Vec<bool> =
        (0..columns).map(|c| rows.iter().skip(1).filter_map(|r| r.get(c)).all(number)).collect();
    for row in &rows {
        let mut text = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            let cell = if right[c] { format!("{pad}{cell}") } else { format!("{cell}{pad}") };
            text.push_str(&cell);
            text.push_str("  ");
        }
        say!("{}", text.trim_end())?;
    }
    Ok(())
}

/// An error with its causes; settings of the library are named as the flags that they are.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let one = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(budwood::Error::Setting { name, message }) => format!("--{name}: {message}"),
        _ => cause.to_string(),
    };
    let mut message = String::new();
    for cause in error.chain().map(one) {
        // Many errors name their cause themselves.
        if message.is_empty() || !message.ends_with(&cause) {
            message += if message.is_empty() { "" } else { ": " };
            message += &cause;
        }
    }
    budwood_hub::as_named(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_steers_a_terminal() {
        let name = "a\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\rb\n\tc é 图";
        let shown = lines(name);
        assert_eq!(shown, "a\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{7f}\\u{d}b\n\tc é 图");
        assert!(!line(name).contains('\n') && line(name).contains("\\u{a}"));
        assert!(matches!(lines("plain text, é"), Cow::Borrowed(_)));
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
