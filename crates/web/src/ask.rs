//! What a client asks for.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::{COOKIE, HOST};
use axum::http::request::Parts;
use budwood_board::query::Part;

use crate::app::App;
use crate::fault::Fault;

/// Light or dark; without a choice, as the reader's system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn find(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// A question to the board.
pub(crate) struct Ask {
    pub(crate) app: Arc<App>,
    /// The path as it was asked for, percent-encoded.
    pub(crate) path: String,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    pub(crate) theme: Theme,
    /// The cookie that belongs to the reader's forms.
    pub(crate) form_cookie: Option<String>,
    origin: String,
}

impl Ask {
    pub(crate) async fn read(app: &Arc<App>, parts: &mut Parts) -> Result<Self, Fault> {
        let raw = RawPathParams::from_request_parts(parts, &()).await;
        let raw = raw.map_err(|_| Fault::bad("The address is not valid text."))?;
        let params = raw.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .take(64)
            .map(|(k, v)| (k.into(), v.into()));
        Ok(Self {
            app: Arc::clone(app),
            path: parts.uri.path().to_owned(),
            params,
            query: query.collect(),
            theme: Theme::find(&cookie(parts, "theme").unwrap_or_default()),
            form_cookie: cookie(parts, "forms"),
            origin: origin(app, parts),
        })
    }

    /// A part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|p| p.0 == name).map_or("", |p| &p.1)
    }

    /// A number in the path.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Fault> {
        let text = self.param(name);
        text.parse().map_err(|_| Fault::missing(format_args!("entry '{text}'")))
    }

    /// A value of the query, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|p| p.0 == name).map(|p| p.1.trim()).filter(|v| !v.is_empty())
    }

    /// All values of the query.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Which page of a list is asked for, from 1.
    pub(crate) fn page(&self) -> u64 {
        self.get("page").and_then(|p| p.parse().ok()).unwrap_or(1).clamp(1, 10_000_000)
    }

    /// The part of a list that the page asks for.
    pub(crate) fn part(&self, size: u64) -> Part {
        Part { offset: (self.page() - 1) * size, limit: size }
    }

    /// The question's address with some values of the query set, or removed by an empty text.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        let changed = |k: &str| changes.iter().any(|c| c.0 == k);
        out.extend_pairs(self.query.iter().filter(|(k, v)| !changed(k) && !v.is_empty()));
        out.extend_pairs(changes.iter().filter(|c| !c.1.is_empty()));
        let query = out.finish();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// An address with the server's name before it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

fn cookie(parts: &Parts, name: &str) -> Option<String> {
    let all = parts.headers.get_all(COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|p| p.0 == name).map(|p| p.1.to_owned())
}

/// The server's address as its readers know it.
fn origin(app: &App, parts: &Parts) -> String {
    if let Some(url) = &app.options.url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = parts.headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']');
    let host = if host.chars().all(plain) { host } else { "" };
    if host.is_empty() { String::new() } else { format!("http://{host}") }
}
