//! What every answer passes on its way out: memory for what waits to be sent, counters, the log.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, State};
use axum::http::{Method, Request, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use budwood_http::{Peer, log};
use tokio::time::timeout;

use crate::app::App;
use crate::fault::{Fault, Told};

/// Answers from this on are counted in the memory of all that wait.
const WORTH_COUNTING: usize = 1 << 10;

/// Lets a request through, and looks at its answer.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let begin = Instant::now();
    let method = request.method().clone();
    // The path as clients write it may hold anything.
    let path = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<Peer>().copied();
    let answer = held(&app, told(next.run(request).await)).await;
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        app.metrics.fault(status.as_u16());
        if let Some(Peer(client)) = peer {
            let told = answer.extensions().get::<Told>();
            let message = told.and_then(|told| told.message.as_deref());
            log(format_args!(
                "{} {} {} {} {client} {} ms{}{}",
                status.as_u16(),
                told.map_or("-", |told| told.kind),
                name(&method),
                path.as_ref().map_or("-", MatchedPath::as_str),
                begin.elapsed().as_millis(),
                if message.is_some() { ": " } else { "" },
                message.unwrap_or_default(),
            ));
        }
    }
    answer
}

/// What the framework refuses by itself, in the form of all faults.
fn told(answer: Response<Body>) -> Response<Body> {
    let own = answer.extensions().get::<Told>().is_some();
    match answer.status().is_client_error() && !own {
        true => Fault::bad(
            "the path or the query of the address cannot be read; /openapi.json describes them",
        )
        .into_response(),
        false => answer,
    }
}

/// Methods are words of the client's choice.
fn name(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
    if known.contains(method) { method.as_str() } else { "-" }
}

/// Takes memory for an answer until it is sent, however slowly it is read.
async fn held(app: &App, answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    // It is in memory already, in one piece.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Fault::internal("the answer broke off").into_response();
    };
    if bytes.len() < WORTH_COUNTING {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let kilobytes = u32::try_from(bytes.len() >> 10).unwrap_or(u32::MAX);
    match timeout(app.limits.time, app.unsent.take(kilobytes)).await {
        Ok(Some(room)) => Response::from_parts(parts, Body::from(room.hold(bytes))),
        _ => Fault::busy().into_response(),
    }
}
