//! Values as people wrote them: the raw text is always kept, a number is read where there is one.

use serde_json::Value;

/// What was read in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The number.
    pub value: Option<f64>,
    /// What follows `±`: a standard deviation or error, as the source has it.
    pub spread: Option<f64>,
    /// Whether it was nothing but a number.
    pub plain: bool,
}

/// Reads a value of a row. `of_size` says that the metric counts something, such as parameters, so
/// that `m` stands for a million.
pub fn read(raw: &Value, of_size: bool) -> Reading {
    match raw {
        Value::Number(n) => Reading { value: finite(n.as_f64()), spread: None, plain: true },
        Value::String(text) => match plain(text) {
            Some(x) => Reading { value: Some(x), spread: None, plain: true },
            None => written(text, of_size),
        },
        _ => Reading::default(),
    }
}

fn finite(x: Option<f64>) -> Option<f64> {
    x.filter(|x| x.is_finite())
}

/// A decimal number and nothing else. `inf`, `nan` and the like, which Rust reads too, are none.
fn plain(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    finite(text.parse().ok()).filter(|_| digits)
}

/// A number with marks around it.
fn written(text: &str, of_size: bool) -> Reading {
    let text = text.replace('\u{2212}', "-").replace(['\u{feff}', '\u{a0}'], " ");
    // A remark in brackets after the number is not part of it.
    let text = match text.split_once('(') {
        Some((before, _)) if !before.trim().is_empty() => before,
        _ => &text,
    };
    let (number, spread) = match text.split_once('±').or_else(|| text.split_once("+-")) {
        Some((a, b)) => (a, marked(b, of_size)),
        None => (text, None),
    };
    let value = marked(number, of_size);
    Reading { value, spread: value.and(spread), plain: false }
}

/// A number without the stars, plus and per cent signs that stand around it.
fn marked(text: &str, of_size: bool) -> Option<f64> {
    let text = text.trim().trim_matches('*').trim_end_matches(['+', '%', '?', '*']).trim();
    let text = text.strip_prefix(['~', '≈']).unwrap_or(text).trim();
    let (text, factor) = match text.chars().last() {
        Some('k' | 'K') => (&text[..text.len() - 1], 1e3),
        Some('M') => (&text[..text.len() - 1], 1e6),
        Some('m') if of_size => (&text[..text.len() - 1], 1e6),
        Some('B') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let text = text.trim();
    plain(text).or_else(|| plain(&without_groups(text)?)).map(|x| x * factor)
}

/// `1,234,567` as `1234567`; none if the commas do not stand at thousands.
fn without_groups(text: &str) -> Option<String> {
    let (whole, rest) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut rest_groups = 0;
    let good = groups.all(|g| {
        rest_groups += 1;
        g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit())
    });
    let joined = whole.replace(',', "");
    (good && rest_groups > 0 && (1..=4).contains(&first.len()))
        .then(|| rest.map_or(joined.clone(), |r| format!("{joined}.{r}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Option<f64> {
        read(&json!(text), false).value
    }

    #[test]
    fn numbers_are_read_and_words_are_not() {
        for (text, number) in [
            ("93.2", 93.2),
            ("\u{feff}9.5", 9.5),
            ("\u{2212}0.5", -0.5),
            ("74.67%", 74.67),
            ("92.1*", 92.1),
            ("**91.0**", 91.0),
            ("70.14 (measured by Ge et al., 2018)", 70.14),
            ("25.4+", 25.4),
            ("~24M", 24e6),
            ("13k", 13e3),
            ("1.5B?", 1.5e9),
            ("1,234.5", 1234.5),
        ] {
            assert_eq!(value(text), Some(number), "{text}");
        }
        for text in [
            "-",
            "--*",
            "",
            "Kummerfeld",
            "93.0/90.7",
            "?",
            "Yes",
            "(1.0 2.0)",
            "inf",
            "nan",
            "1e999",
            "12m",
            "1,2",
            "v3.3.0",
            "0x10",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(read(&json!("12m"), true).value, Some(12e6));
    }

    #[test]
    fn spreads_are_kept_apart() {
        let reading = read(&json!("0.8428 ± 0.0014"), false);
        assert_eq!((reading.value, reading.spread), (Some(0.8428), Some(0.0014)));
        assert!(!reading.plain);
        assert_eq!(read(&json!("± 0.1"), false), Reading::default());
        assert_eq!(read(&json!(17.3), false).value, Some(17.3));
    }
}
