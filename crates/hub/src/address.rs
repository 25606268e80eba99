//! Addresses of the web: which ones are taken, and where a redirect may lead.

use ureq::http::Uri;

/// Whether a text is an address of the web, without a user's name in it.
pub(crate) fn is_web_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let authority = uri.authority().map_or("", |a| a.as_str());
    matches!(uri.scheme_str(), Some("http" | "https"))
        && text.bytes().all(|b| b.is_ascii_graphic())
        && !authority.is_empty()
        && !authority.contains('@')
}

/// Whether two addresses have one scheme, host and port.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    let origin = |text: &str| {
        let uri = text.parse::<Uri>().ok()?;
        Some((uri.scheme()?.clone(), uri.authority()?.clone()))
    };
    origin(a).is_some_and(|a| Some(a) == origin(b))
}

/// Where a redirect leads: an address of the web, and never from https to http.
pub(crate) fn follow(from: &str, location: &str) -> Option<String> {
    let (scheme, rest) = from.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let to = if location.contains("://") && !location.starts_with('/') {
        location.to_string()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let folder = &path[..path.rfind('/').map_or(0, |i| i + 1)];
        format!("{scheme}://{host}{}{location}", if folder.is_empty() { "/" } else { folder })
    };
    let weaker = scheme.eq_ignore_ascii_case("https")
        && !to.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
    (is_web_address(&to) && !weaker).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_the_web_alone() {
        let from = "https://hub.example/a/b?c";
        for (location, to) in [
            ("https://cdn.example/x", "https://cdn.example/x"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x?u=http://y", "https://hub.example/x?u=http://y"),
            ("x", "https://hub.example/a/x"),
        ] {
            assert_eq!(follow(from, location).as_deref(), Some(to), "{location}");
        }
        for bad in ["http://cdn.example/x", "file:///etc/passwd", "ftp://x/y", "https://u@h/", ""] {
            let led = follow(from, bad);
            assert!(led.is_none() || bad.is_empty(), "{bad}: {led:?}");
        }
    }

    #[test]
    fn the_token_is_for_one_host() {
        let hub = "https://hub.example";
        assert!(same_origin("https://hub.example/a/b", hub));
        for other in [
            "http://hub.example/a",
            "https://hub.example:8443/a",
            "https://hub.example.evil/a",
            "https://evil/hub.example",
        ] {
            assert!(!same_origin(other, hub), "{other}");
        }
    }
}
