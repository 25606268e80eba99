//! One queue for everybody: threads take about 256 tokens each from its front, of any requests and
//! adapters, as soon as they have done the last.
//!
//! ```text
//! request ── encoded ──> pieces: one input each ──┐
//! request ── encoded ──> pieces ─────────────────┤ queue, oldest first
//!                                                 └─> thread: 256 tokens -> outputs
//!                                                     the last piece of a request answers it
//! ```
//!
//! A short input that comes while all threads wait is computed by whoever waits for its answer: to
//! wake a thread, and to be woken by it, would take a good part of the whole time.
//!
//! There are no rounds: a thread never waits for another, and a long input holds up one thread for
//! one chunk. What stands beside an input in a chunk does not change its output by a bit. A text
//! for many adapters that leave the lowest layers as they are goes through these once a chunk, and
//! counts as less than its tokens there.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use budwood::{Base, CHUNK_TOKENS, Encoded, Worker};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::metrics::Metrics;

/// Multiplications that are done at once where no thread is at work: 1 to 4 ms.
const AT_ONCE: usize = 1 << 29;

/// Outputs of the inputs of a request.
pub(crate) type Outputs = Vec<Vec<f32>>;

struct Job {
    encoded: Arc<Encoded>,
    outputs: Mutex<Outputs>,
    left: AtomicUsize,
    /// The client went away, or an input failed.
    over: AtomicBool,
    answer: Mutex<Option<oneshot::Sender<Result<Outputs, Fault>>>>,
}

impl Job {
    fn fail(&self, fault: Fault) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(answer) = lock(&self.answer).take() {
            let _ = answer.send(Err(fault));
        }
    }

    /// Takes note of outputs; the last ones answer.
    fn done(&self, outputs: Vec<(usize, Vec<f32>)>) {
        let n = outputs.len();
        let mut all = lock(&self.outputs);
        for (input, output) in outputs {
            all[input] = output;
        }
        if self.left.fetch_sub(n, Ordering::AcqRel) == n
            && let Some(answer) = lock(&self.answer).take()
        {
            let _ = answer.send(Ok(std::mem::take(&mut *all)));
        }
    }
}

/// One input of a request.
struct Piece {
    job: Arc<Job>,
    input: usize,
    tokens: usize,
}

/// What waits.
#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    tokens: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

struct Shared {
    base: Base,
    queue: Mutex<Queue>,
    more: Condvar,
    /// Tokens that may wait.
    most: usize,
    /// For inputs that are computed by whoever waits for them.
    spare: Mutex<Worker>,
    metrics: Arc<Metrics>,
}

/// The threads and their queue.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// A request under way. Dropping it takes back what has not begun.
pub(crate) struct Ticket {
    job: Arc<Job>,
    answer: oneshot::Receiver<Result<Outputs, Fault>>,
    /// Who may compute it, where no thread was told of it.
    at_once: Option<Arc<Shared>>,
}

impl Ticket {
    /// The outputs of all inputs, in their order.
    pub(crate) async fn outputs(mut self) -> Result<Outputs, Fault> {
        if let Some(shared) = self.at_once.take() {
            shared.at_once();
        }
        match (&mut self.answer).await {
            Ok(outputs) => outputs,
            Err(_) => Err(Fault::ending()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.job.over.store(true, Ordering::Relaxed);
        if let Some(shared) = &self.at_once {
            shared.more.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Threads that wait for work. `most` tokens may wait.
    pub(crate) fn new(base: Base, threads: usize, most: usize, metrics: Arc<Metrics>) -> Self {
        let (queue, more) = (Mutex::default(), Condvar::new());
        let spare = Mutex::new(base.worker());
        let shared = Arc::new(Shared { base, queue, more, most, spare, metrics });
        let run = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run())
        };
        Self { threads: (0..threads.max(1)).map(run).collect(), shared }
    }

    /// Puts inputs in the queue.
    ///
    /// # Errors
    /// If the queue is full, or closed. A request that alone is larger than the queue is taken
    /// when nothing else waits.
    pub(crate) fn submit(&self, encoded: &Arc<Encoded>) -> Result<Ticket, Fault> {
        let n = encoded.len();
        let (send, answer) = oneshot::channel();
        let job = Arc::new(Job {
            encoded: Arc::clone(encoded),
            outputs: Mutex::new(vec![Vec::new(); n]),
            left: AtomicUsize::new(n),
            over: AtomicBool::new(false),
            answer: Mutex::new(Some(send)),
        });
        if n == 0 {
            job.done(Vec::new());
            return Ok(Ticket { job, answer, at_once: None });
        }
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(Fault::ending());
        }
        let tokens = encoded.all_tokens();
        if queue.tokens > 0 && queue.tokens + tokens > self.shared.most {
            return Err(Fault::busy());
        }
        let at_once = n == 1
            && queue.pieces.is_empty()
            && queue.idle == self.threads.len()
            && tokens * self.shared.base.packed().spec().multiplications() <= AT_ONCE
            && !encoded.is_images();
        queue.tokens += tokens;
        for input in 0..n {
            let (job, tokens) = (Arc::clone(&job), encoded.tokens(input));
            queue.pieces.push_back(Piece { job, input, tokens });
        }
        drop(queue);
        match n {
            _ if at_once => {}
            1 => self.shared.more.notify_one(),
            _ => self.shared.more.notify_all(),
        }
        Ok(Ticket { job, answer, at_once: at_once.then(|| Arc::clone(&self.shared)) })
    }

    /// Tokens and inputs that wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let queue = lock(&self.shared.queue);
        (queue.tokens, queue.pieces.len())
    }
}

