//! All addresses.

mod adapters;
mod embed;
mod page;
mod predict;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;
use crate::fault::Fault;
use crate::guard::guard;

/// The service, and what lies at all other addresses: another one, which the guard does not stand
/// before, or nothing.
pub(crate) fn router(app: Arc<App>, beside: Option<Router>) -> Router {
    let router = Router::new()
        .route("/try", get(page::page))
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
        .method_not_allowed_fallback(|| async { Fault::method() });
    let nothing = "there is nothing at this address; see /openapi.json";
    let router = match beside {
        Some(_) => router,
        None => router.route("/", get(page::page)).fallback(async move || Fault::unknown(nothing)),
    };
    let router = router.layer(from_fn_with_state(Arc::clone(&app), guard)).with_state(app);
    match beside {
        Some(beside) => router.fallback_service(beside),
        None => router,
    }
}
