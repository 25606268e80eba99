//! The program `budwood`: flags, output, environment and exit codes around the library crates. It
//! is a library of one function, as the Python package holds the program too.

mod adapter;
mod again;
mod base;
mod board_place;
mod card;
mod choice;
mod commands;
mod evaluator;
mod finished;
mod foreign;
mod limited;
mod new_vit;
mod out;
mod output;
mod pages;
mod plan;
mod progress;
mod ranks;
#[cfg_attr(not(feature = "object-store"), path = "no_remote.rs")]
mod remote;
mod results;
mod scratch;
mod settings;
mod store;
mod tls;
mod trial;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

pub use again::Program;
use budwood::{Ranks, number};
use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// Train, compare, share and serve small task adapters on one frozen model.
#[derive(Parser)]
#[command(
    name = "budwood",
    version,
    arg_required_else_help = true,
    args_override_self = true,
    after_help = EXIT_CODES
)]
struct Cli {
    /// Print one JSON value on standard output instead of text.
    #[arg(long, global = true, display_order = 1000)]
    json: bool,
    /// Threads to compute with [default: all processors].
    #[arg(
        long,
        global = true,
        display_order = 1000,
        value_name = "N",
        value_parser = number::count::<1, 1024>
    )]
    threads: Option<usize>,
    /// End with the process that began this one, and after so many seconds.
    #[arg(long, global = true, hide = true, value_name = "SECONDS")]
    ends_with_parent: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (the message says where and what to do), \
2 wrong usage, 130 interrupted (what was trained is saved).";

#[derive(Subcommand)]
enum Command {
    /// Train an adapter on a real model and real data, and show how good it is.
    Quickstart(commands::quickstart::Args),
    /// Train an adapter.
    Train(Box<commands::train::Args>),
    /// Show what `train` would read from a file, without training.
    Data(Box<commands::data::Args>),
    /// Run all runs of a sweep file, each recorded in a store.
    Sweep(commands::sweep::Args),
    /// Show, cancel or read the tasks of a sweep that a cluster has.
    Jobs(commands::jobs::Args),
    /// List, compare and export the runs of a store.
    Runs(commands::runs::Args),
    /// Copy a store of runs, such as from a file to a PostgreSQL server.
    Store(commands::store::Args),
    /// Draw the table and figures of a store's runs.
    Report(commands::report::Args),
    /// Evaluate an adapter on labelled data.
    Eval(commands::eval::Args),
    /// Predict labels, values, answers or tags with an adapter.
    Predict(commands::predict::Args),
    /// Serve many adapters on one model over HTTP.
    Serve(commands::serve::Args),
    /// Merge an adapter into its base model; the head is written beside it.
    Merge(commands::merge::Args),
    /// Average the weights of several adapters.
    Average(commands::average::Args),
    /// Make and serve a results board whose rows can be run again.
    Board(commands::board::Args),
    /// Submit a run or an adapter to a board.
    Submit(commands::submit::Args),
    /// Run the adapter of a board's result and compare its score with the claim.
    Verify(commands::verify::Args),
    /// Run all adapters of a board again and show which scores changed.
    Audit(commands::verify::AuditArgs),
    /// Convert an adapter of AdapterHub or PEFT, or the head of a tuned model, to an adapter of
    /// Budwood.
    Import(commands::import::Args),
    /// Convert an adapter to a folder that AdapterHub, PEFT, transformers or ONNX Runtime can load.
    Export(commands::export::Args),
    /// Send an adapter to the Hugging Face hub, with a model card.
    Push(commands::push::Args),
    /// Describe an adapter or a model.
    Inspect(commands::inspect::Args),
    /// List, fetch and remove base models.
    Models(commands::models::Args),
    /// Compare with a reference library, on a file of recorded inputs and outputs.
    Parity(commands::parity::Args),
    /// Measure speed and memory.
    Bench(commands::bench::Args),
    /// List the tuning methods with their options.
    Methods,
}

impl Command {
    /// Whether several processes may run it together.
    fn runs_over_ranks(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Eval(_) | Self::Predict(_) | Self::Bench(_))
    }
}

