//! What a client asks for.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use budwood_board::query::Part;
use budwood_http::Peer;

use crate::app::App;
use crate::coding::wants_gzip;
use crate::fault::Fault;
use crate::guard::shares::Share;

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
    /// Whether texts are sent packed.
    pub(crate) gzip: bool,
    pub(crate) client: IpAddr,
    /// Whether the reader is connected by TLS.
    secure: bool,
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
            gzip: wants_gzip(&parts.headers),
            client: client(app, parts),
            secure: secure(app, parts),
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

    /// A value of the query without blanks around it, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.exact(name).map(str::trim)
    }

    /// The same with its blanks: some names of archives begin or end with them.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|p| p.0 == name).map(|p| p.1.as_str());
        found.filter(|v| !v.trim().is_empty())
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

    /// An address with the server's name before it, if that is known. What the client calls the
    /// server is not asked: that would let one client write the addresses that another is shown.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let url = self.app.options.url.as_deref().unwrap_or_default();
        format!("{}{path}", url.trim_end_matches('/'))
    }

    /// A cookie for all of this server, which other sites cannot make a browser send along with a
    /// form.
    pub(crate) fn cookie(&self, pair: &str, more: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{pair}; Path=/; HttpOnly; {more}{secure}")
    }

    /// One of the downloads that there may be at one time.
    pub(crate) fn download(&self) -> Result<Share, Fault> {
        self.app.downloads.take(self.client).map_err(|_| {
            let many = "Many files are sent just now.";
            Fault::later(StatusCode::SERVICE_UNAVAILABLE, many, 10)
        })
    }
}

fn cookie(parts: &Parts, name: &str) -> Option<String> {
    let all = parts.headers.get_all(COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|p| p.0 == name).map(|p| p.1.to_owned())
}

/// Whom a request comes from.
pub(crate) fn client(app: &App, parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |p| p.0);
    forwarded(app, parts, "x-forwarded-for").and_then(|c| c.parse().ok()).unwrap_or(peer)
}

/// Whether a reader is connected by TLS, which ends before this server.
fn secure(app: &App, parts: &Parts) -> bool {
    let url = app.options.url.as_deref().unwrap_or_default();
    url.starts_with("https://") || forwarded(app, parts, "x-forwarded-proto") == Some("https")
}

/// What the proxy says of a client, if there is one. The last entry is the proxy's own word; those
/// before it are the client's.
fn forwarded<'a>(app: &App, parts: &'a Parts, name: &str) -> Option<&'a str> {
    if !app.options.behind_proxy {
        return None;
    }
    let last = parts.headers.get_all(name).iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next().map(str::trim)
}
