//! What all requests share, and the way of a request through it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, Request};
use budwood::{Adapter, Encoded, Input, Vectors};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::engine::{Engine, Outputs, Ticket};
use crate::fault::Fault;
use crate::keys::{Allowed, Keys, Scope};
use crate::metrics::{Metrics, Request as Counted};
use crate::shelf::{Loaded, Shelf};

/// How much clients may ask.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request.
    pub body: usize,
    /// Inputs of a request.
    pub inputs: usize,
    /// Tokens that may wait.
    pub tokens: usize,
    /// Time until a request must be answered.
    pub time: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// How long requests that are under way may take when the server is told to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            inputs: 1024,
            tokens: 100_000,
            time: Duration::from_secs(30),
            connections: 1024,
            grace: Duration::from_secs(30),
        }
    }
}

/// Bytes of all requests that are held, in units of a kilobyte.
const BODIES: usize = 128 << 10;
/// Threads that make tokens of texts and read adapters.
const ENCODERS: usize = 4;

pub(crate) struct App {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) vectors: Option<Vectors>,
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) ending: AtomicBool,
    keys: Keys,
    bodies: Semaphore,
    encoders: Semaphore,
}

/// A request that is allowed, with its body.
pub(crate) struct Asked {
    pub(crate) allowed: Allowed,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) begin: Instant,
    until: tokio::time::Instant,
}

/// Inputs of one adapter under way.
pub(crate) struct UnderWay {
    name: String,
    encoded: Arc<Encoded>,
    ticket: Ticket,
}

impl App {
    pub(crate) fn new(
        shelf: Shelf,
        vectors: Option<Vectors>,
        (keys, limits, threads): (Keys, Limits, usize),
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let base = shelf.base().clone();
        Self {
            shelf: Arc::new(shelf),
            vectors,
            engine: Engine::new(base, threads, limits.tokens, Arc::clone(&metrics)),
            metrics,
            limits,
            ending: AtomicBool::new(false),
            keys,
            bodies: Semaphore::new(BODIES),
            encoders: Semaphore::new(ENCODERS),
        }
    }

    /// What a client may do.
    pub(crate) fn allowed(&self, headers: &HeaderMap, scope: Scope) -> Result<Allowed, Fault> {
        let bearer = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let bearer = bearer.and_then(|v| {
            let (scheme, key) = v.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        self.keys.check(bearer, scope)
    }

    /// Takes a request in: whether it is allowed, then its body.
    pub(crate) async fn ask(&self, request: Request<Body>, scope: Scope) -> Result<Asked, Fault> {
        let begin = Instant::now();
        let (parts, body) = request.into_parts();
        let allowed = self.allowed(&parts.headers, scope)?;
        let until = tokio::time::Instant::now() + self.time(&parts.headers)?;
        let most = self.limits.body;
        let too_large = || Fault::large(format!("a request may have up to {most} bytes"));
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        let length: Option<usize> = length.and_then(|v| v.parse().ok());
        if length.is_some_and(|n| n > most) {
            return Err(too_large());
        }
        let room = (length.unwrap_or(most) >> 10) as u32 + 1;
        let read = async {
            let _room = self.bodies.acquire_many(room).await.map_err(|_| Fault::ending())?;
            let bytes = to_bytes(body, most).await.map_err(|_| too_large())?;
            Ok::<_, Fault>(Vec::from(bytes))
        };
        let body = timeout_at(until, read).await.map_err(|_| Fault::late())??;
        Ok(Asked { allowed, headers: parts.headers, body, begin, until })
    }

    /// The time that a request has; clients may ask for less, in milliseconds.
    fn time(&self, headers: &HeaderMap) -> Result<Duration, Fault> {
        let Some(value) = headers.get("x-timeout-ms") else { return Ok(self.limits.time) };
        let asked = value.to_str().ok().and_then(|v| v.parse().ok()).filter(|ms| *ms > 0);
        let bad = || Fault::bad("X-Timeout-Ms: a number of milliseconds is wanted");
        Ok(Duration::from_millis(asked.ok_or_else(bad)?).min(self.limits.time))
    }

    /// An adapter by name, read from disk if need be.
    pub(crate) async fn adapter(&self, asked: &Asked, name: &str) -> Result<Arc<Loaded>, Fault> {
        asked.allowed.check(name)?;
        if let Some(held) = self.shelf.held(name) {
            return Ok(held);
        }
        let (shelf, name) = (Arc::clone(&self.shelf), name.to_string());
        self.work(asked, move || shelf.get(&name)).await
    }

    /// Does work that takes a thread, on few threads.
    pub(crate) async fn work<R: Send + 'static>(
        &self,
        asked: &Asked,
        work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let done = async {
            let _turn = self.encoders.acquire().await.map_err(|_| Fault::ending())?;
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|_| Fault::internal("the work failed; the server goes on"))?
        };
        timeout_at(asked.until, done).await.map_err(|_| Fault::late())?
    }

