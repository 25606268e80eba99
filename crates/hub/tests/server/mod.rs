//! A server of a few lines that answers as a test says, over TLS if it is asked for.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use budwood_hub::{Patience, Settings};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha1::Digest as _;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.0 == name).map(|h| h.1.as_str())
    }

    /// The first byte that is asked for, if it is not that of the file.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What comes after the body.
    pub(crate) after: After,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum After {
    End,
    /// The connection is cut after so many bytes.
    Cut(usize),
    /// More bytes, for ever.
    Endless,
    /// Nothing more, and no end.
    Silence,
    /// No answer at all.
    NoAnswer,
    /// A byte now and then.
    Drip,
    /// All of it, a kilobyte each millisecond.
    Slowly,
}

impl Reply {
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        let headers = vec![("content-length".into(), body.len().to_string())];
        Self { status: "200 OK".into(), headers, body, after: After::End }
    }

    pub(crate) fn status(status: &str) -> Self {
        Self { status: status.into(), ..Self::ok(Vec::new()) }
    }

    /// The file, or what was asked for of it.
    pub(crate) fn file(request: &Request, bytes: &[u8]) -> Self {
        match request.range() {
            None => Self::ok(bytes.to_vec()),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Self { status: "206 Partial Content".into(), ..Self::ok(bytes[from..].to_vec()) }
                    .with("content-range", &range)
            }
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|h| h.0 != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn cut(self, bytes: usize) -> Self {
        Self { after: After::Cut(bytes), ..self }
    }

    pub(crate) fn endless(mut self) -> Self {
        self.headers.clear();
        Self { after: After::Endless, ..self }
    }

    pub(crate) fn silent() -> Self {
        Self { after: After::NoAnswer, ..Self::ok(Vec::new()) }
    }

    pub(crate) fn silent_body() -> Self {
        Self { after: After::Silence, ..Self::ok(Vec::new()).with("content-length", "300000") }
    }

    pub(crate) fn drip() -> Self {
        Self { after: After::Drip, ..Self::ok(Vec::new()).with("content-length", "300000") }
    }

    pub(crate) fn slowly(self) -> Self {
        Self { after: After::Slowly, ..self }
    }

    fn send(&self, request: &Request, stream: &mut impl Stream) -> std::io::Result<()> {
        if self.after == After::NoAnswer {
            return wait(stream);
        }
        let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if request.method == "HEAD" {
            return Ok(());
        }
        match self.after {
            After::Cut(n) => stream.write_all(&self.body[..n.min(self.body.len())]),
            After::End => stream.write_all(&self.body),
            After::Endless => loop {
                stream.write_all(&[7; 1 << 16])?;
            },
            After::Drip => loop {
                stream.write_all(&[7])?;
                std::thread::sleep(Duration::from_millis(50));
            },
            After::Slowly => self.body.chunks(1000).try_for_each(|part| {
                std::thread::sleep(Duration::from_millis(1));
                stream.write_all(part)
            }),
            After::Silence | After::NoAnswer => wait(stream),
        }
    }
}

/// Holds a connection until the other side lets go, as long as a connection is read at most.
fn wait(stream: &mut impl Stream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(|_| ())
}

/// A connection, with TLS or without.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// How connections speak TLS: with the certificate of `tests/tls`.
fn tls() -> Arc<ServerConfig> {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name);
    let certificates = CertificateDer::pem_file_iter(file("server.pem")).unwrap();
    let certificates = certificates.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(certificates, key).unwrap())
}

pub(crate) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer)
    }

    /// One whose certificate is signed by `tests/tls/authority.pem`.
    pub(crate) fn start_tls(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Some(tls()), answer)
    }

    fn listen(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (asked, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, answer, tls) = (Arc::clone(&asked), Arc::clone(&answer), tls.clone());
                std::thread::spawn(move || {
                    let reply = |request: &Request| {
                        asked.lock().unwrap().push(request.clone());
                        answer(request)
                    };
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    match tls {
                        None => talk(stream, reply),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            talk(StreamOwned::new(connection, stream), reply);
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// Settings that ask this server, with a token and little patience.
    pub(crate) fn settings(&self, cache: PathBuf) -> Settings {
        let millis = Duration::from_millis;
        Settings {
            endpoint: self.address(),
            cache,
            token: Some("hf_secret".into()),
            offline: false,
            certificates: None,
            patience: Patience {
                answer: millis(500),
                stall: millis(500),
                tries: 3,
                pause: millis(1),
            },
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads one request and answers it.
fn talk(mut stream: impl Stream, reply: impl Fn(&Request) -> Reply) {
    if let Some(request) = read(&mut stream) {
        let _ = reply(&request).send(&request, &mut stream);
    }
}

fn read(stream: &mut impl Stream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let lines = lines.take_while(|l| !l.is_empty());
    let pair = |l: String| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_string()));
    let headers = lines.filter_map(pair).collect();
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// The name that Git gives a file.
pub(crate) fn git_sha1(bytes: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}
