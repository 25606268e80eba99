//! Answers over HTTP.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use axum::response::IntoResponse;
use serde_json::Value;

use crate::fault::Fault;

/// A JSON answer.
pub(crate) fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer, or what went wrong.
pub(crate) fn reply(outcome: Result<Response<Body>, Fault>) -> Response<Body> {
    outcome.unwrap_or_else(IntoResponse::into_response)
}

/// Notes how many inputs were cut.
pub(crate) fn with_cut(mut response: Response<Body>, cut: usize) -> Response<Body> {
    if cut > 0 {
        response.headers_mut().insert("x-cut-inputs", HeaderValue::from(cut));
    }
    response
}
