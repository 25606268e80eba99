//! Requests to the hub: redirects, the token, trying again.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use crate::address::{follow, same_origin};
use crate::{Certificates, Error, Patience, Settings};

const REDIRECTS: usize = 5;
/// A longer pause than this is left to the user.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Speaks to one hub.
pub(crate) struct Client {
    /// Not one, if the certificates that it should trust cannot be read.
    agent: Result<Agent, String>,
    pub(crate) settings: Settings,
}

/// Why a try brought nothing.
pub(crate) enum Failure {
    /// It makes no sense to try again.
    Final(Error),
    /// It may be different next time.
    Again {
        why: String,
        /// When the hub says to come back.
        after: Option<Duration>,
        /// Whether the try brought something all the same.
        progress: bool,
    },
}

impl Failure {
    pub(crate) fn again(why: impl ToString) -> Self {
        Self::Again { why: why.to_string(), after: None, progress: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    /// The head alone. An answer with `X-Linked-Etag` is one, wherever else it leads.
    Head,
    /// The whole, or what comes after so many bytes.
    Get(u64),
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        let certificates = settings.certificates.as_ref();
        let agent = certificates.map(Certificates::read).transpose();
        let agent = agent.map(|trusted| Self::agent(settings.patience, trusted));
        Self { agent, settings }
    }

    fn agent(patience: Patience, trusted: Option<RootCerts>) -> Agent {
        let mut tls = TlsConfig::builder();
        if let Some(trusted) = trusted {
            tls = tls.root_certs(trusted);
        }
        Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known who may see the token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(patience.answer))
            .timeout_recv_response(Some(patience.answer))
            .timeout_per_read(Some(patience.stall))
            .timeout_per_write(Some(patience.stall))
            .user_agent(concat!("budwood/", env!("CARGO_PKG_VERSION")))
            // Sizes and hashes are those of the file itself, and nothing is ever unpacked.
            .accept_encoding("identity")
            .tls_config(tls.build())
            .build()
            .new_agent()
    }

    fn connected(&self) -> Result<&Agent, Error> {
        self.agent.as_ref().map_err(|why| Error::Usage(why.clone()))
    }

    /// The host of the hub, for messages.
    pub(crate) fn host(&self) -> &str {
        let (_, rest) = self.settings.endpoint.split_once("://").unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// Tries `attempt` until it succeeds or [`crate::Patience::tries`] in a row brought nothing.
    pub(crate) fn patiently<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let patience = self.settings.patience;
        let (mut failures, mut pause) = (0, patience.pause);
        loop {
            let (why, after, progress) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { why, after, progress }) => (why, after, progress),
            };
            if progress {
                (failures, pause) = (0, patience.pause);
            }
            failures += 1;
            let long = after.is_some_and(|a| a > LONGEST_PAUSE);
            if failures >= patience.tries || long {
                return Err(match after {
                    Some(after) if long => {
                        let when = format!("in {} seconds", after.as_secs());
                        Error::Busy { what: what.into(), when }
                    }
                    Some(_) => Error::Busy { what: what.into(), when: "later".into() },
                    None => Error::Network { what: what.into(), host: self.host().into(), why },
                });
            }
            std::thread::sleep(after.unwrap_or(pause));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether it may help to ask again after this.
    fn unanswered(&self, what: &str, error: &ureq::Error) -> Failure {
        let mut why = error.to_string();
        // The system's error of a connection that TLS refused holds the reason as text alone.
        let certificate = why.contains("certificate");
        if certificate {
            why += ". A proxy or a server with a certificate of its own is trusted where \
                    SSL_CERT_FILE names the file of its authority";
        }
        match error {
            ureq::Error::HostNotFound | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {}
            _ if certificate => {}
            _ => return Failure::again(why),
        }
        Error::Network { what: what.into(), host: self.host().into(), why }.into()
    }

    /// Sends one request, and follows where it leads. The answer has a status of success.
    pub(crate) fn send(
        &self,
        ask: Ask,
        address: &str,
        what: &str,
    ) -> Result<Response<Body>, Failure> {
        let mut address = address.to_string();
        for _ in 0..=REDIRECTS {
            let mut request = match ask {
                Ask::Head => self.connected()?.head(&address),
                Ask::Get(_) => self.connected()?.get(&address),
            };
            if let Ask::Get(from @ 1..) = ask {
                request = request.header("range", format!("bytes={from}-"));
            }
            let token = self.settings.token.as_ref();
            if let Some(token) = token.filter(|_| same_origin(&address, &self.settings.endpoint)) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let answer = request.call().map_err(|e| self.unanswered(what, &e))?;
            if matches!(ask, Ask::Head) && header(&answer, "x-linked-etag").is_some() {
                return Ok(answer);
            }
            if !answer.status().is_redirection() {
                return accepted(answer, what);
            }
            let next = header(&answer, "location").and_then(|l| follow(&address, l));
            address = next.ok_or_else(|| {
                Error::answer(what, "it leads to no https or http address, or from https to http")
            })?;
        }
        Err(Error::answer(what, format!("it is redirected more than {REDIRECTS} times")).into())
    }
}

