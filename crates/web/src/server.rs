//! The board's server, until it is told to end.

use std::net::SocketAddr;
use std::time::Duration;

use budwood_http::Ends;
use tokio::net::TcpListener;

use crate::app::{FILES, Options};
use crate::routes::router;

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
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
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
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("cannot listen on {address}: {e}; give another --port"))?;
        let here = listener.local_addr()?;
        let tls = options.tls.take();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let router = router(options.listening(here, scheme))?;
        let mut ends = Ends::new()?;
        ready(here);
        budwood_http::serve(listener, router, (limits, tls), ends.wait(), || {}).await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}
