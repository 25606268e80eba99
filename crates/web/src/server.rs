//! The board's server, until it is told to end.

use std::net::SocketAddr;
use std::time::Duration;

use budwood_http::{Fault, Threads};

use crate::app::{FILES, Options};
use crate::routes::router;

/// Threads that may block, at most: as many as a runtime usually has.
const BLOCKING: usize = 512;
/// How long answers that are under way may take when the server is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves a board until Ctrl-C or SIGTERM; `ready` is told the address once the door is open.
///
/// Answers that are under way when the end comes are still sent, within 5 seconds.
///
/// # Errors
/// If the board cannot be opened, or the address is taken.
pub fn serve(
    mut options: Options,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Fault> {
    let asked = options.limits;
    let mut limits = budwood_http::Limits {
        connections: asked.connections,
        connections_each: asked.connections_each,
        still: Duration::from_secs(asked.still),
        drain: Duration::ZERO,
        grace: GRACE,
        files: FILES,
    }
    .fitted();
    if options.behind_proxy {
        // All connections are the proxy's.
        limits.connections_each = limits.connections;
    }
    let tls = options.tls.take();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let begin = |here| {
        let router = router(options.listening(here, scheme))?;
        ready(here);
        Ok(router)
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = Threads { workers, blocking: BLOCKING };
    budwood_http::run(address, threads, (limits, tls), Box::new(begin), &|| {})
}