impl Drop for Engine {
    /// Waits for the chunks under way; what has not begun is answered by an error.
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.closed = true;
        queue.pieces.clear();
        drop(queue);
        self.shared.more.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut worker = self.base.worker();
        while let Some(chunk) = self.take() {
            self.compute(&mut worker, chunk);
        }
    }

    /// The next chunk; none once the queue is closed.
    fn take(&self) -> Option<Vec<Piece>> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            let chunk = queue.chunk();
            if !chunk.is_empty() {
                return Some(chunk);
            }
            queue.idle += 1;
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Computes what no thread was told of, or tells one.
    fn at_once(&self) {
        let Ok(mut worker) = self.spare.try_lock() else {
            self.more.notify_one();
            return;
        };
        let chunk = lock(&self.queue).chunk();
        if !chunk.is_empty() {
            self.compute(&mut worker, chunk);
        }
    }

    fn compute(&self, worker: &mut Worker, mut chunk: Vec<Piece>) {
        // Inputs of one request are of one adapter; those are neighbours.
        chunk.sort_by_key(|p| (Arc::as_ptr(&p.job) as usize, p.input));
        let inputs: Vec<_> = chunk.iter().map(|p| (&*p.job.encoded, p.input)).collect();
        let begin = Instant::now();
        let outputs = catch_unwind(AssertUnwindSafe(|| self.base.outputs(worker, &inputs)));
        self.metrics.chunk(chunk.len(), chunk.iter().map(|p| p.tokens).sum(), begin.elapsed());
        let outputs = match outputs {
            Ok(Ok(outputs)) => outputs,
            Ok(Err(e)) => {
                chunk.iter().for_each(|p| p.job.fail(Fault::unfit(e.to_string())));
                return;
            }
            Err(_) => {
                *worker = self.base.worker();
                let fault = || Fault::internal("the computation failed; the server goes on");
                chunk.iter().for_each(|p| p.job.fail(fault()));
                return;
            }
        };
        let mut outputs = chunk.iter().zip(outputs).peekable();
        while let Some((piece, output)) = outputs.next() {
            let mut own = vec![(piece.input, output)];
            while let Some((next, output)) =
                outputs.next_if(|(next, _)| Arc::ptr_eq(&next.job, &piece.job))
            {
                own.push((next.input, output));
            }
            piece.job.done(own);
        }
    }
}

impl Queue {
    /// Pieces from the front that make a chunk; those that nobody waits for are dropped.
    fn chunk(&mut self) -> Vec<Piece> {
        let (mut chunk, mut tokens) = (Vec::<Piece>::new(), 0);
        while let Some(piece) = self.pieces.front() {
            if piece.job.over.load(Ordering::Relaxed) {
                self.tokens -= piece.tokens;
                self.pieces.pop_front();
                continue;
            }
            // Images are a chunk of one request each.
            let alone = piece.job.encoded.is_images()
                || chunk.first().is_some_and(|p| p.job.encoded.is_images());
            let same = chunk.first().is_none_or(|p| Arc::ptr_eq(&p.job, &piece.job));
            let there = chunk.iter().map(|p| (&*p.job.encoded, p.input));
            let more = piece.job.encoded.tokens_beside(piece.input, there);
            let fits = tokens + more <= CHUNK_TOKENS && (same || !alone);
            if !chunk.is_empty() && !fits {
                break;
            }
            tokens += more;
            self.tokens -= piece.tokens;
            chunk.extend(self.pieces.pop_front());
        }
        chunk
    }
}
