//! What goes wrong with a request, and what the client is told: never more than helps them.

use std::fmt::Display;
use std::io::Write as _;

use axum::http::StatusCode;
use budwood_board::{DatabaseError, Error};

/// Why a request is not answered as it asks.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// A sentence for the client.
    pub(crate) message: String,
    /// Seconds after which it may be asked again.
    pub(crate) retry_after: Option<u64>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// Something that can be asked for again after some seconds.
    pub(crate) fn later(status: StatusCode, message: impl Into<String>, seconds: u64) -> Self {
        let message = format!("{} Please try again in {seconds} s.", message.into());
        Self { status, message, retry_after: Some(seconds) }
    }

    pub(crate) fn missing(what: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no {what} here."))
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// An error of ours: the reason goes to the operator, not to the client.
    pub(crate) fn internal(reason: impl Display) -> Self {
        report(&reason);
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The board could not answer. The operator has been told.",
        )
    }
}

/// The operator's log of the server is its standard error. No answer ends because that is full.
fn report(reason: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "error: {reason}");
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing { kind, name } => Self::missing(format!("{kind} '{name}'")),
            // It begins with the name of a field, which stays as it is.
            Error::Input { .. } => Self::bad(format!("{error}.")),
            Error::Refused(_) => Self::new(StatusCode::FORBIDDEN, sentence(&error)),
            Error::Conflict(_) => Self::new(StatusCode::CONFLICT, sentence(&error)),
            Error::Database(fault @ DatabaseError::Locked { .. }) => {
                report(&fault);
                Self::later(StatusCode::SERVICE_UNAVAILABLE, "The board is being written to.", 5)
            }
            Error::Database(fault) if fault.may_pass() => {
                report(&fault);
                let message = "The board's database cannot be reached.";
                Self::later(StatusCode::SERVICE_UNAVAILABLE, message, 5)
            }
            other => Self::internal(other),
        }
    }
}

/// A library's message as a sentence.
fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}
