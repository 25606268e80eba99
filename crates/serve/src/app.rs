//! What all requests share, and the way of a request through it.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING};
use axum::http::{HeaderMap, Request};
use budwood::{Adapter, Encoded, Input, Vectors};
use budwood_http::{Arrival, Bounds, Memory, Refused, Room};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use crate::engine::{Engine, Outputs, Ticket};
use crate::fault::Fault;
use crate::given;
use crate::keys::{Allowed, Keys, Scope};
use crate::metrics::{Metrics, Request as Counted};
use crate::shelf::{Loaded, Shelf};

/// How much clients may ask.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request.
    pub body: usize,
    /// Inputs of a request, over all of the adapters that it names.
    pub inputs: usize,
    /// Pixels of all images of a request.
    pub pixels: u64,
    /// Tokens that may wait.
    pub tokens: usize,
    /// Time until a request must be answered.
    pub time: Duration,
    /// Time until the body of a request must be there; a large one has more.
    pub arrival: Duration,
    /// Time in which a client must say or take something.
    pub still: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// Connections of one client at one time; clients on this machine have no such limit.
    pub connections_each: usize,
    /// How long requests are still taken when the server is told to end.
    pub drain: Duration,
    /// How long requests that are under way may take when the server is told to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            inputs: 1024,
            pixels: 50_000_000,
            tokens: 100_000,
            time: Duration::from_secs(30),
            arrival: Duration::from_secs(10),
            still: Duration::from_secs(15),
            connections: 1024,
            connections_each: 256,
            drain: Duration::ZERO,
            grace: Duration::from_secs(30),
        }
    }
}

/// Megabytes of all requests that are held.
const BODIES: u32 = 128;
/// Megabytes of all answers that wait to be sent.
const UNSENT: u32 = 128;
/// Threads that make tokens of texts and read adapters, ...
const ENCODERS: usize = 4;
/// ... and those among them for what takes long: small requests do not stand behind it.
const LONG: usize = 2;
/// Bytes of a request whose texts take long, ...
const LARGE: usize = 256 << 10;
/// ... and of one whose texts are tokens sooner than another thread would wake for them.
const SHORT: usize = 1 << 10;
/// Bytes of one text: until it is cut, its tokens take 200 times as much.
const TEXT: usize = 1 << 20;
/// Lists that are made at one time.
const LISTS: usize = 2;
/// Values in the JSON of a request.
const VALUES: usize = 1 << 18;

pub(crate) struct App {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) vectors: Option<Vectors>,
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) ending: AtomicBool,
    pub(crate) unsent: Memory,
    keys: Keys,
    bodies: Memory,
    encoders: Arc<Semaphore>,
    long: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

