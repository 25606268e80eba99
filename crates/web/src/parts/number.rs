//! Numbers and names as people read them.

use budwood_board::query::Score;
use maud::{Markup, html};

/// `12,345`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 paper`, `12,345 papers`.
pub(crate) fn of(n: u64, one: &str) -> String {
    let many = if n == 1 { "" } else { "s" };
    format!("{} {one}{many}", count(n))
}

/// A model's name, or a stand-in for none.
pub(crate) fn model(name: &str) -> &str {
    if name.trim().is_empty() { "(no name)" } else { name }
}

/// A name for a narrow place: without the options of a method, which its title and page show.
pub(crate) fn short(name: &str) -> String {
    match name.find('[') {
        Some(at) if name.len() > 48 && name.ends_with(']') => format!("{}[…]", &name[..at]),
        _ => model(name).to_owned(),
    }
}

/// `2.4 M` for a number of parameters.
pub(crate) fn parameters(n: u64) -> String {
    match n {
        0..10_000 => count(n),
        10_000..1_000_000 => format!("{:.0} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} G", n as f64 / 1e9),
    }
}

/// `1.2 MB`.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// A measured value with up to four digits after the point, without idle zeros.
pub(crate) fn value(x: f64) -> String {
    let digits = if x.abs() >= 10.0 { 2 } else { 4 };
    let text = format!("{x:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

/// `2.1 %`.
pub(crate) fn percent(share: f64) -> String {
    let digits = if share < 0.01 { 2 } else { 1 };
    format!("{:.digits$} %", share * 100.0)
}

/// A score in a table: what the board measured stands first.
pub(crate) fn score(score: Option<&Score>) -> Markup {
    html! {
        @match score {
            None => span.none { "–" },
            Some(s) => {
                @match s.measured {
                    Some(measured) => {
                        (value(measured))
                        @if s.value.is_some_and(|claim| value(claim) != value(measured)) {
                            small { "claim " (s.raw) }
                        }
                    }
                    None => (s.raw),
                }
                @if let Some((low, high)) = s.interval {
                    small title="95 % interval" { (value(low)) "–" (value(high)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9_999, 894_528, 2_379_264].map(parameters), ["9,999", "895 k", "2.4 M"]);
        assert_eq!(
            [91.2844, 0.9128, 100.0, -0.00001, 3.0].map(value),
            ["91.28", "0.9128", "100", "0", "3"]
        );
        let long = "minilm + lora[alpha=8,dora=false,dropout=0.0,leave_out=[],r=8]";
        assert_eq!(
            [short(long), short("a[r=8]"), short(" ")],
            ["minilm + lora[…]", "a[r=8]", "(no name)"]
        );
        assert_eq!(of(1, "paper") + &of(2, "row"), "1 paper2 rows");
    }
}
