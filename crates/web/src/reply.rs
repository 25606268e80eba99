//! What is sent back.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::{Response, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use maud::Markup;
use sha2::{Digest, Sha256};

use crate::guard::headers::protect;

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    kind: &'static str,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
    cache: &'static str,
    framed: bool,
}

/// Texts below this are sent as they are: packing them costs more than it saves.
const WORTH_PACKING: usize = 1400;

impl Reply {
    pub(crate) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let (status, headers) = (StatusCode::OK, Vec::new());
        Self { status, kind, body: body.into(), headers, cache: "no-cache", framed: false }
    }

    pub(crate) fn html(markup: Markup) -> Self {
        Self::new("text/html; charset=utf-8", markup.into_string())
    }

    pub(crate) fn svg(markup: Markup) -> Self {
        Self::new("image/svg+xml", markup.into_string())
    }

    pub(crate) fn xml(kind: &'static str, markup: Markup) -> Self {
        Self::new(
            kind,
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{}", markup.into_string()),
        )
    }

    pub(crate) fn json(value: &impl serde::Serialize) -> Self {
        let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
        text.push(b'\n');
        Self::new("application/json", text)
    }

    /// Sends the reader to another page of this server.
    pub(crate) fn see(path: &str) -> Self {
        let mut reply = Self::new("text/plain; charset=utf-8", path.to_owned());
        reply.status = StatusCode::SEE_OTHER;
        reply.header(axum::http::header::LOCATION, path)
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header; a value that no header can hold is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// To be saved under a name.
    pub(crate) fn download(self, name: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        self.header(CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}\""))
    }

    /// Other sites may show it in a frame.
    pub(crate) fn framed(mut self) -> Self {
        self.framed = true;
        self
    }

    /// It never changes: its address holds its hash.
    pub(crate) fn forever(mut self) -> Self {
        self.cache = "public, max-age=31536000, immutable";
        self
    }

    /// As a response to a request with these headers.
    pub(crate) fn respond(self, asked: &HeaderMap) -> Response<Body> {
        let asks = |name: HeaderName, word: &str| {
            asked.get_all(name).iter().any(|v| v.to_str().is_ok_and(|v| v.contains(word)))
        };
        let tag = format!("\"{:.24}\"", hash(&self.body));
        let known = self.status == StatusCode::OK && asks(IF_NONE_MATCH, &tag);
        let text = self.kind.starts_with("text/")
            || self.kind.ends_with("json")
            || self.kind.ends_with("xml");
        let pack = text && self.body.len() >= WORTH_PACKING && asks(ACCEPT_ENCODING, "gzip");
        let body = match (known, pack) {
            (true, _) => Bytes::new(),
            (_, true) => packed(&self.body).into(),
            _ => self.body,
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { self.status };
        let headers = response.headers_mut();
        protect(headers, self.framed);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding, cookie"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        if pack && !known {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
