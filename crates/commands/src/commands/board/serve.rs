//! `budwood board serve`: the board's pages over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, anyhow};
use budwood_board::verify::Worker;
use budwood_board::{Board, Place};
use budwood_web::{Limits, Options};
use serde_json::json;

use crate::evaluator::{self, Separate};
use crate::output::{self, note, say};
use crate::pages::PagesArgs;
use crate::settings::Settings;
use crate::tls::TlsArgs;
use crate::trial::Trial;

#[derive(clap::Args)]
#[group(id = "serve")]
pub(crate) struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 7800)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    #[command(flatten)]
    pages: PagesArgs,
    /// Limit of open connections.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections, value_parser = positive)]
    connections: usize,
    /// Limit of open connections per client.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_each, value_parser = positive)]
    connections_each: usize,
    /// Close a connection after this many idle seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().still, value_parser = clap::value_parser!(u64).range(1..=3600))]
    still: u64,
    /// Also run the adapters that wait in the board's queue, each in a process with limits.
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    evaluation: evaluator::Limits,
}

fn positive(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "is not a whole number".to_owned())?;
    if (1..=100_000).contains(&number) {
        return Ok(number);
    }
    Err("must be from 1 to 100000".into())
}

/// Between two looks at an empty queue.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn run(settings: &Settings, place: &Place, args: &Args) -> Result<()> {
    let options = args.pages.options(place, Trial::new(place, None)?);
    let limits = Limits {
        connections: args.connections,
        connections_each: args.connections_each,
        still: args.still,
        ..options.limits
    };
    let options = Options { limits, tls: args.tls.open()?, ..options };
    let ready = |address: SocketAddr| {
        let url = format!("{}://{address}/", args.tls.scheme());
        // Whoever closed the output still wants the server.
        let _ = if settings.json {
            output::json(&json!({ "url": url, "dir": place }))
        } else {
            say!("The board in {place} is at {url} (Ctrl-C ends it)").map_err(Into::into)
        };
    };
    if args.verify {
        let (settings, place, limits) = (settings.clone(), place.clone(), args.evaluation);
        std::thread::spawn(move || verify(&settings, &place, limits));
    }
    budwood_web::serve(options, SocketAddr::new(args.host, args.port), ready)
        .map_err(|e| anyhow!("{place}: {e}"))
}

/// Does what waits in the queue, again and again. What goes wrong here is for the next round: a
/// board that others write for long, or a `budwood verify` that is at work on the queue itself.
fn verify(settings: &Settings, place: &Place, limits: evaluator::Limits) {
    let round = || {
        let mut board = Board::open(place)?;
        let mut worker = Worker::begin(&mut board)?;
        let mut evaluator = Separate::new(settings, limits, place.folder())?;
        while let Some(done) = worker.next(&mut board, &mut evaluator, None)? {
            match (done.outcome, done.error) {
                (Some(o), _) => note!("result {}: {}", done.result, o.state.name()),
                (None, e) => note!("result {}: {}", done.result, e.unwrap_or_default()),
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    let mut told = String::new();
    loop {
        let error = round().err().map(|e| format!("{e:#}")).unwrap_or_default();
        if !error.is_empty() && error != told {
            note!("the queue waits: {error}");
        }
        told = error;
        std::thread::sleep(PAUSE);
    }
}
