//! The server, until it is told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use budwood::Base;
use budwood_http::{Fault, Threads, Tls};

use crate::app::{App, Limits};
use crate::keys::Keys;
use crate::routes::router;
use crate::shelf::Shelf;
use crate::source::Source;

/// Files that the server has open beside its connections: adapters that are read.
const FILES: usize = 64;
/// Threads that may block, at most: more than what is done on them at one time, so that nothing
/// waits for one. Work beside is not known here, and has as many as a runtime usually has.
const BLOCKING: usize = 8;
const BLOCKING_BESIDE: usize = 512;

/// What a server is started with.
pub struct Settings {
    /// The model in memory.
    pub base: Base,
    /// Where adapters lie.
    pub adapters: Box<dyn Source>,
    /// Bytes of adapters' parameters that stay in memory.
    pub cache: u64,
    /// Threads that compute.
    pub threads: usize,
    /// Who may do what.
    pub keys: Keys,
    /// How much clients may ask.
    pub limits: Limits,
    /// The certificate to speak TLS with.
    pub tls: Option<Tls>,
}

/// Another service on the same port: it has all addresses that this one has not, and `/`.
pub struct Beside {
    /// Makes it, once the address of the port is known.
    pub router: Box<dyn FnOnce(SocketAddr) -> Result<Router, Fault>>,
    /// Files that it may have open beside its connections.
    pub files: usize,
}

fn app(settings: Settings) -> Arc<App> {
    let Settings { base, adapters, cache, threads, keys, limits, tls: _ } = settings;
    let vectors = base.vectors(None).ok();
    let shelf = Shelf::new(base, adapters, cache);
    Arc::new(App::new(shelf, vectors, (keys, limits, threads)))
}

/// The service without connections, for tests.
pub fn service(settings: Settings) -> Router {
    router(app(settings), None)
}

/// Serves until Ctrl-C or SIGTERM; `ready` is told the address once the door is open. Limits of
/// connections are those of both services together.
///
/// Requests that are under way when the end comes are still answered, within the limits' grace.
///
/// # Errors
/// If the address is taken, or the service beside cannot be made.
pub fn serve(
    mut settings: Settings,
    beside: Option<Beside>,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Fault> {
    let (limits, tls) = (settings.limits, settings.tls.take());
    let app = app(settings);
    let connections = budwood_http::Limits {
        connections: limits.connections,
        connections_each: limits.connections_each,
        still: limits.still,
        drain: limits.drain,
        grace: limits.grace,
        files: FILES + beside.as_ref().map_or(0, |beside| beside.files),
    }
    .fitted();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match beside {
        Some(_) => Threads { workers: processors.max(2), blocking: BLOCKING + BLOCKING_BESIDE },
        None => Threads { workers: 2, blocking: BLOCKING },
    };
    let begin = |here| {
        let beside = beside.map(|beside| (beside.router)(here)).transpose()?;
        ready(here);
        Ok(router(Arc::clone(&app), beside))
    };
    let ended = || app.ending.store(true, Ordering::Relaxed);
    budwood_http::run(address, threads, (connections, tls), Box::new(begin), &ended)
}
