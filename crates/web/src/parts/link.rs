//! Links. An address that people gave leads somewhere only if it is a web address.

use budwood_board::query::Named;
use maud::{Markup, html};

/// The address, if it is one of the web: anything else, such as `javascript:`, is text.
pub(crate) fn web(url: &str) -> Option<&str> {
    let url = url.trim();
    let scheme = url.split_once("://").map(|s| s.0.to_ascii_lowercase());
    let clean = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && matches!(scheme.as_deref(), Some("http" | "https"))).then_some(url)
}

/// A link out of the board, or its text where the address is none.
pub(crate) fn out(url: &str, text: &str) -> Markup {
    let text = if text.trim().is_empty() { shortened(url) } else { text };
    html! {
        @if let Some(url) = web(url) {
            a href=(url) rel="noopener noreferrer nofollow ugc" { (text) }
        } @else { (text) }
    }
}

/// An address without what every address has.
fn shortened(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |s| s.1);
    rest.trim_start_matches("www.").trim_end_matches('/')
}

/// The kinds of pages that names lead to.
#[derive(Clone, Copy)]
pub(crate) enum To {
    Area,
    Task,
    Dataset,
    Paper,
    Method,
}

impl To {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Area => "/area/",
            Self::Task => "/task/",
            Self::Dataset => "/dataset/",
            Self::Paper => "/paper/",
            Self::Method => "/method/",
        }
    }
}

/// The address of a page of the board.
pub(crate) fn address(to: To, slug: &str) -> String {
    format!("{}{}", to.path(), segment(slug))
}

/// The address of a leaderboard.
pub(crate) fn leaderboard(slug: &str) -> String {
    format!("/sota/{}", segment(slug))
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A link to a page of the board.
pub(crate) fn named(to: To, named: &Named) -> Markup {
    html! { a href=(address(to, &named.slug)) { (named.name) } }
}

/// A list of names as chips.
pub(crate) fn chips(to: To, names: &[Named]) -> Markup {
    html! {
        ul.chips { @for name in names { li { (self::named(to, name)) } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_links() {
        for bad in [
            "javascript:alert(1)",
            "JavaScript://%0aalert(1)",
            "data:text/html,x",
            "//example.org",
            "http:/x",
            "",
            "vbscript://x",
            "java\nscript://x",
            "https://a b",
            "https://a\u{0}b",
        ] {
            assert_eq!(web(bad), None, "{bad}");
            assert!(!out(bad, "x").into_string().contains("href"), "{bad}");
        }
        assert_eq!(web(" HTTPS://example.org/x"), Some("HTTPS://example.org/x"));
        let quoted = out("https://example.org/\"><script>", "<b>").into_string();
        assert!(!quoted.contains("<script>") && !quoted.contains("<b>"), "{quoted}");
    }

    #[test]
    fn segments_hold_any_text() {
        assert_eq!(segment("sst-2"), "sst-2");
        assert_eq!(segment("a/b?c ü"), "a%2Fb%3Fc%20%C3%BC");
    }
}
