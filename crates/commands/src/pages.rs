//! How a board's pages are served: flags of `budwood board serve` and of `budwood serve --board`.

use std::sync::Arc;

use budwood_board::Place;
use budwood_web::{Limits, Options};

use crate::trial::Trial;

#[derive(clap::Args)]
#[group(id = "pages")]
pub(crate) struct PagesArgs {
    /// Public address of the board, for feeds, badges and cookies, such as
    /// `https://board.example.org`.
    #[arg(long, value_name = "URL", value_parser = address_of_readers)]
    url: Option<String>,
    /// Trust the last entry of `X-Forwarded-For` (the client) and of `X-Forwarded-Proto` (http or
    /// https). Only behind a proxy that sets both.
    #[arg(long, requires = "url")]
    pub(crate) behind_proxy: bool,
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
}

impl PagesArgs {
    /// What a board is served with.
    pub(crate) fn options(&self, place: &Place, trial: Trial) -> Options {
        let limits = Limits {
            searches: self.searches,
            writes: self.writes,
            tries: self.tries,
            exports: self.exports,
            ..Limits::default()
        };
        Options {
            url: self.url.clone(),
            behind_proxy: self.behind_proxy,
            limits,
            predictor: Some(Arc::new(trial)),
            ..Options::new(place.clone())
        }
    }
}

/// A number of requests in a time: more than none, or the door is shut.
fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number > 0.0 && number <= 1e9 {
        return Ok(number);
    }
    Err("must be above 0 and at most 1e9".into())
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
