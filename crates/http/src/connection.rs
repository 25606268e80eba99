//! One connection, from its first byte to its last.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service as _;

use crate::client::Peer;
use crate::host;
use crate::house::{Pulse, Seat, Work};
use crate::log::log;
use crate::paced::{Pace, Paced};
use crate::tls::Tls;

/// Bytes of a connection's own memory, for a request's headers and for what waits to be sent.
const BUFFER: usize = 16 << 10;
/// How long what a client still sends is taken and forgotten after the last answer, so that it can
/// read that answer: closing with bytes unread would tear it away.
const LINGER: Duration = Duration::from_secs(3);
/// Bytes of that.
const LINGER_BYTES: u64 = 256 << 20;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) pace: Pace,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Answers say that theirs is the last of the connection.
    pub(crate) leaving: Arc<AtomicBool>,
    pub(crate) closing: watch::Receiver<()>,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, mut seat: Seat, shared: Shared) {
    let _ = stream.set_nodelay(true);
    let (client, pulse, pace) = (peer.ip(), seat.pulse(), shared.pace);
    let Some(tls) = shared.tls.clone() else {
        let stream = Paced::new(stream, pace, pulse);
        return converse(stream, client, seat, shared).await;
    };
    let hands = async {
        // Whoever speaks HTTP in the clear is told.
        if tls.is_plain(&stream).await {
            let mut stream = Paced::new(stream, pace, pulse);
            let _ = stream.write_all(PLAIN).await;
            linger(&mut stream).await;
            return None;
        }
        Some(tls.accept(Paced::new(stream, pace, pulse)).await)
    };
    let hands = tokio::select! {
        hands = timeout(pace.still, hands) => hands,
        () = seat.asked_to_leave() => return log(format_args!("cut {client}: others wanted in")),
    };
    match hands {
        Ok(Some(Ok(stream))) => converse(stream, client, seat, shared).await,
        Ok(None) => log(format_args!("refused {client}: it does not speak TLS")),
        Ok(Some(Err(_))) => log(format_args!("refused {client}: TLS failed")),
        Err(_) => log(format_args!("cut {client}: TLS took too long to begin")),
    }
}

const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 39\r\nconnection: close\r\n\r\nThis port speaks TLS: ask by https://.\n";

async fn converse<S>(stream: S, client: IpAddr, mut seat: Seat, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Shared { router, pace, leaving, mut closing, .. } = shared;
    let pulse = seat.pulse();
    let asked = Arc::clone(&pulse);
    let unread = Arc::new(AtomicBool::new(false));
    let left = Arc::clone(&unread);
    let service = service_fn(move |request: Request<Incoming>| {
        let work = asked.request();
        let mut request = request.map(|body| {
            let (work, unread) = (Arc::clone(&work), Arc::clone(&left));
            Body::new(Watched::new(body, work, unread))
        });
        request.extensions_mut().insert(Peer(client));
        let refused = host::refused(&request);
        let answer = router.clone().call(request);
        let leaving = Arc::clone(&leaving);
        Box::pin(async move {
            let _done = Done(work);
            let answer = match refused {
                Some(refusal) => Ok(refusal),
                None => answer.await,
            };
            answer.map(|mut answer| {
                if leaving.load(Ordering::Relaxed) {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            })
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(pace.still)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut told = false;
    let outcome = loop {
        tokio::select! {
            outcome = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break outcome,
            () = seat.asked_to_leave() => return log(format_args!("cut {client}: others wanted in")),
            _ = closing.changed(), if !told => {
                told = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(e) = &outcome {
        say(client, &pulse, e);
        if !e.is_parse() {
            return;
        }
    }
    let mut stream = connection.into_parts().io.into_inner();
    let end = async {
        match outcome.is_err() || unread.load(Ordering::Relaxed) {
            true => linger(&mut stream).await,
            false => drop(timeout(LINGER, stream.shutdown()).await),
        }
    };
    tokio::select! {
        () = end => {}
        () = seat.asked_to_leave() => {}
    }
}

/// Notes a connection that broke, where that says something to the operator.
fn say(client: IpAddr, pulse: &Pulse, error: &hyper::Error) {
    let mut source = std::error::Error::source(error);
    let mut slow = false;
    while let Some(e) = source {
        let io = e.downcast_ref::<std::io::Error>();
        slow |= io.is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut);
        source = e.source();
    }
    if slow {
        log(format_args!("cut {client}: it took next to nothing of its answer"));
    } else if error.is_timeout() && pulse.is_asking() {
        log(format_args!("cut {client}: its request took too long to arrive"));
    } else if error.is_parse() {
        log(format_args!("refused {client}: what it said is no request"));
    }
}

/// Says that nothing more will come, and takes what still comes, for a while.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let rest = async {
        stream.shutdown().await?;
        let mut all = 0;
        let mut piece = [0; 4096];
        while all < LINGER_BYTES {
            match stream.read(&mut piece).await? {
                0 => break,
                n => all += n as u64,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(LINGER, rest).await;
}

/// Ends the work when the answer is there, or given up.
struct Done(Arc<Work>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A body with a mark: from its end on the server owes the next word.
struct Watched {
    body: Incoming,
    work: Arc<Work>,
    /// Set where it is dropped before its end.
    unread: Arc<AtomicBool>,
    ended: bool,
}

impl Watched {
    fn new(body: Incoming, work: Arc<Work>, unread: Arc<AtomicBool>) -> Self {
        let ended = body.is_end_stream();
        if ended {
            work.begin();
        }
        Self { body, work, unread, ended }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            self.ended = true;
            self.work.begin();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.work.begin();
        if !self.ended && !self.body.is_end_stream() {
            self.unread.store(true, Ordering::Relaxed);
        }
    }
}
