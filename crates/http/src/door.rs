//! The door: connections come in, are limited, and end.

use std::net::SocketAddr;
use std::pin::pin;
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
use tokio::sync::watch;
use tower_service::Service as _;

use crate::client::Peer;
use crate::house::{House, Seat};
use crate::paced::{Pace, Paced};
use crate::{handles, host};

/// Bytes of a connection's own memory, for a request's headers and for what waits to be sent.
const BUFFER: usize = 16 << 10;

/// How much clients may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at one time, over all clients.
    pub connections: usize,
    /// Connections of one client.
    pub connections_each: usize,
    /// Time in which a client must say or take something before its connection is cut.
    pub still: Duration,
    /// How long answers that are under way may take when the server is told to end.
    pub grace: Duration,
    /// Files that the service itself may have open beside the connections.
    pub files: usize,
}

impl Limits {
    /// The same with no more connections than the system lets this process have; raises that limit
    /// as far as it may.
    pub fn fitted(self) -> Self {
        Self { connections: handles::connections(self.connections, self.files), ..self }
    }
}

/// Serves until `end` comes. Answers that are under way then are still sent, within the grace.
/// `ended` is called at the end, before waiting for them.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    end: impl Future<Output = ()>,
    ended: impl FnOnce(),
) {
    let house = Arc::new(House::new(limits.connections, limits.connections_each));
    let (close, closing) = watch::channel(());
    let pace = Pace { still: limits.still, least: Pace::LEAST };
    let door = Door { house: Arc::clone(&house), router, pace, closing };
    tokio::select! {
        () = door.accept(listener) => {}
        () = end => {}
    }
    ended();
    // Dropping the door has closed it; those inside finish what they are at.
    drop(close);
    let _ = tokio::time::timeout(limits.grace, house.empty()).await;
}

/// What tells a server to end: Ctrl-C or SIGTERM.
#[derive(Debug)]
pub struct Ends {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    /// Begins to listen; must be called on a runtime.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Where clients come in.
struct Door {
    house: Arc<House>,
    router: Router,
    pace: Pace,
    closing: watch::Receiver<()>,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // No file handle is left, or the client went away: others may come.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            match self.house.enter(peer.ip()) {
                Some(seat) => {
                    let (router, closing) = (self.router.clone(), self.closing.clone());
                    tokio::spawn(connection(stream, peer, seat, self.pace, router, closing));
                }
                None => refuse(&stream),
            }
        }
    }
}

/// Says that there is no room, if that can be said at once.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n\
          connection: close\r\n\r\n",
    );
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    mut seat: Seat,
    pace: Pace,
    router: Router,
    mut closing: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let pulse = seat.pulse();
    let io = TokioIo::new(Paced::new(stream, pace, Arc::clone(&pulse)));
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        let refused = host::refused(&request);
        let answer = router.clone().call(request);
        let at_work = pulse.at_work();
        async move {
            let _at_work = at_work;
            match refused {
                Some(refusal) => Ok(refusal),
                None => answer.await,
            }
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(pace.still)
            .max_buf_size(BUFFER)
            .serve_connection(io, service)
    );
    let mut told = false;
    loop {
        tokio::select! {
            // A connection that breaks is the client's affair.
            _ = connection.as_mut() => return,
            () = seat.asked_to_leave() => return,
            _ = closing.changed(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
