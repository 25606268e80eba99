//! `budwood board serve`: the board's pages over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use budwood_board::verify::Worker;
use budwood_board::{Board, Place};
use budwood_web::{Limits, Options};
use serde_json::json;

use crate::again;
use crate::evaluator::{self, Separate, Trial};
use crate::output::{self, note, say};
use crate::settings::Settings;
use crate::tls::TlsArgs;

#[derive(clap::Args)]
#[group(id = "serve")]
pub(crate) struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 7800)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// Public address of the board, for feeds, badges and cookies, such as
    /// `https://board.example.org`.
    #[arg(long, value_name = "URL", value_parser = address_of_readers)]
    url: Option<String>,
    /// Trust the last entry of `X-Forwarded-For` (the client) and of `X-Forwarded-Proto` (http or
    /// https). Only behind a proxy that sets both.
    #[arg(long, requires = "url")]
    behind_proxy: bool,
    /// Limit of searches per client and second.
    #[arg(long, value_name = "N", default_value_t = Limits::default().searches, value_parser = rate)]
    searches: f64,
    /// Limit of submissions per client and minute.
    #[arg(long, value_name = "N", default_value_t = Limits::default().writes, value_parser = rate)]
    writes: f64,
    /// Limit of trial predictions per client and minute.
    #[arg(long, value_name = "N", default_value_t = Limits::default().tries, value_parser = rate)]
    tries: f64,
    /// Limit of exports per client and minute.
    #[arg(long, value_name = "N", default_value_t = Limits::default().exports, value_parser = rate)]
    exports: f64,
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

/// A number of requests in a time: more than none, or the door is shut.
fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number > 0.0 && number <= 1e9 {
        return Ok(number);
    }
    Err("must be above 0 and at most 1e9".into())
}

fn positive(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "is not a whole number".to_owned())?;
    if (1..=100_000).contains(&number) {
        return Ok(number);
    }
    Err("must be from 1 to 100000".into())
}

/// `http://` or `https://`, a name, and no path: pages lie at the root.
fn address_of_readers(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    match host {
        Some(host) if !host.is_empty() && host.chars().all(plain) => Ok(url.into()),
        _ => Err("must be http:// or https:// and a host, without a path".into()),
    }
}

/// Between two looks at an empty queue.
const PAUSE: Duration = Duration::from_secs(2);

/// Begins the program again with few arenas of memory, in the same process.
///
/// The C library of Linux makes an arena for each thread and gives little of them back: under siege
/// the server then holds three times the memory that it uses. It reads the number of arenas once,
/// from the environment, before the program begins.
#[cfg(target_os = "linux")]
pub(super) fn with_few_arenas() {
    use std::os::unix::process::CommandExt;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(begin) = again::program() else { return };
    let [program, begin @ ..] = &begin[..] else { return };
    let words = [begin, &again::words()].concat();
    // It comes back only if it failed; the server then runs as it is.
    let fault = std::process::Command::new(program).args(words).env(ARENAS, "2").exec();
    note!("the server takes more memory than it needs: {fault}");
}

#[cfg(not(target_os = "linux"))]
pub(super) fn with_few_arenas() {}

pub(super) fn run(settings: &Settings, place: &Place, args: &Args) -> Result<()> {
    let limits = Limits {
        searches: args.searches,
        writes: args.writes,
        tries: args.tries,
        exports: args.exports,
        connections: args.connections,
        connections_each: args.connections_each,
        still: args.still,
        ..Limits::default()
    };
    let options = Options {
        url: args.url.clone(),
        behind_proxy: args.behind_proxy,
        limits,
        predictor: Some(Arc::new(Trial::new(place)?)),
        tls: args.tls.open()?,
        ..Options::new(place.clone())
    };
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