/// A request that is allowed, with its body.
pub(crate) struct Asked {
    pub(crate) allowed: Allowed,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) begin: Instant,
    /// It has so many bytes that its texts take long.
    large: bool,
    /// It has few bytes, and no tokens were made of them yet.
    short: AtomicBool,
    until: tokio::time::Instant,
    /// What it takes of the memory for all requests.
    room: Option<Room>,
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
            unsent: Memory::megabytes(UNSENT),
            bodies: Memory::megabytes(BODIES),
            encoders: Arc::new(Semaphore::new(ENCODERS)),
            long: Arc::new(Semaphore::new(LONG)),
            lists: Arc::new(Semaphore::new(LISTS)),
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
        if parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Fault::packed());
        }
        let most = self.limits.body;
        let refused = |refused| match refused {
            Refused::Large => Fault::large(format!("a request may have up to {most} bytes")),
            Refused::Slow => Fault::slow(),
            Refused::Cut => Fault::bad("the body breaks off, or is not as HTTP has it"),
            Refused::Full => Fault::busy(),
        };
        let bounds = Bounds { most, time: self.limits.arrival };
        let arrival = Arrival::new(&parts.headers, body, bounds, &self.bodies).map_err(refused)?;
        let whole = timeout_at(until, arrival.whole()).await.map_err(|_| Fault::late())?;
        let (body, room) = whole.map_err(refused)?;
        let (large, short) = (body.len() > LARGE, AtomicBool::new(body.len() <= SHORT));
        let (headers, body) = (parts.headers, Vec::from(body));
        Ok(Asked { allowed, headers, body, begin, large, short, until, room })
    }

    /// Takes the body as JSON. What its values take in memory is counted before they are made.
    pub(crate) async fn json<T>(&self, asked: &mut Asked) -> Result<T, Fault>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let body = std::mem::take(&mut asked.body);
        let values = given::values(&body);
        if values > VALUES {
            return Err(Fault::large(format!("a request may have up to {VALUES} values")));
        }
        // Lists grow by doubling.
        let kilobytes = (2 * values * size_of::<serde_json::Value>()) >> 10;
        let more = self.bodies.try_take(kilobytes as u32).ok_or_else(Fault::busy)?;
        match &mut asked.room {
            Some(room) => room.add(more),
            None => asked.room = Some(more),
        }
        let parse = move || {
            let bad =
                |why: &dyn Display| Fault::bad(format!("the body is not as it should be: {why}"));
            // A list would be taken for the fields in the order in which they stand here.
            if body.trim_ascii_start().first() != Some(&b'{') {
                return Err(bad(&"a JSON object is wanted"));
            }
            serde_json::from_slice(&body).map_err(|e| bad(&e))
        };
        if asked.large { self.work(asked, true, parse).await } else { parse() }
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
        self.work(asked, false, move || shelf.get(&name)).await
    }

    /// Does work that takes a thread, on few threads; on fewer still what takes long. Work that
    /// nobody waits for any more keeps its turn until it is done: no more is begun than there are
    /// turns.
    pub(crate) async fn work<R: Send + 'static>(
        &self,
        asked: &Asked,
        long: bool,
        work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let done = async {
            let slow = if long { Some(turn(&self.long).await?) } else { None };
            on_thread((slow, turn(&self.encoders).await?), work).await
        };
        timeout_at(asked.until, done).await.map_err(|_| Fault::late())?
    }

    /// Looks at the adapters on a thread that may block.
    pub(crate) async fn look<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let app = Arc::clone(self);
        let done = async { on_thread(turn(&self.lists).await?, move || work(&app)).await };
        timeout(self.limits.time, done).await.map_err(|_| Fault::late())?
    }

    /// Makes tokens of inputs: of short texts at once, without a thread that must be woken, but for
    /// one adapter alone, as a short request may name a thousand. Others, and images, whose few
    /// bytes may be many pixels, are for a thread that may take long.
    async fn encode(
        &self,
        asked: &Asked,
        inputs: Vec<Input>,
        encode: impl FnOnce(Vec<Input>) -> Result<Encoded, Fault> + Send + 'static,
    ) -> Result<Encoded, Fault> {
        let texts = || inputs.iter().flat_map(Input::cells);
        if asked.large && texts().any(|(_, text)| text.len() > TEXT) {
            let message = format!("a text may have up to {TEXT} bytes; send the part that counts");
            return Err(Fault::large(message));
        }
        let images = inputs.iter().any(|input| matches!(input, Input::Image(_)));
        if images || !asked.short.swap(false, Ordering::Relaxed) {
            return self.work(asked, asked.large, move || encode(inputs)).await;
        }
        catch_unwind(AssertUnwindSafe(|| encode(inputs))).unwrap_or_else(|_| Err(failed()))
    }

    /// Puts inputs of an adapter in the queue.
    pub(crate) async fn begin(
        &self,
        asked: &Asked,
        loaded: &Arc<Loaded>,
        (inputs, cut): (Vec<Input>, bool),
    ) -> Result<UnderWay, Fault> {
        let adapter: Adapter = loaded.adapter.clone();
        let encode = move |inputs| Ok(adapter.encode(inputs)?);
        let encoded = self.encode(asked, inputs, encode).await?;
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
        let encode = move |inputs| Ok(vectors.encode(inputs)?);
        let encoded = self.encode(asked, inputs, encode).await?;
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
    /// Whether the body is the bytes of a file.
    pub(crate) fn is_file(&self) -> bool {
        let kind = self.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("");
        kind.starts_with("image/") || kind.starts_with("application/octet-stream")
    }
}

async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Fault> {
    Arc::clone(turns).acquire_owned().await.map_err(|_| Fault::ending())
}

fn failed() -> Fault {
    Fault::internal("the work failed; the server goes on")
}

/// Does work on a thread that may block; `held` is dropped when it is done.
async fn on_thread<R: Send + 'static>(
    held: impl Send + 'static,
    work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
) -> Result<R, Fault> {
    let done = tokio::task::spawn_blocking(move || {
        let _held = held;
        work()
    });
    done.await.map_err(|_| failed())?
}
