//! What a program can read at an address.

use crate::route::{Show, Work};

pub(crate) const ROOT: &str = "/api/v1";

/// Something that programs can read.
pub(crate) struct Endpoint {
    /// Its path below `/api/v1`.
    pub(crate) path: &'static str,
    pub(crate) work: Work,
    /// What it gives, for the description of the interface.
    pub(super) summary: &'static str,
    /// Values of the query that it knows.
    pub(super) query: &'static [&'static str],
}

const PAGED: &[&str] = &["page", "items_per_page"];

pub(super) const fn list(path: &'static str, show: Show, summary: &'static str) -> Endpoint {
    Endpoint { path, work: Work::Page(show), summary, query: PAGED }
}

pub(super) const fn one(path: &'static str, show: Show, summary: &'static str) -> Endpoint {
    Endpoint { path, work: Work::Page(show), summary, query: &[] }
}
