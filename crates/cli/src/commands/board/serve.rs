//! `budwood board serve`: the board's pages over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use budwood_board::Board;
use budwood_board::verify::Worker;
use budwood_web::{Limits, Options};
use serde_json::json;

use crate::evaluator::{self, Separate, Trial};
use crate::output::{self, note, say};
use crate::{Settings, number};

#[derive(clap::Args)]
#[group(id = "serve")]
pub(crate) struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 7800)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// The address that readers use, for feeds and badges: `https://board.example.org`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A proxy stands before the server and names each client in `X-Forwarded-For`.
    #[arg(long)]
    behind_proxy: bool,
    /// Searches a second that one client may ask for.
    #[arg(long, value_name = "N", default_value_t = Limits::default().searches, value_parser = number::amount::<1_000_000>)]
    searches: f64,
    /// Submissions a minute that one client may make.
    #[arg(long, value_name = "N", default_value_t = Limits::default().writes, value_parser = number::amount::<1_000_000>)]
    writes: f64,
    /// Also run the adapters that wait in the board's queue, one after another, each in a limited process.
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    evaluation: evaluator::Limits,
}

/// Between two looks at an empty queue.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn run(settings: &Settings, dir: &Path, args: &Args) -> Result<()> {
    // A board is never empty.
    super::filled(dir, None)?;
    let limits = Limits { searches: args.searches, writes: args.writes, ..Limits::default() };
    let options = Options {
        url: args.url.clone(),
        behind_proxy: args.behind_proxy,
        limits,
        predictor: Some(Arc::new(Trial { board: dir.into() })),
        ..Options::new(dir.into())
    };
    let ready = |address: SocketAddr| {
        let url = format!("http://{address}/");
        // Whoever closed the output still wants the server.
        let _ = if settings.json {
            output::json(&json!({ "url": url, "dir": dir }))
        } else {
            say!("The board in {} is at {url} (Ctrl-C ends it)", dir.display()).map_err(Into::into)
        };
    };
    if args.verify {
        let (settings, dir, limits) = (*settings, dir.to_owned(), args.evaluation);
        std::thread::spawn(move || verify(&settings, &dir, limits));
    }
    budwood_web::serve(options, SocketAddr::new(args.host, args.port), ready)
        .map_err(|e| anyhow!("{}: {e}", dir.display()))
}

/// Does what waits in the queue, again and again. What goes wrong here is for the next round: a board that others write
/// for long, or a `budwood verify` that is at work on the queue itself.
fn verify(settings: &Settings, dir: &Path, limits: evaluator::Limits) {
    let mut evaluator = Separate { settings, limits };
    let mut round = || {
        let mut board = Board::open(dir)?;
        let mut worker = Worker::begin(&mut board)?;
        while let Some(done) = worker.next(&mut board, &mut evaluator, None)? {
            match (done.outcome, done.error) {
                (Some(o), _) => note!("result {}: {}", done.result, o.state.name()),
                (None, e) => note!("result {}: {}", done.result, e.unwrap_or_default()),
            }
        }
        Ok::<_, budwood_board::Error>(())
    };
    let mut told = String::new();
    loop {
        let error = round().err().map(|e| e.to_string()).unwrap_or_default();
        if !error.is_empty() && error != told {
            note!("the queue waits: {error}");
        }
        told = error;
        std::thread::sleep(PAUSE);
    }
}
