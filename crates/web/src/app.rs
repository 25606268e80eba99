//! What the server is started with, and what all of its requests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use budwood_board::{Board, Error, Place};
use budwood_http::{Memory, Tls};

use crate::guard::forms::FormKeys;
use crate::guard::lane::{Lane, Width};
use crate::guard::rate::Rate;
use crate::guard::shares::Shares;
use crate::guard::slow::SlowPages;
use crate::guard::turns::Turns;
use crate::pool::Pool;

/// An answer of an adapter: a label and its probability, or a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The label, or the number as text.
    pub label: String,
    /// From 0 to 1, where the adapter has classes.
    pub probability: Option<f64>,
}

/// Runs the adapter of a result on a text. The program hands it in: this crate knows no model.
pub trait Predictor: Send + Sync {
    /// The answers, the likeliest first. It is called on a thread that may block, by a few at one
    /// time.
    ///
    /// # Errors
    /// A sentence for the reader, when the adapter cannot be run here: without paths of this
    /// machine.
    fn predict(&self, result: i64, text: &str) -> Result<Vec<Answer>, String>;
}

/// How much one client may ask, and all of them together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Searches a second, after a first burst of ten times as many.
    pub searches: f64,
    /// Submissions a minute, after a first burst of as many.
    pub writes: f64,
    /// Adapters that are tried a minute, after a first burst of half as many.
    pub tries: f64,
    /// Exports a minute, after a first burst of half as many.
    pub exports: f64,
    /// Largest request, in bytes.
    pub upload: usize,
    /// Seconds until a page must be there, and until a request that writes must have arrived; the
    /// latter has a second more for each 50 kB.
    pub seconds: u64,
    /// Seconds in which a client must say or take something before its connection is cut.
    pub still: u64,
    /// Connections that are open at one time, over all clients.
    pub connections: usize,
    /// Connections of one client.
    pub connections_each: usize,
}

/// Largest request, in bytes: an adapter of 16 million parameters, six times the paper's for
/// BERT-base, with what describes it. A request is held in memory until it is whole.
const UPLOAD: usize = 64_000_000 + 1_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            searches: 10.0,
            writes: 30.0,
            tries: 10.0,
            exports: 30.0,
            upload: UPLOAD,
            seconds: 30,
            still: 15,
            connections: 4096,
            connections_each: 64,
        }
    }
}

/// What the server is started with.
pub struct Options {
    /// The board.
    pub place: Place,
    /// The address that readers use, such as `https://board.example.org`. Without it
    /// [`serve`](crate::serve) takes the one that it listens on ([`Options::listening`]); where
    /// that is not a single address, links are without a server's name.
    pub url: Option<String>,
    /// Whether a proxy stands before the server and names the client in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// How much one client may ask.
    pub limits: Limits,
    /// Runs adapters for readers who try them; without it there is no box to try.
    pub predictor: Option<Arc<dyn Predictor>>,
    /// The certificate to speak TLS with.
    pub tls: Option<Tls>,
}

impl Options {
    /// The usual ones.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            url: None,
            behind_proxy: false,
            limits: Limits::default(),
            predictor: None,
            tls: None,
        }
    }

    /// The same for a server that listens here: readers use that address where no other is given,
    /// and it is a single one.
    pub fn listening(mut self, here: SocketAddr, scheme: &str) -> Self {
        if self.url.is_none() && !here.ip().is_unspecified() {
            self.url = Some(format!("{scheme}://{here}"));
        }
        self
    }
}

/// What all requests share.
pub(crate) struct App {
    pub(crate) options: Options,
    /// Connections for pages.
    pub(crate) readers: Pool,
    /// Half of these for one client, at most.
    pub(crate) clients: Turns,
    /// Half of these for one path, at most: what all ask for at once may be a page that takes long.
    pub(crate) paths: Turns,
    /// Half of these for pages that take long, at most.
    pub(crate) slow: SlowPages,
    /// Connections for exports, so that pages never wait for one.
    pub(crate) exporters: Pool,
    pub(crate) writer: Pool,
    pub(crate) searches: Rate,
    pub(crate) writes: Rate,
    pub(crate) exports: Lane,
    pub(crate) tries: Lane,
    pub(crate) downloads: Shares,
    /// Memory of requests that are held until they are dealt with.
    pub(crate) uploads: Memory,
    /// Memory of answers that wait to be sent.
    pub(crate) unsent: Memory,
    pub(crate) forms: FormKeys,
    /// Paths and names of what the navigation leads to.
    pub(crate) navigation: Vec<(&'static str, &'static str)>,
}

/// Connections that read, at least: each answers one request at a time, and may wait for the disk.
const READERS: usize = 4;
/// Exports that are written at one time.
const EXPORTS: usize = 2;
/// Adapters that are tried at one time.
const TRIES: usize = 2;
/// Files that are downloaded at one time.
const DOWNLOADS: usize = 128;
/// Open files that are not connections: downloads, the database's connections with three files
/// each, uploads, pipes to processes that run adapters.
pub const FILES: usize = DOWNLOADS + 96;
/// Downloads of one client at one time.
const DOWNLOADS_EACH: usize = 8;
/// Megabytes of all requests that are held.
pub(crate) const UPLOADS: u32 = 96;
/// Megabytes of all answers that wait.
pub(crate) const UNSENT: u32 = 128;

impl App {
    pub(crate) fn new(
        options: Options,
        navigation: Vec<(&'static str, &'static str)>,
    ) -> Result<Self, Error> {
        let limits = options.limits;
        let place = &options.place;
        let readers = std::thread::available_parallelism().map_or(1, usize::from).max(READERS);
        // The writer comes first: it makes the file, which readers expect.
        let board = Board::open(place)?;
        let forms = FormKeys::new(board.secret()?.as_deref());
        let writer = Pool::new(vec![board]);
        let read = |n| Board::open_readers(place, n).map(Pool::new);
        let lane = |places, each, a_minute| {
            let patience = Duration::from_secs(20);
            Lane::new(Width { places, queue: 4 * places, each, a_minute, patience })
        };
        Ok(Self {
            writer,
            readers: read(readers)?,
            clients: Turns::new(readers / 2),
            paths: Turns::new(readers / 2),
            slow: SlowPages::new(readers / 2),
            exporters: read(EXPORTS)?,
            searches: Rate::new(limits.searches, limits.searches * 10.0),
            writes: Rate::new(limits.writes / 60.0, limits.writes),
            exports: lane(EXPORTS, 2, limits.exports),
            tries: lane(TRIES, 1, limits.tries),
            downloads: Shares::new(DOWNLOADS, DOWNLOADS_EACH),
            uploads: Memory::megabytes(UPLOADS),
            unsent: Memory::megabytes(UNSENT),
            forms,
            navigation,
            options,
        })
    }
}
