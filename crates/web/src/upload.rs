//! The body of a request that writes: whole, within its limits, before anything is done with it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use budwood_http::{Arrival, Bounds, Refused, Room};

use crate::app::App;
use crate::fault::Fault;
use crate::parts::number::bytes;

/// A body, and its parts if it is a form.
pub(crate) struct Upload {
    headers: HeaderMap,
    bytes: Bytes,
    parts: Option<Vec<(String, Bytes)>>,
    /// What it takes of the memory for all uploads.
    _room: Option<Room>,
}

/// Bytes of a body that are taken before its sender is known: room for all fields of the form.
const UNKNOWN: usize = 64 << 10;
/// Parts of one form.
const PARTS: usize = 64;

impl Upload {
    /// Reads a body within the limits of size and time. What it takes of the memory for uploads
    /// grows as it arrives. Of a sender who is not known, no more than [`UNKNOWN`] bytes are taken:
    /// `known` is asked once, with what has arrived so far.
    pub(crate) async fn read(
        app: &App,
        parts: &Parts,
        body: Body,
        known: impl AsyncFnOnce(Self) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let mut known = Some(known);
        let limits = app.options.limits;
        let headers = parts.headers.clone();
        let refused = |refused| match refused {
            Refused::Large => Fault::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "At most {} can be sent here in one request. `budwood submit` on the board's own machine takes \
                     larger adapters.",
                    bytes(limits.upload as u64)
                ),
            ),
            Refused::Slow => {
                let slow = "The request took too long to arrive.";
                Fault::new(StatusCode::REQUEST_TIMEOUT, slow)
            }
            Refused::Cut => Fault::bad("The request was cut short; send it again."),
            Refused::Full => {
                let full = "Many others send files just now.";
                Fault::later(StatusCode::SERVICE_UNAVAILABLE, full, 10)
            }
        };
        let bounds = Bounds { most: limits.upload, time: Duration::from_secs(limits.seconds) };
        let mut arrival = Arrival::new(&headers, body, bounds, &app.uploads).map_err(refused)?;
        while arrival.more().await.map_err(refused)? {
            if arrival.so_far().len() > UNKNOWN
                && let Some(known) = known.take()
            {
                let begun = Bytes::copy_from_slice(&arrival.so_far()[..UNKNOWN]);
                known(Self::of(headers.clone(), begun, true).await?).await?;
            }
        }
        let (bytes, room) = arrival.taken();
        let upload = Self::of(headers, bytes, false).await?;
        Ok(Self { _room: room, ..upload })
    }

    /// A body, or its beginning.
    async fn of(headers: HeaderMap, bytes: Bytes, begun: bool) -> Result<Self, Fault> {
        let mut upload = Self { headers, bytes, parts: None, _room: None };
        if upload.header(CONTENT_TYPE).is_some_and(|t| t.starts_with("multipart/form-data")) {
            let (parts, end) = upload.split().await;
            match end {
                Err(fault) if !begun => return Err(fault),
                _ => upload.parts = Some(parts),
            }
        }
        Ok(upload)
    }

    /// The parts of a form that are whole, and what is wrong with what follows them.
    async fn split(&self) -> (Vec<(String, Bytes)>, Result<(), Fault>) {
        let mut parts = Vec::new();
        let end = self.split_into(&mut parts).await;
        (parts, end)
    }

    async fn split_into(&self, parts: &mut Vec<(String, Bytes)>) -> Result<(), Fault> {
        let bad = |_| Fault::bad("The form is damaged or was cut short; send it again.");
        let mut request = Request::new(Body::from(self.bytes.clone()));
        *request.headers_mut() = self.headers.clone();
        // The body is here and within its limit; the parser's own, of 2 MB, is for bodies that are
        // not.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut form = Multipart::from_request(request, &())
            .await
            .map_err(|_| Fault::bad("The form is damaged or was cut short; send it again."))?;
        while let Some(field) = form.next_field().await.map_err(bad)? {
            if parts.len() == PARTS {
                return Err(Fault::bad("The form has too many parts."));
            }
            let name = field.name().unwrap_or_default().to_owned();
            parts.push((name, field.bytes().await.map_err(bad)?));
        }
        Ok(())
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

    /// Refuses a form with other parts than these: one that is not known would be left out unseen.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Fault> {
        let other = self.parts.iter().flatten().find(|p| !names.contains(&p.0.as_str()));
        other.map_or(Ok(()), |(name, _)| {
            let name: String = name.chars().take(40).collect();
            let known = names.join(", ");
            Err(Fault::bad(format!("The form has a part '{name}'; it may have {known}.")))
        })
    }

    /// A part as text; one that is not there is empty.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Fault> {
        let bytes = self.part(name).map_or(&[][..], |b| b);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Fault::bad(format!("'{name}' is not UTF-8 text.")))?;
        Ok(text.trim())
    }
}