/// What is sent.
pub(crate) struct Sent<'a> {
    pub(crate) address: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: Outgoing<'a>,
}

/// The body of a request.
pub(crate) enum Outgoing<'a> {
    /// Posted.
    Bytes(&'a [u8]),
    /// Put, with this length.
    File(&'a Path, u64),
}

impl Client {
    /// Sends a body, once. The token goes to the hub alone. A redirect is not followed: what is
    /// sent has one place.
    pub(crate) fn write(&self, sent: &Sent<'_>, what: &str) -> Result<Response<Body>, Failure> {
        let token = self.settings.token.as_ref();
        let token = token.filter(|_| same_origin(sent.address, &self.settings.endpoint));
        let bearer = token.map(|token| ("authorization".to_string(), format!("Bearer {token}")));
        let headers: Vec<_> = sent.headers.iter().chain(&bearer).collect();
        let fill = |mut request: ureq::RequestBuilder<ureq::typestate::WithBody>| {
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            request
        };
        let answer = match sent.body {
            Outgoing::Bytes(bytes) => fill(self.connected()?.post(sent.address)).send(bytes),
            Outgoing::File(path, length) => {
                let file = File::open(path).map_err(Error::file(path))?;
                let request =
                    fill(self.connected()?.put(sent.address)).header("content-length", length);
                request.send(SendBody::from_owned_reader(file.take(length)))
            }
        };
        taken(answer.map_err(|e| self.unanswered(what, &e))?, what)
    }
}

/// Reads an answer that may have so many bytes at most.
pub(crate) fn body(answer: Response<Body>, what: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let reader = answer.into_body().into_reader();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(Failure::again)?;
    match bytes.len() as u64 > limit {
        true => Err(Error::answer(what, format!("it is longer than {limit} bytes")).into()),
        false => Ok(bytes),
    }
}

/// The answer to what was sent, if it is one of success.
fn taken(answer: Response<Body>, what: &str) -> Result<Response<Body>, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return accepted(answer, what);
    }
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": set HF_TOKEN to a token that may write there"
        }
        StatusCode::NOT_FOUND => ": there is no such repository, or the token may not see it",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
            ": somebody else changes it at the same time; try again"
        }
        s if s.is_redirection() => ": it has moved; give its new name",
        _ => "",
    };
    let said = said(answer).map_or_else(String::new, |said| format!(". It says: {said}"));
    let (what, why) = (what.into(), format!("{remedy}{said}"));
    Err(Error::Refused { what, status: status.as_u16(), why }.into())
}

/// What the hub says of an error, as one line of plain characters.
fn said(answer: Response<Body>) -> Option<String> {
    let mut text = Vec::new();
    answer.into_body().into_reader().take(4096).read_to_end(&mut text).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let said = json.get("error").or_else(|| json.get("message"))?.as_str()?;
    let plain = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(plain.take(300).collect())
}

/// The value of a header, if it is text.
pub(crate) fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// The number in a header; none if there is none or it is not a number.
pub(crate) fn number(answer: &Response<Body>, name: &str) -> Option<u64> {
    header(answer, name)?.trim().parse().ok()
}

fn accepted(answer: Response<Body>, what: &str) -> Result<Response<Body>, Failure> {
    let status = answer.status();
    let what = what.to_string();
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer),
        // The file ended before the place from which more was wanted.
        StatusCode::RANGE_NOT_SATISFIABLE => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Error::Denied { what, status: status.as_u16() }.into())
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Error::Missing(what).into()),
        StatusCode::TOO_MANY_REQUESTS => {
            let after = number(&answer, "retry-after").unwrap_or(1);
            let after = Some(Duration::from_secs(after));
            Err(Failure::Again { why: String::new(), after, progress: false })
        }
        _ if status.is_server_error() => Err(Failure::again(format!("status {}", status.as_u16()))),
        _ => Err(Error::answer(&what, format!("status {}", status.as_u16())).into()),
    }
}
