//! The body of a request that writes: whole, within its limits, before anything is done with it.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};

use crate::fault::Fault;
use crate::parts::number::bytes;

/// A body, and its parts if it is a form.
pub(crate) struct Upload {
    headers: HeaderMap,
    bytes: Bytes,
    parts: Option<Vec<(String, Bytes)>>,
}

/// Parts of one form.
const PARTS: usize = 64;

impl Upload {
    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(parts: &Parts, body: Body, limit: usize) -> Result<Self, Fault> {
        let headers = parts.headers.clone();
        let length = headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
        let too_large = || {
            let message = format!(
                "At most {} can be sent here in one request. `budwood submit` on the board's own machine takes \
                 larger adapters.",
                bytes(limit as u64)
            );
            Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        };
        if length.is_some_and(|l| l > limit as u64) {
            return Err(too_large());
        }
        let bytes = to_bytes(body, limit).await.map_err(|_| too_large())?;
        let mut upload = Self { headers, bytes, parts: None };
        if upload.header(CONTENT_TYPE).is_some_and(|t| t.starts_with("multipart/form-data")) {
            upload.parts = Some(upload.split().await?);
        }
        Ok(upload)
    }

    async fn split(&self) -> Result<Vec<(String, Bytes)>, Fault> {
        let bad = |_| Fault::bad("The form is not whole.");
        let mut request = Request::new(Body::from(self.bytes.clone()));
        *request.headers_mut() = self.headers.clone();
        // The body is here and within its limit; the parser's own, of 2 MB, is for bodies that are not.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut form = Multipart::from_request(request, &())
            .await
            .map_err(|_| Fault::bad("The form is not whole."))?;
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.map_err(bad)? {
            if parts.len() == PARTS {
                return Err(Fault::bad("The form has too many parts."));
            }
            let name = field.name().unwrap_or_default().to_owned();
            parts.push((name, field.bytes().await.map_err(bad)?));
        }
        Ok(parts)
    }

    pub(crate) fn is_form(&self) -> bool {
        self.parts.is_some()
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The whole body as text.
    pub(crate) fn body(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.bytes).map_err(|_| Fault::bad("The body is not UTF-8 text."))
    }

    /// A part of a form.
    pub(crate) fn part(&self, name: &str) -> Option<&Bytes> {
        self.parts.iter().flatten().find(|p| p.0 == name).map(|p| &p.1)
    }

    /// A part as text; one that is not there is empty.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Fault> {
        let bytes = self.part(name).map_or(&[][..], |b| b);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Fault::bad(format!("'{name}' is not UTF-8 text.")))?;
        Ok(text.trim())
    }
}
