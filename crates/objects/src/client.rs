//! HTTP for `object_store`, by the client that fetches models.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{RootCerts, TlsConfig};

/// Bytes of an answer, at most: objects come in parts ([`crate::store::PART`]), and pages of a list
/// have a thousand names.
const BYTES_MAX: u64 = 32 << 20;
/// Time until a connection stands, until an answer begins, and between two of its pieces.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);
const PIECE: Duration = Duration::from_secs(15);
/// Time for all of a part, either way.
const WHOLE: Duration = Duration::from_secs(120);

/// Makes clients.
#[derive(Clone, Debug)]
pub(crate) struct Connector(Agent);

#[derive(Debug)]
struct Service(Agent);

impl Connector {
    /// Trusts these certificates, or those of browsers.
    pub(crate) fn new(trusted: Option<RootCerts>) -> Self {
        let mut tls = TlsConfig::builder();
        if let Some(trusted) = trusted {
            tls = tls.root_certs(trusted);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(PIECE))
            .timeout_recv_body(Some(WHOLE))
            .timeout_send_body(Some(WHOLE))
            .max_idle_connections_per_host(8)
            .tls_config(tls.build());
        Self(config.build().into())
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.0.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let mut answer = agent.run(Request::from_parts(parts, &body[..]))?;
            let body = answer.body_mut().with_config().limit(BYTES_MAX).read_to_vec()?;
            Ok::<_, ureq::Error>(answer.map(|_| body))
        });
        let failed = |e| HttpError::new(HttpErrorKind::Unknown, e);
        let answer = answered.await.map_err(failed)?.map_err(fault)?;
        let whole =
            |bytes: Vec<u8>| HttpResponseBody::new(Full::from(bytes).map_err(|e| match e {}));
        Ok(answer.map(whole))
    }
}

fn fault(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) | ureq::Error::Protocol(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
