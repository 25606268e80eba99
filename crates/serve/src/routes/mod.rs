//! All addresses.

mod adapters;
mod embed;
mod page;
mod predict;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;

use crate::app::App;
use crate::fault::Fault;

/// The service.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/openapi.json", get(page::openapi))
        .route("/health", get(state::health))
        .route("/ready", get(state::ready))
        .route("/metrics", get(state::metrics))
        .route("/info", get(state::info))
        .route("/adapters", get(adapters::list))
        .route(
            "/adapters/{*name}",
            get(adapters::show).put(adapters::replace).delete(adapters::unload),
        )
        .route("/predict", post(predict::predict))
        .route("/models/{*name}", post(predict::of_model))
        .route("/classify", post(predict::classify))
        .route("/v1/classify", post(predict::classify))
        .route("/v1/models", get(adapters::models))
        .route("/embed", post(embed::embed))
        .route("/v1/embeddings", post(embed::embeddings))
        .method_not_allowed_fallback(|| async { Fault::method() })
        .fallback(|| async {
            Fault::unknown("there is nothing at this address; see /openapi.json")
        })
        .with_state(app)
}

/// A JSON answer.
fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer, or what went wrong.
fn reply(outcome: Result<Response<Body>, Fault>) -> Response<Body> {
    outcome.unwrap_or_else(IntoResponse::into_response)
}

/// Notes how many inputs were cut.
fn with_cut(mut response: Response<Body>, cut: usize) -> Response<Body> {
    if cut > 0 {
        response.headers_mut().insert("x-cut-inputs", HeaderValue::from(cut));
    }
    response
}
