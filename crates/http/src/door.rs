//! The door: connections come in, are limited, and end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::connection::{self, Shared};
use crate::handles;
use crate::house::House;
use crate::log::log;
use crate::paced::Pace;
use crate::tls::Tls;

/// How much clients may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at one time, over all clients.
    pub connections: usize,
    /// Connections of one client.
    pub connections_each: usize,
    /// Time in which a client must say or take something before its connection is cut.
    pub still: Duration,
    /// How long requests are still taken when the server is told to end: time in which balancers
    /// learn of it. Each answer then is the last of its connection.
    pub drain: Duration,
    /// How long answers that are under way may take after that.
    pub grace: Duration,
    /// Files that the service itself may have open beside the connections.
    pub files: usize,
}

impl Limits {
    /// The same with no more connections than the system lets this process have; raises that limit
    /// as far as it may. The log is told where they are fewer.
    pub fn fitted(self) -> Self {
        let (wanted, most) = (self.connections, handles::connections(self.connections, self.files));
        if most < wanted {
            log(format_args!(
                "{most} connections at one time instead of {wanted}: the system allows this \
                 process no more open files (ulimit -n)"
            ));
        }
        Self { connections: most, ..self }
    }
}

/// Threads of a server.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Those that serve connections.
    pub workers: usize,
    /// Those that may block, at most.
    pub blocking: usize,
}

/// Why a server did not begin.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Serves on this address until Ctrl-C or SIGTERM, with TLS where it is given. `begin` makes the
/// router once the address is taken, and is told it. `ended` is called at the end; requests are
/// still taken for the time of draining, and answers that are under way after it are sent, within
/// the grace.
///
/// # Errors
/// If the address is taken, and those of `begin`.
pub fn run(
    address: SocketAddr,
    threads: Threads,
    with: (Limits, Option<Tls>),
    begin: Box<dyn FnOnce(SocketAddr) -> Result<Router, Fault> + '_>,
    ended: &dyn Fn(),
) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.workers)
        .max_blocking_threads(threads.blocking)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("cannot listen on {address}: {e}; give another --port"))?;
        let mut ends = Ends::new()?;
        let router = begin(listener.local_addr()?)?;
        serve(listener, router, with, ends.wait(), ended).await;
        Ok::<_, Fault>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// Serves until `end` comes.
async fn serve(
    listener: TcpListener,
    router: Router,
    (limits, tls): (Limits, Option<Tls>),
    end: impl Future<Output = ()>,
    ended: impl FnOnce(),
) {
    let house = Arc::new(House::new(limits.connections, limits.connections_each));
    let (close, closing) = watch::channel(());
    let pace = Pace { still: limits.still, least: Pace::LEAST };
    let (tls, leaving) = (tls.map(Arc::new), Arc::new(AtomicBool::new(false)));
    let follow = tls.clone();
    let shared = Shared { router, pace, tls, leaving: Arc::clone(&leaving), closing };
    let door = Door { house: Arc::clone(&house), shared };
    let end = async {
        end.await;
        ended();
        leaving.store(true, Ordering::Relaxed);
        tokio::time::sleep(limits.drain).await;
    };
    tokio::select! {
        () = door.accept(listener) => {}
        () = Tls::follow(follow) => {}
        () = end => {}
    }
    // Dropping the door has closed it; those inside finish what they are at.
    drop(close);
    let _ = tokio::time::timeout(limits.grace, house.empty()).await;
}

/// What tells a server to end: Ctrl-C or SIGTERM.
#[derive(Debug)]
struct Ends {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    /// Begins to listen; must be called on a runtime.
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    /// Waits for either.
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

/// Where clients come in.
struct Door {
    house: Arc<House>,
    shared: Shared,
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
                    tokio::spawn(connection::serve(stream, peer, seat, self.shared.clone()));
                }
                None => {
                    log(format_args!("refused {}: there are too many connections", peer.ip()));
                    refuse(&stream, self.shared.tls.is_some());
                }
            }
        }
    }
}

/// Says that there is no room, if that can be said at once.
fn refuse(stream: &TcpStream, tls: bool) {
    if !tls {
        let _ = stream.try_write(
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n\
              connection: close\r\n\r\n",
        );
    }
}
