//! The header `Host`: there must be one, and one only (RFC 9112, section 3.2).

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{Request, Response, StatusCode, Version};

/// The answer to a request whose `Host` is not as the standard has it.
pub(crate) fn refused(request: &Request<Body>) -> Option<Response<Body>> {
    let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
    let good = match hosts[..] {
        [] => request.version() < Version::HTTP_11,
        [host] => host.to_str().is_ok_and(is_host),
        _ => false,
    };
    if good {
        return None;
    }
    let mut response = Response::new(Body::from("The request must name one host.\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Some(response)
}

/// Whether a text is a name or an address, with a port or without; an empty one is allowed.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (text, ""),
    };
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=".contains(c);
    let named = match address {
        Some(inner) => inner.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
        None => name.chars().all(plain),
    };
    named && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["", "a", "a.example:80", "127.0.0.1:7800", "[::1]:7800", "[::1]", "a:"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["a b", "a/b", "user@a", "a:80:90", "a:x", "[::1", "<a>", "[x]:1", "a\\b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
