//! Which coding a client takes a text in (RFC 9110, section 12.5.3), and which of our texts it has
//! (section 13.1.2).

use axum::http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, IF_NONE_MATCH};

/// Whether a client wants texts packed with gzip.
pub(crate) fn wants_gzip(asked: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for item in items(asked, ACCEPT_ENCODING) {
        let (name, more) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight(more);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = weight,
            "identity" => identity = weight,
            "*" => any = weight,
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The weight in the parameters of a coding; none if it is not a weight, so that the coding is not
/// there.
fn weight(parameters: &str) -> Option<f64> {
    if parameters.trim().is_empty() {
        return Some(1.0);
    }
    let (name, value) = parameters.split_once('=')?;
    let weight: f64 = value.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some(weight)
}

/// Whether a client has the text with this tag, such as `"a1"`. Tags are compared as the weak ones
/// that caches may make of them.
pub(crate) fn has(asked: &HeaderMap, tag: &str) -> bool {
    let plain = |t: &str| t.strip_prefix("W/").unwrap_or(t) == tag;
    items(asked, IF_NONE_MATCH).any(|t| t == "*" || plain(t))
}

/// The items of a list in a header. Our tags hold no commas.
fn items(asked: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = asked.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(str::trim).filter(|i| !i.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn codings_follow_their_weights() {
        for good in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "*",
            "br, *;q=0.1",
            "gzip;q=0.001",
            "gzip ; q = 0.5",
            "identity;q=0.5, gzip;q=0.5",
            "identity;q=0, gzip",
        ] {
            assert!(wants_gzip(&headers(ACCEPT_ENCODING, &[good])), "{good}");
        }
        for bad in [
            "",
            "br",
            "gzip;q=0",
            "gzip;q=0.000",
            "gzip;q=0, *",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=x",
            "gzip;level=1",
            "gzip;q=NaN",
            "gzipped",
            "notgzip",
        ] {
            assert!(!wants_gzip(&headers(ACCEPT_ENCODING, &[bad])), "{bad}");
        }
        assert!(wants_gzip(&headers(ACCEPT_ENCODING, &["br", "gzip"])));
        assert!(!wants_gzip(&HeaderMap::new()));
    }

    #[test]
    fn tags_are_compared_whole() {
        for good in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(has(&headers(IF_NONE_MATCH, &[good]), "\"a\""), "{good}");
        }
        for bad in ["\"ab\"", "a", "\"a-gzip\"", ""] {
            assert!(!has(&headers(IF_NONE_MATCH, &[bad]), "\"a\""), "{bad}");
        }
    }
}
