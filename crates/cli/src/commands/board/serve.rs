//! `budwood board serve`: the board's pages over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use budwood_web::{Limits, Options};
use serde_json::json;

use crate::Settings;
use crate::evaluator::Trial;
use crate::output::{self, say};

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
    #[arg(long, value_name = "N", default_value_t = Limits::default().searches)]
    searches: f64,
    /// Submissions a minute that one client may make.
    #[arg(long, value_name = "N", default_value_t = Limits::default().writes)]
    writes: f64,
}

pub(super) fn run(settings: &Settings, dir: &Path, args: &Args) -> Result<()> {
    // A board is never empty.
    super::seeded(dir)?;
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
    budwood_web::serve(options, SocketAddr::new(args.host, args.port), ready)
        .map_err(|e| anyhow!("{}: {e}", dir.display()))
}
