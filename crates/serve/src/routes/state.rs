//! What the server is, and how it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::response::IntoResponse;
use serde_json::json;

use crate::app::App;
use crate::fault::Fault;
use crate::keys::Scope;
use crate::reply::{json, reply};

/// The process lives.
pub(super) async fn health() -> Response<Body> {
    json(&json!({ "status": "ok" }))
}

/// It takes requests: not while it ends.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    match app.ending.load(Ordering::Relaxed) {
        true => Fault::ending().into_response(),
        false => json(&json!({ "status": "ready" })),
    }
}

/// Counters for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    reply(app.allowed(&headers, Scope::Predict).map(|_| {
        let text = app.metrics.text(app.engine.waiting(), &app.shelf.counts());
        let mut response = Response::new(Body::from(text));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }))
}

/// The model and the limits.
pub(super) async fn info(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    reply(app.allowed(&headers, Scope::Predict).map(|_| {
        let base = app.shelf.base();
        let id = base.model().id("");
        let limits = &app.limits;
        json(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "model_type": id.family,
            "model_sha256": id.weights_sha256,
            "model_dtype": base.precision(),
            "hidden_size": base.model().spec().hidden,
            "embedding_size": app.vectors.as_ref().map(budwood::Vectors::width),
            "max_client_batch_size": limits.inputs,
            "max_queue_tokens": limits.tokens,
            "max_body_bytes": limits.body,
            "max_seconds": limits.time.as_secs_f64(),
        }))
    }))
}