    /// Puts inputs of an adapter in the queue.
    pub(crate) async fn begin(
        &self,
        asked: &Asked,
        loaded: &Arc<Loaded>,
        (inputs, cut): (Vec<Input>, bool),
    ) -> Result<UnderWay, Fault> {
        let adapter: Adapter = loaded.adapter.clone();
        let encode = move || Ok(adapter.encode(inputs)?);
        let encoded = self.work(asked, encode).await?;
        if !cut && encoded.truncated() > 0 {
            let most = loaded.adapter.lengths().max;
            let message =
                format!("an input is longer than the {most} tokens that this adapter reads");
            return Err(Fault::large(message + "; leave out \"truncate\": false to have it cut"));
        }
        self.submit(loaded.name.clone(), encoded)
    }

    /// Puts inputs of the base alone in the queue.
    pub(crate) async fn begin_vectors(
        &self,
        asked: &Asked,
        inputs: Vec<Input>,
        cut: bool,
    ) -> Result<UnderWay, Fault> {
        let unknown = || Fault::unknown("this base model has no tokenizer to embed texts with");
        let vectors = self.vectors.clone().ok_or_else(unknown)?;
        let encoded = self.work(asked, move || Ok(vectors.encode(inputs)?)).await?;
        if !cut && encoded.truncated() > 0 {
            return Err(Fault::large("an input is longer than the model's positions"));
        }
        self.submit("(base)".into(), encoded)
    }

    fn submit(&self, name: String, encoded: Encoded) -> Result<UnderWay, Fault> {
        let encoded = Arc::new(encoded);
        let ticket = self.engine.submit(&encoded).inspect_err(|_| self.metrics.refused())?;
        Ok(UnderWay { name, encoded, ticket })
    }

    /// Waits for the outputs, and counts the request.
    pub(crate) async fn finish(
        &self,
        asked: &Asked,
        under_way: UnderWay,
    ) -> Result<(Arc<Encoded>, Outputs), Fault> {
        let UnderWay { name, encoded, ticket } = under_way;
        let outputs = timeout_at(asked.until, ticket.outputs()).await;
        let outputs = outputs.map_err(|_| Fault::late()).flatten();
        let counted = Counted {
            inputs: encoded.len() as u64,
            tokens: encoded.all_tokens() as u64,
            cut: encoded.truncated() as u64,
            failed: outputs.is_err(),
            took: asked.begin.elapsed(),
        };
        self.metrics.request(&name, &counted);
        Ok((encoded, outputs?))
    }

    /// Refuses more inputs than a request may have.
    pub(crate) fn check_count(&self, inputs: usize) -> Result<(), Fault> {
        match inputs > self.limits.inputs {
            true => Err(Fault::large(format!(
                "{inputs} inputs are more than the {} of one request; send several",
                self.limits.inputs
            ))),
            false => Ok(()),
        }
    }
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body)
            .map_err(|e| Fault::bad(format!("the body is not as it should be: {e}")))
    }

    /// Whether the body is the bytes of a file.
    pub(crate) fn is_file(&self) -> bool {
        let kind = self.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("");
        kind.starts_with("image/") || kind.starts_with("application/octet-stream")
    }
}
