//! A connection that is cut when its client takes nothing, or next to nothing, of what is sent to
//! it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::house::Pulse;

/// How slow a client may be.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// In each span of this time ...
    pub(crate) still: Duration,
    /// ... it must take so many bytes of what waits for it.
    pub(crate) least: usize,
}

impl Pace {
    /// A kilobyte a second, about, where the span is 15 seconds.
    pub(crate) const LEAST: usize = 16 << 10;
}

/// The stream of a connection.
pub(crate) struct Paced<S> {
    stream: S,
    pace: Pace,
    pulse: Arc<Pulse>,
    /// The end of the span, while something waits to be sent.
    span: Option<Pin<Box<Sleep>>>,
    /// Bytes that were taken in it.
    taken: usize,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, pace: Pace, pulse: Arc<Pulse>) -> Self {
        Self { stream, pace, pulse, span: None, taken: 0 }
    }

    /// Notes what became of a write: an error in the place of waiting on when the client is too
    /// slow.
    fn noted(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(n)) => {
                self.pulse.beat();
                self.taken += n;
                Poll::Ready(Ok(n))
            }
            Poll::Ready(e) => Poll::Ready(e),
            Poll::Pending => {
                let Pace { still, least } = self.pace;
                if self.span.is_none() {
                    self.taken = 0;
                }
                let span = self.span.get_or_insert_with(|| Box::pin(sleep(still)));
                loop {
                    ready!(span.as_mut().poll(cx));
                    if self.taken < least {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    self.taken = 0;
                    span.as_mut().reset(Instant::now() + still);
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.heard();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// All that waited was taken: the span is over.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.span = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PACE: Pace = Pace { still: Duration::from_millis(200), least: 1000 };

    /// A client that takes so many bytes every 50 ms.
    struct Client {
        each: usize,
        next: Pin<Box<Sleep>>,
    }

    const TICK: Duration = Duration::from_millis(50);

    impl AsyncWrite for Client {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            ready!(self.next.as_mut().poll(cx));
            if self.each == 0 {
                return Poll::Pending;
            }
            self.next.as_mut().reset(Instant::now() + TICK);
            Poll::Ready(Ok(bytes.len().min(self.each)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn send(paced: &mut Paced<Client>, mut bytes: usize) -> io::Result<()> {
        let all = vec![0; bytes];
        while bytes > 0 {
            bytes -= poll_fn(|cx| Pin::new(&mut *paced).poll_write(cx, &all[..bytes])).await?;
        }
        poll_fn(|cx| Pin::new(&mut *paced).poll_flush(cx)).await
    }

    fn paced(each: usize) -> Paced<Client> {
        Paced::new(Client { each, next: Box::pin(sleep(TICK)) }, PACE, Arc::default())
    }

    #[tokio::test]
    async fn who_takes_nothing_or_drops_is_cut_and_who_is_slow_is_not() {
        for each in [0, 1, 50] {
            let start = Instant::now();
            let outcome = send(&mut paced(each), 100_000).await;
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut, "{each}");
            assert!(start.elapsed() < 10 * PACE.still, "{each}: {:?}", start.elapsed());
        }
        let start = Instant::now();
        send(&mut paced(1000), 12_000).await.unwrap();
        assert!(start.elapsed() > 2 * PACE.still, "it took several spans");
    }

    /// A pause between two answers is not a stall.
    #[tokio::test]
    async fn each_answer_has_its_own_span() {
        let mut paced = paced(100);
        for _ in 0..3 {
            send(&mut paced, 150).await.unwrap();
            tokio::time::sleep(2 * PACE.still).await;
        }
    }
}
