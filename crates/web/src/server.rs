//! Connections: how many, how long, and from whom.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service as _;

use crate::app::Options;
use crate::routes::router;

/// The client's address, as the connection has it.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Seconds until a request's headers must have arrived.
const HEADERS: u64 = 10;

/// Serves a board until Ctrl-C; `ready` is told the address once the door is open.
///
/// # Errors
/// If the board cannot be opened, or the address is taken.
pub fn serve(
    options: Options,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connections = options.limits.connections;
    let router = router(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        ready(listener.local_addr()?);
        tokio::select! {
            () = accept(listener, router, connections) => {}
            end = tokio::signal::ctrl_c() => end?,
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener, router: Router, connections: usize) {
    let free = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            // No file handle is left, or the client went away: others may come.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            let _permit = permit;
            connection(stream, peer, router).await;
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().call(request)
    });
    // A connection that breaks is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADERS))
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
