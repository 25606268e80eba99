//! Connections: how many, how long, and from whom.

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

use crate::app::Options;
use crate::ask::Peer;
use crate::guard::handles;
use crate::guard::host;
use crate::guard::house::{House, Seat};
use crate::guard::paced::{Pace, Paced};
use crate::routes::router;

/// Bytes of a connection's own memory, for a request's headers and for what waits to be sent.
const BUFFER: usize = 16 << 10;
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
    let limits = options.limits;
    let (wanted, most) = (limits.connections, handles::connections(limits.connections));
    if most < wanted {
        report(&format!(
            "{most} connections at one time instead of {wanted}: the system allows this process no \
             more open files (ulimit -n)"
        ));
    }
    // Behind a proxy all connections are the proxy's.
    let each = if options.behind_proxy { most } else { limits.connections_each };
    let pace = Pace { still: Duration::from_secs(limits.still), least: Pace::LEAST };
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let here = listener.local_addr()?;
        if options.url.is_none() && !here.ip().is_unspecified() {
            options.url = Some(format!("http://{here}"));
        }
        let router = router(options)?;
        let mut ends = ends()?;
        ready(here);
        let house = Arc::new(House::new(most, each));
        let (close, closing) = watch::channel(());
        let door = Door { house: Arc::clone(&house), router, pace, closing };
        tokio::select! {
            () = door.accept(listener) => {}
            () = ends.wait() => {}
        }
        // Dropping the door has closed it; those inside finish what they are at.
        drop(close);
        let _ = tokio::time::timeout(GRACE, house.empty()).await;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// What tells a server to end.
struct Ends {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

fn ends() -> std::io::Result<Ends> {
    Ok(Ends {
        #[cfg(unix)]
        terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
    })
}

impl Ends {
    async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[expect(clippy::print_stderr, reason = "the operator's log of the server is its standard error")]
fn report(text: &str) {
    eprintln!("{text}");
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
