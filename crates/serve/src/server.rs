//! The server, until it is told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use budwood::Base;
use budwood_http::{Ends, Tls};
use tokio::net::TcpListener;

use crate::app::{App, Limits};
use crate::keys::Keys;
use crate::routes::router;
use crate::shelf::Shelf;
use crate::source::Source;

/// Files that the server has open beside its connections: adapters that are read.
const FILES: usize = 64;

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

fn app(settings: Settings) -> Arc<App> {
    let Settings { base, adapters, cache, threads, keys, limits, tls: _ } = settings;
    let vectors = base.vectors(None).ok();
    let shelf = Shelf::new(base, adapters, cache);
    Arc::new(App::new(shelf, vectors, (keys, limits, threads)))
}

/// The service without connections: for tests, and beside other services.
pub fn service(settings: Settings) -> Router {
    router(app(settings))
}

/// Serves until Ctrl-C or SIGTERM; `ready` is told the address once the door is open.
///
/// Requests that are under way when the end comes are still answered, within the limits' grace.
///
/// # Errors
/// If the address is taken.
pub fn serve(
    mut settings: Settings,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (limits, tls) = (settings.limits, settings.tls.take());
    let app = app(settings);
    let connections = budwood_http::Limits {
        connections: limits.connections,
        connections_each: limits.connections_each,
        still: limits.still,
        drain: limits.drain,
        grace: limits.grace,
        files: FILES,
    }
    .fitted();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("cannot listen on {address}: {e}; give another --port"))?;
        let here = listener.local_addr()?;
        let mut ends = Ends::new()?;
        ready(here);
        let router = router(Arc::clone(&app));
        let ended = || app.ending.store(true, Ordering::Relaxed);
        budwood_http::serve(listener, router, (connections, tls), ends.wait(), ended).await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}
