//! What is sent back.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, VARY,
};
use axum::http::{Response, StatusCode};
use budwood_http::Room;
use flate2::Compression;
use flate2::write::GzEncoder;
use maud::Markup;
use sha2::{Digest, Sha256};

use crate::coding::{has, wants_gzip};
use crate::guard::headers::protect;
use crate::guard::shares::Share;
use crate::piecewise::Piecewise;

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    kind: &'static str,
    content: Content,
    headers: Vec<(HeaderName, HeaderValue)>,
    cache: &'static str,
    framed: bool,
}

/// What is sent.
enum Content {
    Bytes(Bytes),
    File(Box<(Piecewise, Share)>),
}

/// Texts below this are sent as they are: packing them costs more than it saves.
const WORTH_PACKING: usize = 1400;

impl Reply {
    pub(crate) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self::with(kind, Content::Bytes(body.into()))
    }

    /// A file, which takes one of the downloads that there may be at one time.
    pub(crate) fn file(kind: &'static str, file: Piecewise, download: Share) -> Self {
        Self::with(kind, Content::File(Box::new((file, download))))
    }

    fn with(kind: &'static str, content: Content) -> Self {
        let (status, headers) = (StatusCode::OK, Vec::new());
        Self { status, kind, content, headers, cache: "no-cache", framed: false }
    }

    pub(crate) fn html(markup: Markup) -> Self {
        Self::new("text/html; charset=utf-8", markup.into_string())
    }

    pub(crate) fn svg(markup: Markup) -> Self {
        Self::new("image/svg+xml", of_xml(markup))
    }

    pub(crate) fn xml(kind: &'static str, markup: Markup) -> Self {
        Self::new(kind, format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{}", of_xml(markup)))
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

    /// Memory that it takes until it is sent.
    pub(crate) fn kilobytes(&self) -> u32 {
        match &self.content {
            Content::Bytes(bytes) => u32::try_from(bytes.len() >> 10).unwrap_or(u32::MAX),
            Content::File(_) => 0,
        }
    }

    /// As a response to a request with these headers; `room` is what it takes of the memory for
    /// answers that wait.
    pub(crate) fn respond(self, asked: &HeaderMap, room: Option<Room>) -> Response<Body> {
        let text = self.kind.starts_with("text/")
            || self.kind.ends_with("json")
            || self.kind.ends_with("xml");
        // Each form of a content has a tag of its own: they are not the same bytes.
        let (tag, packed) = match &self.content {
            Content::Bytes(bytes) => {
                let pack = text && bytes.len() >= WORTH_PACKING && wants_gzip(asked);
                (format!("\"{:.24}{}\"", hash(bytes), if pack { "-gzip" } else { "" }), pack)
            }
            Content::File(file) => (format!("\"{:.24}\"", file.0.sha256), file.0.packed),
        };
        let known = self.status == StatusCode::OK && has(asked, &tag);
        let mut length = None;
        let body = match self.content {
            _ if known => Body::empty(),
            Content::Bytes(bytes) => {
                let bytes = if packed { pack(&bytes).into() } else { bytes };
                Body::from(match room {
                    Some(room) => room.hold(bytes),
                    None => bytes,
                })
            }
            Content::File(file) => {
                let (file, download) = *file;
                length = Some(file.bytes());
                file.body(download)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { self.status };
        let headers = response.headers_mut();
        protect(headers, self.framed);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding, cookie"));
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        if packed && !known {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// The text without characters that XML has no place for, not even escaped: with one of them
/// nothing of it is read.
fn of_xml(markup: Markup) -> String {
    let mut text = markup.into_string();
    text.retain(|c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    text
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
