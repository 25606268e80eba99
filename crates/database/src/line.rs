//! What travels between this process and a server: questions may be sent while earlier ones have no
//! answer yet.

use std::future::{Future, poll_fn};
use std::mem::replace;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Runtime;
use tokio_postgres::{Connection, Error, Row, Socket};

use crate::tls::Stream;

/// A connection, moved by whoever waits for something.
pub(crate) struct Line {
    runtime: Runtime,
    /// None when it has ended.
    connection: Option<Connection<Socket, Stream>>,
    /// Questions whose answers nobody has taken yet.
    open: Vec<Open>,
}

struct Open {
    number: u64,
    answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    /// The answer, when all of it is here.
    here: Option<Answer>,
}

type Answer = Result<Vec<Row>, Error>;

impl Open {
    /// Sends the question, if it was not, and takes what has come of its answer.
    fn poll(&mut self, context: &mut Context<'_>) {
        if self.here.is_none()
            && let Poll::Ready(answer) = self.answer.as_mut().poll(context)
        {
            self.here = Some(answer);
        }
    }
}

impl Line {
    pub(crate) fn new(runtime: Runtime, connection: Connection<Socket, Stream>) -> Self {
        Self { runtime, connection: Some(connection), open: Vec::new() }
    }

    /// Asks a question under a number: it travels with what is waited for next.
    pub(crate) fn ask(
        &mut self,
        number: u64,
        answer: impl Future<Output = Answer> + Send + 'static,
    ) {
        let mut open = Open { number, answer: Box::pin(answer), here: None };
        // Questions are answered in the order in which they are put here.
        open.poll(&mut Context::from_waker(Waker::noop()));
        self.open.push(open);
    }

    /// Whether a question was asked here and its answer not taken.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.open.iter().any(|open| open.number == number)
    }

    /// Waits for the answer to a question that is open, and takes it.
    pub(crate) fn answer(&mut self, number: u64) -> Answer {
        self.until(|open, _| {
            let here = |open: &Open| open.number == number && open.here.is_some();
            let place = open.iter().position(here);
            let answer = place.and_then(|place| open.swap_remove(place).here);
            answer.map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// Sends as much of what was asked as the server takes now.
    pub(crate) fn push(&mut self) -> Result<(), Error> {
        let mut is_sent = false;
        self.until(|_, _| match replace(&mut is_sent, true) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        })
    }

    /// Leaves the answer to a question where it is.
    pub(crate) fn forget(&mut self, number: u64) {
        self.open.retain(|open| open.number != number);
    }

    /// Waits for the end of other work on the connection.
    pub(crate) fn wait<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut work = pin!(work);
        self.until(|_, context| work.as_mut().poll(context))
    }

    /// Moves what is to be moved until something is done. Answers to all questions are taken in, as
    /// one that nobody takes would stop those behind it.
    fn until<T>(
        &mut self,
        mut done: impl FnMut(&mut Vec<Open>, &mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Result<T, Error> {
        let Self { runtime, connection, open } = self;
        runtime.block_on(poll_fn(|context| {
            if let Poll::Ready(done) = done(open, context) {
                return Poll::Ready(done);
            }
            while let Some(line) = connection {
                match line.poll_message(context) {
                    // A notice.
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(e))) => {
                        *connection = None;
                        return Poll::Ready(Err(e));
                    }
                    Poll::Ready(None) => *connection = None,
                    Poll::Pending => break,
                }
            }
            open.iter_mut().for_each(|open| open.poll(context));
            done(open, context)
        }))
    }
}

impl Drop for Line {
    /// Takes leave of the server. Nobody asks any more: the client is gone.
    fn drop(&mut self) {
        self.open.clear();
        if let Some(mut connection) = self.connection.take() {
            // Where that fails, it has ended.
            let _ = self.runtime.block_on(&mut connection);
        }
    }
}
