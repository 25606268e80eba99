//! What the server is started with, and what all of its requests share.

use std::path::PathBuf;
use std::sync::Arc;

use budwood_board::{Board, Error};

use crate::guard::forms::FormKeys;
use crate::guard::rate::Rate;
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
    /// The answers, the likeliest first.
    ///
    /// # Errors
    /// A sentence for the reader, when the adapter cannot be run here.
    fn predict(&self, result: i64, text: &str) -> Result<Vec<Answer>, String>;
}

/// How much one client may ask.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Searches a second, after a first burst of ten times as many.
    pub searches: f64,
    /// Submissions a minute, after a first burst of as many.
    pub writes: f64,
    /// Largest request, in bytes.
    pub upload: usize,
    /// Seconds until a request must have arrived and be answered.
    pub seconds: u64,
    /// Requests that are open at one time, over all clients.
    pub connections: usize,
}

/// Largest request, in bytes: an adapter of 16 million parameters, six times the paper's for BERT-base, with what
/// describes it. A request is held in memory until it is whole.
const UPLOAD: usize = 64_000_000 + 1_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self { searches: 10.0, writes: 30.0, upload: UPLOAD, seconds: 30, connections: 1024 }
    }
}

/// What the server is started with.
pub struct Options {
    /// The board's folder.
    pub folder: PathBuf,
    /// The address that readers use, such as `https://board.example.org`; without it, the one they ask for.
    pub url: Option<String>,
    /// Whether a proxy stands before the server and names the client in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// How much one client may ask.
    pub limits: Limits,
    /// Runs adapters for readers who try them; without it there is no box to try.
    pub predictor: Option<Arc<dyn Predictor>>,
}

impl Options {
    /// The usual ones, for a board in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, url: None, behind_proxy: false, limits: Limits::default(), predictor: None }
    }
}

/// What all requests share.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) readers: Pool,
    pub(crate) writer: Pool,
    pub(crate) searches: Rate,
    pub(crate) writes: Rate,
    pub(crate) forms: FormKeys,
}

/// Connections that read, at least: each answers one request at a time, and may wait for the disk.
const READERS: usize = 4;

impl App {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let limits = options.limits;
        let folder = &options.folder;
        let readers = std::thread::available_parallelism().map_or(1, usize::from).max(READERS);
        Ok(Self {
            // The writer comes first: it makes the file, which readers expect.
            writer: Pool::new(vec![Board::open(folder)?]),
            readers: Pool::new(
                (0..readers).map(|_| Board::open_to_read(folder)).collect::<Result<_, _>>()?,
            ),
            searches: Rate::new(limits.searches, limits.searches * 10.0),
            writes: Rate::new(limits.writes / 60.0, limits.writes),
            forms: FormKeys::new(),
            options,
        })
    }
}
