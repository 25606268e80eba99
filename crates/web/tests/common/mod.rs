//! A board with some of everything, and its server without a network.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../board/tests/common/place.rs"]
pub(crate) mod place;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use budwood_base::digest;
use budwood_board::token::Role;
use budwood_board::{Board, Place, import, seed, token};
use budwood_web::{Limits, Options, router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_service::Service as _;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) submit: String,
    pub(crate) moderate: String,
    pub(crate) place: Place,
    pub(crate) folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl World {
    /// The seed, and the archive's files of this text.
    pub(crate) fn with(archive: &str, options: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = place::place(folder.path());
        let [submit, moderate] = apart(|| Self::fill(&place, folder.path(), archive));
        let mut asked = Options::new(place.clone());
        asked.url = Some("http://board.test".into());
        options(&mut asked);
        Self { router: router(asked).unwrap(), submit, moderate, place, folder }
    }

    /// Fills the board; the secrets of its two tokens.
    fn fill(place: &Place, folder: &Path, archive: &str) -> [String; 2] {
        let mut board = Board::open(place).unwrap();
        let known = [seed::KnownMethod {
            name: "adapter",
            title: "Adapter",
            year: 2019,
            url: "https://arxiv.org/abs/1902.00751",
            summary: "Two bottlenecks a layer.",
        }];
        seed::seed(&mut board, &known).unwrap();
        let file = folder.join("evaluation-tables.json");
        std::fs::write(&file, archive).unwrap();
        import(&mut board, &file);
        let mut token = |name, role| token::add(&mut board, name, role, "test").unwrap();
        [token("sam", Role::Submit), token("mo", Role::Moderate)]
    }

    pub(crate) fn new() -> Self {
        Self::with(ARCHIVE, |o| {
            let many = 1e6;
            o.limits =
                Limits { searches: many, writes: many, exports: many, tries: many, ..o.limits };
        })
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("host", "board.test").body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn post_json(
        &self,
        path: &str,
        token: &str,
        body: &serde_json::Value,
    ) -> Answer {
        let authorization = format!("Token {token}");
        let headers =
            [("content-type", "application/json"), ("authorization", authorization.as_str())];
        self.post(path, &headers, body.to_string()).await
    }
}

/// Does what blocks on a thread that serves nothing.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

pub(crate) fn import(board: &mut Board, file: &Path) {
    import::file(board, file, &import::Options { gate: false, ..Default::default() }, &mut |_| ())
        .unwrap();
}

/// A server on a real socket; its thread ends with the test.
pub(crate) fn live(limits: Limits) -> (SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { limits, ..Options::new(place::place(folder.path())) };
    (serve(options), folder)
}

/// Serves a board that is there.
pub(crate) fn serve(options: Options) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    std::thread::spawn(move || {
        budwood_web::serve(options, address, move |a| tell.send(a).unwrap())
    });
    told.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// The whole answer to a request that closes its connection.
pub(crate) fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A page by a connection of its own, and how long it took.
pub(crate) fn page(address: SocketAddr, path: &str) -> (String, Duration) {
    let start = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    (raw(address, &request), start.elapsed())
}

/// A form with these parts: its content type and body.
pub(crate) fn form(parts: &[(&str, &str)]) -> (String, String) {
    let mut body = String::new();
    for (name, value) in parts {
        body +=
            &format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    ("multipart/form-data; boundary=xyz".into(), body + "--xyz--\r\n")
}

/// The base model of adapters here.
const BASE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A record and the two files of its adapter with so many parameters.
pub(crate) fn adapter_of(model: &str, parameters: usize) -> (Value, Vec<u8>, Vec<u8>) {
    let header = json!({ "a": { "dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters] } });
    let header = header.to_string();
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.resize(weights.len() + 4 * parameters, 0);
    let meta = json!({ "budwood_adapter": 1, "weights_sha256": digest::of_bytes(&weights), "method": "lora",
        "base": { "name": "tiny", "weights_sha256": BASE }, "parameters_trained": parameters });
    (record(model), weights, meta.to_string().into_bytes())
}

/// A form with these parts, of the kind [`FORM`].
pub(crate) fn parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parts {
        body.extend(
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes(),
        );
        body.extend(*value);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    body
}

/// A claim on a leaderboard of [`ARCHIVE`].
pub(crate) fn record(model: &str) -> Value {
    json!({ "task": "Image Classification", "dataset": { "name": "MNIST" }, "model": { "name": model },
        "metrics": [{ "name": "Percentage error", "value": "0.2" }] })
}

/// The content type of [`parts`].
pub(crate) const FORM: &str = "multipart/form-data; boundary=xyz";

/// All values of `name="..."` in a page, unescaped as far as addresses need it.
pub(crate) fn attributes(page: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    let parts = page.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
    parts.map(|v| v.replace("&amp;", "&").replace("&quot;", "\"").replace("&lt;", "<")).collect()
}

pub(crate) const ARCHIVE: &str = r#"[{
  "task": "Image Classification", "categories": ["Computer Vision"],
  "description": "Say what a *picture* shows; see [this](https://example.org/a).",
  "datasets": [{"dataset": "MNIST", "sota": {"metrics": ["Percentage error", "Params"], "rows": [
    {"model_name": "LeNet", "metrics": {"Percentage error": "0.95"}, "paper_title": "Gradient-based learning",
     "paper_url": "https://arxiv.org/abs/1001.0001", "paper_date": "2010-01-05", "code_links": [{"title": "c", "url": "https://example.org/c"}]},
    {"model_name": "Deeper", "metrics": {"Percentage error": "0.23", "Params": "2m"}, "paper_title": "Deep",
     "paper_url": "https://arxiv.org/abs/1202.0002", "uses_additional_data": true},
    {"model_name": "Same", "metrics": {"Percentage error": "0.23"}, "paper_title": "Also", "paper_url": "", "paper_date": "2013-03-01"},
    {"model_name": "Odd", "metrics": {"Percentage error": "about 1 %"}}
  ]}}]
}]"#;
