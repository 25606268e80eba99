//! `budwood store`: what is done with a store as a whole.

use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood_store::{Address, Store, copy};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::output::{json, say};
use crate::settings::Settings;
use crate::store::{self, Place};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy all runs of a store into another one, a file or postgres://USER@HOST/DATABASE. The same
    /// command again goes on where it was stopped.
    Copy {
        /// The store that is read.
        #[arg(value_parser = Place)]
        from: Address,
        /// The store that is written: a new one, or an earlier copy.
        #[arg(value_parser = Place)]
        to: Address,
    },
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let Command::Copy { from, to } = &args.command;
    if from.to_string() == to.to_string() {
        bail!("{from} cannot be copied into itself");
    }
    let read = store::open(from)?;
    let mut written = Store::open(to)?;
    let bar = if settings.json { ProgressBar::hidden() } else { ProgressBar::no_length() };
    bar.set_style(ProgressStyle::with_template("{pos} runs, {elapsed}")?);
    let copied = copy(&read, &mut written, || bar.inc(1));
    bar.finish_and_clear();
    let copied = copied?;
    if settings.json {
        json(&json!({ "from": from, "to": to, "runs": copied.runs, "copied": copied.new }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let before = copied.runs - copied.new;
    say!("{} runs copied to {to}, {before} were there before", copied.new)?;
    Ok(ExitCode::SUCCESS)
}