/// The program's commands and flags, for what is written about them.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what the words of a command line ask for. Wrong words end the process with code 2, as
/// `--help` and `--version` end it with 0. The handling of Ctrl-C is left as it is found, but for
/// commands that save their work first.
pub fn main(program: Program, words: Vec<OsString>) -> ExitCode {
    let cli = parsed(&words);
    again::remember(program, words);
    let code = run(cli);
    // Where this is a library, nothing else does so at the end.
    let _ = std::io::stdout().flush();
    code
}

/// What the words of a command line ask for. A message that repeats an address does so without its
/// password.
fn parsed(words: &[OsString]) -> Cli {
    let parse = |words: &[OsString]| Cli::try_parse_from([&["budwood".into()], words].concat());
    parse(words).unwrap_or_else(|error| {
        let said = error.to_string();
        let shown = |word: &OsString| match word.to_str() {
            Some(text) if said.contains(text) => budwood_store::without_passwords(text).into(),
            _ => word.clone(),
        };
        let shown: Vec<_> = words.iter().map(shown).collect();
        let without = if shown == words { None } else { parse(&shown).err() };
        without.unwrap_or(error).exit()
    })
}

fn run(cli: Cli) -> ExitCode {
    if let Some(seconds) = cli.ends_with_parent {
        limited::end_with_parent(seconds);
    }
    let started = match cli.command.runs_over_ranks() {
        true => ranks::start(cli.threads),
        false => {
            let all = std::thread::available_parallelism().map_or(1, usize::from);
            Ok((Ranks::default(), cli.threads.unwrap_or(all)))
        }
    };
    let (ranks, threads) = match started {
        Ok(started) => started,
        Err(e) => return failed(&output::message(&e)),
    };
    let settings = Settings { json: cli.json, threads, ranks };
    let result = match cli.command {
        Command::Quickstart(args) => commands::quickstart::run(&settings, &args),
        Command::Train(args) => commands::train::run(&settings, &args),
        Command::Data(args) => commands::data::run(&settings, &args),
        Command::Sweep(args) => commands::sweep::run(&settings, &args),
        Command::Jobs(args) => commands::jobs::run(&settings, &args),
        Command::Runs(args) => commands::runs::run(&settings, &args),
        Command::Store(args) => commands::store::run(&settings, &args),
        Command::Report(args) => commands::report::run(&settings, &args),
        Command::Eval(args) => commands::eval::run(&settings, &args),
        Command::Predict(args) => commands::predict::run(&settings, &args),
        Command::Serve(args) => commands::serve::run(&settings, &args),
        Command::Merge(args) => commands::merge::run(&settings, &args),
        Command::Average(args) => commands::average::run(&settings, &args),
        Command::Board(args) => commands::board::run(&settings, &args),
        Command::Submit(args) => commands::submit::run(&settings, &args),
        Command::Verify(args) => commands::verify::run(&settings, &args),
        Command::Audit(args) => commands::verify::audit(&settings, &args),
        Command::Import(args) => commands::import::run(&settings, &args),
        Command::Export(args) => commands::export::run(&settings, &args),
        Command::Push(args) => commands::push::run(&settings, &args),
        Command::Inspect(args) => commands::inspect::run(&settings, &args),
        Command::Models(args) => commands::models::run(&settings, &args),
        Command::Parity(args) => commands::parity::run(&settings, &args),
        Command::Bench(args) => commands::bench::run(&settings, &args),
        Command::Methods => commands::methods::run(&settings),
    };
    let result = result.map_err(|e| output::message(&e));
    // Where a rank has failed, all end with its message.
    let ended = settings.ranks.end(result.as_ref().err().map(String::as_str));
    match (result, ended) {
        (Ok(code), None) => code,
        (_, Some(of_other)) if of_other.rank > 0 => failed(&of_other.to_string()),
        (Err(message), _) | (Ok(_), Some(budwood::Failed { message, .. })) => failed(&message),
    }
}

fn failed(message: &str) -> ExitCode {
    output::note!("error: {message}");
    ExitCode::FAILURE
}
