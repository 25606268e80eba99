//! `budwood verify` and `budwood audit`: the board runs adapters itself.

use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood_board::token::Actor;
use budwood_board::verify::{Finished, Worker, ask, ask_all};
use budwood_board::{Board, Place, State};

use crate::board_place::BoardPlace;
use crate::commands::submit::{open, relative_sources};
use crate::evaluator::{Limits, Separate};
use crate::output::{json, note, say};
use crate::settings::Settings;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of the result; without one, all that wait in the board's queue.
    result: Option<i64>,
    /// Folder of the board, or postgres://USER@HOST/DATABASE.
    #[arg(long, default_value = "budwood-board", value_parser = BoardPlace)]
    board: Place,
    /// Run all results that wait in the board's queue.
    #[arg(long, conflicts_with = "result")]
    queue: bool,
    #[command(flatten)]
    limits: Limits,
}

#[derive(clap::Args)]
pub(crate) struct AuditArgs {
    /// Folder of the board, or postgres://USER@HOST/DATABASE.
    #[arg(long, default_value = "budwood-board", value_parser = BoardPlace)]
    board: Place,
    #[command(flatten)]
    limits: Limits,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let mut board = open(&args.board)?;
    let only = match args.result {
        Some(result) => Some(ask(&mut board, result, &Actor::local("local"))?),
        None if args.queue => None,
        None => bail!("give the number of a result, or --queue for all that wait"),
    };
    let done = work(settings, &mut board, args.limits, only, true)?;
    let failed = done.iter().any(|f| f.error.is_some());
    if settings.json {
        json(&done)?;
    } else if done.is_empty() {
        say!("nothing waits")?;
    }
    Ok(if failed && only.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(crate) fn audit(settings: &Settings, args: &AuditArgs) -> Result<ExitCode> {
    let mut board = open(&args.board)?;
    let asked = ask_all(&mut board, &Actor::local("local"))?;
    let done = work(settings, &mut board, args.limits, None, false)?;
    let moved: Vec<&Finished> = done.iter().filter(|f| has_moved(f)).collect();
    if settings.json {
        json(&serde_json::json!({ "checked": done.len(), "moved": moved }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for finished in &moved {
        tell(finished)?;
    }
    say!("{} of {asked} results were run again; {} moved", done.len(), moved.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a check changed anything: the state, a value, a prediction.
fn has_moved(finished: &Finished) -> bool {
    let Some(outcome) = &finished.outcome else { return true };
    outcome.state != finished.before
        || outcome.changed.is_some_and(|n| n > 0)
        || outcome.metrics.iter().any(|m| m.before.is_some_and(|b| b != m.measured))
}

/// Does one check or all that wait.
fn work(
    settings: &Settings,
    board: &mut Board,
    limits: Limits,
    only: Option<i64>,
    speak: bool,
) -> Result<Vec<Finished>> {
    for note in relative_sources(board)? {
        note!("{note}");
    }
    let mut worker = Worker::begin(board)?;
    let mut evaluator = Separate::new(settings, limits, board.place().folder())?;
    let mut done = Vec::new();
    while let Some(finished) = worker.next(board, &mut evaluator, only)? {
        if speak && !settings.json {
            tell(&finished)?;
        }
        done.push(finished);
        if only.is_some() {
            break;
        }
    }
    Ok(done)
}

fn tell(finished: &Finished) -> Result<()> {
    say!("result {}, {}", finished.result, finished.model)?;
    let Some(outcome) = &finished.outcome else {
        say!("  could not be run: {}", finished.error.as_deref().unwrap_or_default())?;
        return Ok(());
    };
    for m in &outcome.metrics {
        let interval =
            m.interval.map_or(String::new(), |(a, b)| format!(" (95 %: {a:.2} to {b:.2})"));
        let claim = match (m.claimed, m.confirmed) {
            (Some(claimed), Some(good)) => format!(
                ", claimed {claimed}: differs by {:.4}, {} the tolerance of {:.4}",
                (m.measured - claimed).abs(),
                if good { "within" } else { "more than" },
                m.tolerance
            ),
            _ => String::new(),
        };
        say!("  {} {:.4}{interval}{claim}", m.name, m.measured)?;
    }
    if let Some(flipped) = outcome.flipped {
        say!("  {flipped} of {} predictions are not those that came with the claim", outcome.rows)?;
    }
    if let Some(changed) = outcome.changed {
        say!("  {changed} of {} predictions are not those of the check before", outcome.rows)?;
    }
    let from = if finished.before == outcome.state {
        String::new()
    } else {
        format!("{} -> ", finished.before.name())
    };
    let mark = match (outcome.state, &outcome.data) {
        (State::Mismatch, _) => "  <-- not what was claimed".into(),
        (State::OtherSetting, Some(data)) => format!(
            "  <-- on data that its leaderboard does not name ({} {:.12}); `budwood board data name` names them",
            data.split, data.sha256
        ),
        _ => String::new(),
    };
    say!("  {from}{}{mark}, in {:.1} s", outcome.state.name(), outcome.seconds)?;
    Ok(())
}
