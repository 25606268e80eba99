//! What goes wrong with a request, as its client is told.

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

/// A request that is refused or failed. Its JSON has the form of text-embeddings-inference, with
/// the message where clients of OpenAI's interface look for it, too.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// One word for programs.
    kind: &'static str,
    message: String,
    /// Seconds after which another try makes sense.
    retry_after: Option<u64>,
    /// Nothing of the request is in the message, so that it may stand in the log.
    ours: bool,
}

/// What the log says of an answer that is a fault; an extension of the response.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    pub(crate) message: Option<String>,
}

impl Fault {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after: None, ours: false }
    }

    /// The same fault, of a part of the request.
    pub(crate) fn of(self, part: impl Display) -> Self {
        Self { message: format!("{part}: {}", self.message), ..self }
    }

    /// The request cannot be understood.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation", message)
    }

    /// The request is understood, but its values have no meaning for this adapter.
    pub(crate) fn unfit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", message)
    }

    /// There is nothing of that name.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The address is right, the method is not.
    pub(crate) fn method() -> Self {
        let message = "this address does not take that method; see /openapi.json";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "validation", message)
    }

    /// Another change came first.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// It is larger than what is taken.
    pub(crate) fn large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The client does not say who it is.
    pub(crate) fn unauthorized() -> Self {
        let message = "a key is needed: Authorization: Bearer KEY";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The client's key does not allow it.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// There is more to do than the server takes on.
    pub(crate) fn busy() -> Self {
        let message = "the queue is full; try again in a moment";
        let fault = Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message);
        Self { retry_after: Some(1), ..fault }
    }

    /// It came too slowly.
    pub(crate) fn slow() -> Self {
        let message = "the request took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    /// The body is packed.
    pub(crate) fn packed() -> Self {
        let message = "Content-Encoding: bodies are taken as they are, not packed";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "validation", message)
    }

    /// It took longer than the request allows.
    pub(crate) fn late() -> Self {
        let message = "the request was not answered within its time";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// The server ends.
    pub(crate) fn ending() -> Self {
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "the server is ending");
        Self { retry_after: Some(1), ..fault }
    }

    /// An adapter that is there and cannot be used.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::FAILED_DEPENDENCY, "adapter", message);
        Self { ours: true, ..fault }
    }

    /// Where adapters lie does not answer.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "adapters", message);
        Self { ours: true, retry_after: Some(1), ..fault }
    }

    /// A fault of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        Self { ours: true, ..fault }
    }
}

impl From<budwood::Error> for Fault {
    fn from(error: budwood::Error) -> Self {
        use budwood::Error;
        match error {
            Error::Input { .. } | Error::Data(_) | Error::Images(_) => {
                Self::unfit(error.to_string())
            }
            Error::Train(_) => Self::unfit(error.to_string()),
            other => Self::broken(other.to_string()),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response<Body> {
        let json = json!({
            "error": self.message,
            "error_type": self.kind,
            "message": self.message,
            "code": self.status.as_u16(),
        });
        let mut response = Response::new(Body::from(json.to_string()));
        *response.status_mut() = self.status;
        let message = self.ours.then_some(self.message);
        response.extensions_mut().insert(Told { kind: self.kind, message });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
