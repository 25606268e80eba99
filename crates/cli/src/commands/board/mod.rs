//! `budwood board`: a results board whose rows can be run again.

mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::Settings;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The board's folder.
    #[arg(long, global = true, default_value = "budwood-board", value_name = "DIR")]
    dir: PathBuf,
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Serve the board's pages; also what `budwood board` alone does.
    Serve(serve::Args),
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    match &args.verb {
        None => serve::run(settings, &args.dir, &args.serve),
        Some(Verb::Serve(serve)) => serve::run(settings, &args.dir, serve),
    }
}
