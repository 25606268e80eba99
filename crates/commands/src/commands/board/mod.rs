//! `budwood board`: make, fill, keep and serve a results board.

mod relate;
mod serve;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::number;
use budwood_base::folder::{Kind, Ours};
use budwood_board::direction::Direction;
use budwood_board::seed::{KnownMethod, seed};
use budwood_board::submit::tidy;
use budwood_board::token::{self, Actor, Role};
use budwood_board::{Board, Place, export, import, local, moderate, query, split_key};
use budwood_formats::BaseModel;
use budwood_model::method::{METHODS, UNIONS};
use budwood_store::{Address, Store};
use budwood_tasks::Dataset;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::board_place::BoardPlace;
use crate::choice::one_of;
use crate::commands::submit::{open, relative_sources, source, whole_places, whole_store};
use crate::evaluator::{data_flags, read_source, splits};
use crate::output::{json, note, say, stdout, table, thousands};
use crate::settings::Settings;
use crate::{again, base, evaluator, out, store};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the board, or postgres://USER@HOST/DATABASE.
    #[arg(long, global = true, default_value = "budwood-board", value_name = "BOARD", value_parser = BoardPlace)]
    board: Place,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the board's pages; also what `budwood board` alone does.
    Serve(serve::Args),
    /// Make a board with the paper's results, the methods and the runs of a store.
    Init {
        /// Put the runs of this store on it, a file or postgres://USER@HOST/DATABASE [default for a
        /// new board: budwood-runs/runs.db, if it is there].
        #[arg(long, value_name = "STORE", value_parser = store::Place)]
        store: Option<Address>,
    },
    /// Import files of the Papers with Code archive, plain or .gz; a folder imports all that it
    /// holds.
    Import(ImportArgs),
    /// Compute vectors of the papers' texts with a base model: pages then show similar papers.
    Relate(relate::Args),
    /// Export the board, or one leaderboard or result.
    Export(ExportArgs),
    /// List, add and revoke tokens, with which others write through the network.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Make labelled data known, on which the board runs adapters.
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Make base models known, on which the board runs adapters.
    Base {
        #[command(subcommand)]
        command: BaseCommand,
    },
    /// Take a result back: it stays visible, but is not ranked.
    Retract {
        /// Number of the result.
        result: i64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Set which values of a metric are better, or how far a measured value may be from the claim.
    Metric {
        /// Address of the leaderboard, such as sentiment-analysis-on-sst-2.
        leaderboard: String,
        /// The metric.
        metric: String,
        /// Which values are better.
        #[arg(long, value_parser = one_of(Direction::ALL, Direction::name),
              required_unless_present = "tolerance")]
        better: Option<Direction>,
        /// Largest difference that confirms a claim, in the metric's unit.
        #[arg(long, value_parser = number::amount::<1_000_000>)]
        tolerance: Option<f64>,
        /// Why, for the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show the log of changes, newest first.
    Log {
        /// Entries.
        #[arg(long, default_value_t = 20)]
        show: u64,
    },
    /// One evaluation, in a process of its own.
    #[command(hide = true)]
    Evaluate(evaluator::Args),
}

#[derive(clap::Args)]
struct ImportArgs {
    /// Files, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Name of the archive that a file belongs to [default: its name]; a newer file of the same
    /// archive takes its place.
    #[arg(long)]
    archive: Option<String>,
    /// Whom the data come from, as pages show it.
    #[arg(long, default_value = "Papers with Code archive")]
    attribution: String,
    /// Terms of the data.
    #[arg(long, default_value = "CC-BY-SA-4.0")]
    licence: String,
    /// Take methods and data sets too that nothing refers to.
    #[arg(long)]
    no_gate: bool,
}

#[derive(clap::Args)]
struct ExportArgs {
    /// The form that is written.
    #[arg(long, value_enum, default_value_t = Form::Archive)]
    format: Form,
    /// Only this leaderboard, for csv and json.
    #[arg(long)]
    leaderboard: Option<String>,
    /// The result, for model-index and eval-results.
    #[arg(long)]
    result: Option<i64>,
    /// Folder for the archive's form, file for the others [default: standard output].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace the file, or the exported archive, that is there.
    #[arg(long)]
    overwrite: bool,
}

/// The folder of an exported archive.
static ARCHIVE: Kind = Kind { what: "an exported archive", ours: Ours::Listed };

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// The archive's own files.
    Archive,
    /// A line for each value.
    Csv,
    /// The same as JSON.
    Json,
    /// YAML for a model card.
    ModelIndex,
    /// YAML for `.eval_results`.
    EvalResults,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// List them.
    List,
    /// Make one; its secret is shown once.
    Add {
        /// Its name, which the log shows.
        name: String,
        /// What it allows: read; submit results and take back one's own; or moderate, which is
        /// all of it.
        #[arg(long, default_value = Role::Submit.name(),
              value_parser = one_of(Role::OF_TOKENS, Role::name))]
        role: Role,
    },
    /// Revoke one.
    Revoke {
        /// Its name.
        name: String,
    },
}

#[derive(Subcommand)]
enum DataCommand {
    /// List them.
    List,
    /// Read data as `budwood train` does with the same flags, and note the digests of the splits
    /// for evaluation.
    Add(Box<DataArgs>),
    /// Name the data that a leaderboard is measured on. Only results on them are its re-evaluated
    /// ones.
    Name {
        /// Address of the leaderboard, such as sentiment-analysis-on-sst-2.
        leaderboard: String,
        /// SHA-256 of a split, or its beginning where the board knows the data.
        #[arg(required_unless_present = "none")]
        sha256: Option<String>,
        /// The split: test, dev ... [default: as the board knows the data].
        #[arg(long)]
        split: Option<String>,
        /// The leaderboard names no data any more.
        #[arg(long, conflicts_with_all = ["sha256", "split"])]
        none: bool,
        /// Why, for the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// The flags of `budwood train` that say which data.
#[derive(clap::Args)]
struct DataArgs {
    /// A file, or LAYOUT=FOLDER.
    #[arg(long)]
    data: String,
    /// Name them as the data of this leaderboard, by its address: results on them are its
    /// re-evaluated ones.
    #[arg(long, value_name = "LEADERBOARD")]
    leaderboard: Option<String>,
    /// Which split the leaderboard is measured on, where there are several.
    #[arg(long, requires = "leaderboard")]
    split: Option<String>,
    /// Other flags of `budwood train` about data, after `--`: --dev-data, --test, --dev-share,
    /// --text-column ...
    #[arg(last = true)]
    flags: Vec<String>,
}

#[derive(Subcommand)]
enum BaseCommand {
    /// List them.
    List,
    /// Note a base model: a folder, or a name as `budwood train --base` takes it.
    Add {
        /// The model.
        model: String,
    },
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let Some(command) = &args.command else {
        serve(settings, &args.board, &args.serve)?;
        return Ok(ExitCode::SUCCESS);
    };
    match command {
        Command::Serve(flags) => serve(settings, &args.board, flags)?,
        Command::Init { store } => init(settings, &args.board, store.as_ref())?,
        Command::Import(import) => import_files(settings, &args.board, import)?,
        Command::Export(export) => export_board(settings, &args.board, export)?,
        Command::Relate(relate) => relate::run(settings, &args.board, relate)?,
        Command::Token { command } => tokens(settings, &args.board, command)?,
        Command::Data { command } => data(settings, &args.board, command)?,
        Command::Base { command } => bases(settings, &args.board, command)?,
        Command::Retract { result, reason } => {
            moderate::retract(&mut open(&args.board)?, *result, reason, &Actor::local("local"))?;
            say!("result {result} is taken back")?;
        }
        Command::Metric { leaderboard, metric, better, tolerance, reason } => {
            let (actor, mut board) = (Actor::local("local"), open(&args.board)?);
            moderate::set_metric(
                &mut board,
                leaderboard,
                metric,
                *better,
                *tolerance,
                reason,
                &actor,
            )?;
            say!("{leaderboard}: {metric} is set")?;
        }
        Command::Log { show } => log(settings, &args.board, *show)?,
        Command::Evaluate(evaluate) => evaluator::run(settings, evaluate)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The board of a place, made if it is not there and, in a folder, nothing else is in it.
fn at(place: &Place) -> Result<Board> {
    if let Some(folder) = place.of_folder() {
        out::check_shared(folder, "a board", &["board.db", "files"])?;
    }
    Ok(Board::open(place)?)
}

/// Where `sweep` puts its runs unless told otherwise.
const STORE: &str = "budwood-runs/runs.db";

/// A board that is not empty: the paper's results, the methods, and, if it is new or a store is
/// named, that store's runs. How many results of the paper and how many runs are new.
fn filled(place: &Place, store: Option<&Address>) -> Result<(Board, u64, u64)> {
    let usual = Address::from(Path::new(STORE));
    let is_new = !Board::is_there(place)?;
    let mut board = at(place)?;
    tidy(&mut board)?;
    let methods = METHODS.iter().map(|m| KnownMethod {
        name: m.name,
        title: m.title,
        year: m.year,
        url: m.url,
        summary: m.summary,
    });
    let unions = UNIONS.iter().map(|u| KnownMethod {
        name: u.name,
        title: u.title,
        year: u.year,
        url: u.url,
        summary: u.summary,
    });
    let new = seed(&mut board, &methods.chain(unions).collect::<Vec<_>>())?;
    let (runs, notes) = match store {
        Some(place) => whole_store(&mut board, &store::open(place)?, "local")?,
        // Nobody asked for this one: a fault in it is said and stops nothing.
        None if is_new => match Store::find(&usual) {
            Ok(None) => (0, Vec::new()),
            Ok(Some(store)) => whole_store(&mut board, &store, "local").unwrap_or_else(left_out),
            Err(e) => left_out(e.into()),
        },
        None => (0, Vec::new()),
    };
    for note in notes {
        note!("{note}");
    }
    Ok((board, new, runs))
}

/// The usual store, with what is wrong with it.
fn left_out(e: anyhow::Error) -> (u64, Vec<String>) {
    let later = format!("`budwood board init --store {STORE}` takes its runs later");
    (0, vec![format!("{STORE} is left out: {e:#}; {later}")])
}

/// Serves a board, which is filled first: it is never empty.
fn serve(settings: &Settings, place: &Place, flags: &serve::Args) -> Result<()> {
    again::with_few_arenas();
    filled(place, None)?;
    serve::run(settings, place, flags)
}

fn init(settings: &Settings, place: &Place, store: Option<&Address>) -> Result<()> {
    let (board, seeded, runs) = filled(place, store)?;
    let counts = query::start(&board)?.counts;
    if settings.json {
        return json(&json!({ "board": place, "seeded": seeded, "runs": runs, "counts": counts }));
    }
    say!("{place}: {seeded} results of the paper and {runs} runs are new")?;
    say!(
        "it holds {} results on {} leaderboards, {} of them re-evaluated, {} methods",
        counts.results,
        counts.leaderboards,
        counts.verified,
        counts.methods
    )?;
    Ok(())
}

fn import_files(settings: &Settings, place: &Place, args: &ImportArgs) -> Result<()> {
    let mut files = Vec::new();
    for path in &args.files {
        let path = &base::here(path)?;
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            for entry in entries {
                let path = entry?.path();
                let name = path.to_string_lossy();
                if name.ends_with(".json") || name.ends_with(".json.gz") {
                    files.push(path);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    if args.archive.is_some() && files.len() > 1 {
        bail!("--archive names one file; {} are given", files.len());
    }
    // Papers before what refers to them.
    let order = |path: &PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let first =
            ["papers-with-abstracts", "evaluation-tables", "links-between", "methods", "datasets"];
        (first.iter().position(|f| name.contains(f)).unwrap_or(1), name)
    };
    files.sort_by_key(order);
    let mut board = at(place)?;
    let mut reports = Vec::new();
    for file in &files {
        let options = import::Options {
            archive: args.archive.clone(),
            attribution: args.attribution.clone(),
            licence: args.licence.clone(),
            gate: !args.no_gate,
            who: "local".into(),
            ..import::Options::default()
        };
        let bar = indicatif::ProgressBar::no_length().with_message(file.display().to_string());
        bar.set_style(indicatif::ProgressStyle::with_template(
            "{spinner} {msg}: {pos} elements, {per_sec}",
        )?);
        if settings.json {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let report = import::file(&mut board, file, &options, &mut |done| bar.set_position(done))?;
        bar.finish_and_clear();
        if !settings.json {
            tell_report(file, &report)?;
        }
        reports.push(json!({ "file": file, "report": report }));
    }
    if settings.json {
        return json(&reports);
    }
    Ok(())
}

fn tell_report(file: &Path, report: &import::Report) -> Result<()> {
    if report.unchanged {
        say!("{}: was imported before, and has not changed", file.display())?;
        return Ok(());
    }
    say!("{}: {}, {} elements", file.display(), report.kind, thousands(report.elements))?;
    if report.from > 0 {
        say!("  taken up again at element {}", thousands(report.from))?;
    }
    for (title, counts) in [
        ("found", &report.found),
        ("new", &report.added),
        ("left out", &report.left_out),
        ("odd, but kept", &report.odd),
    ] {
        if !counts.is_empty() {
            say!("  {title}")?;
            for (what, n) in counts {
                say!("    {:>9}  {what}", thousands(*n))?;
            }
        }
    }
    Ok(())
}

fn export_archive(
    settings: &Settings,
    place: &Place,
    args: &ExportArgs,
    inputs: &[&str],
) -> Result<()> {
    let out = args.out.as_deref().context("--out names the folder for the archive's files")?;
    let new_folder = out::new_folder(out, &ARCHIVE, args.overwrite, inputs)?;
    let board = Board::open_to_read(place)?;
    let mut written = Vec::new();
    new_folder
        .replace(|new| -> Result<()> {
            written = export::archive(&board, new)?;
            Ok(())
        })
        .with_context(|| format!("cannot write {}", out.display()))?;
    for file in &mut written {
        file.path = out.join(file.path.file_name().unwrap_or_default());
    }
    if settings.json {
        return json(&written);
    }
    for file in written {
        say!("{}: {} elements, {}", file.path.display(), thousands(file.elements), file.licence)?;
    }
    Ok(())
}

fn export_board(settings: &Settings, place: &Place, args: &ExportArgs) -> Result<()> {
    let inputs: Vec<&str> = place.of_folder().and_then(Path::to_str).into_iter().collect();
    if let Form::Archive = args.format {
        return export_archive(settings, place, args, &inputs);
    }
    if let Some(path) = &args.out {
        out::check_file(path, args.overwrite, &inputs)?;
    }
    let board = Board::open_to_read(place)?;
    let leaderboard = args.leaderboard.as_deref();
    let result = || args.result.context("--result says which result");
    // Row by row: the whole archive's values are more than memory should hold.
    let write = |file: &mut dyn Write| -> Result<()> {
        let mut file = BufWriter::new(file);
        match args.format {
            Form::Archive => {}
            Form::Csv => export::csv(&board, leaderboard, &mut file)?,
            Form::Json => export::json(&board, leaderboard, &mut file)?,
            Form::ModelIndex => {
                file.write_all(export::model_index(&board, result()?)?.as_bytes())?
            }
            Form::EvalResults => {
                file.write_all(export::eval_results(&board, result()?)?.as_bytes())?;
            }
        }
        Ok(file.flush()?)
    };
    match &args.out {
        Some(path) => out::write_file_with(path, |file| write(file)),
        None => write(&mut stdout()),
    }
}

fn tokens(settings: &Settings, place: &Place, command: &TokenCommand) -> Result<()> {
    let mut board = open(place)?;
    match command {
        TokenCommand::List => {
            let tokens = token::list(&board)?;
            if settings.json {
                return json(&tokens);
            }
            let mut rows =
                vec![["name", "role", "made", "revoked"].map(ToString::to_string).to_vec()];
            for t in tokens {
                let role = t.role.name().to_string();
                let day = budwood_board::date::of_seconds;
                let revoked = t.revoked_at.map_or("-".into(), day);
                rows.push(vec![t.name, role, day(t.created_at), revoked]);
            }
            table(&rows)
        }
        TokenCommand::Add { name, role } => {
            let secret = token::add(&mut board, name, *role, "local")?;
            if settings.json {
                return json(&json!({ "name": name, "secret": secret }));
            }
            say!("{secret}")?;
            note!("this is shown once; the board keeps its hash only");
            Ok(())
        }
        TokenCommand::Revoke { name } => {
            token::revoke(&mut board, name, "local")?;
            say!("the token '{name}' is revoked")?;
            Ok(())
        }
    }
}

fn data(settings: &Settings, place: &Place, command: &DataCommand) -> Result<()> {
    let (mut board, actor) = (open(place)?, Actor::local("local"));
    match command {
        DataCommand::List => {}
        DataCommand::Add(args) => add_data(&mut board, args, &actor)?,
        DataCommand::Name { leaderboard, sha256, split, none: _, reason } => {
            let known = local::data(&board)?;
            let data = match sha256 {
                None => None,
                Some(digest) => Some(meant(&known, digest, split.as_deref())?),
            };
            let data = data.as_ref().map(|(sha256, split)| (sha256.as_str(), split.as_str()));
            let moved = moderate::name_data(&mut board, leaderboard, data, reason, &actor)?;
            if settings.json {
                return json(&json!({ "leaderboard": leaderboard, "results_moved": moved }));
            }
            match data {
                Some((sha256, split)) => say!("{leaderboard} is measured on {split} {sha256:.12}")?,
                None => say!("{leaderboard} names no data")?,
            }
            say!("{moved} of its results changed their state")?;
            return Ok(());
        }
    }
    for note in relative_sources(&board)? {
        note!("{note}");
    }
    let all = local::data(&board)?;
    if settings.json {
        return json(&all);
    }
    let mut rows = vec![["split", "rows", "digest", "source"].map(ToString::to_string).to_vec()];
    for d in all {
        rows.push(vec![d.split, d.rows.to_string(), d.sha256[..12].into(), d.source.to_string()]);
    }
    table(&rows)
}

fn add_data(board: &mut Board, args: &DataArgs, actor: &Actor) -> Result<()> {
    let words: Vec<String> = std::iter::once(format!("--data={}", args.data))
        .chain(args.flags.iter().cloned())
        .collect();
    let data = whole_places(data_flags(&words)?);
    let found = splits(read_source(&data)?);
    if found.is_empty() {
        bail!(
            "these data have no split to evaluate on: give --dev-share, --dev-data or --test after `--`"
        );
    }
    let wanted = args.split.as_deref().map(split_key);
    let fits = |d: &&Dataset| wanted.as_ref().is_none_or(|w| split_key(&d.digest.split) == *w);
    let named: Vec<&Dataset> = found.iter().filter(fits).collect();
    if args.leaderboard.is_some() && named.len() != 1 {
        let there: Vec<&str> = found.iter().map(|d| d.digest.split.as_str()).collect();
        bail!("say with --split which of the splits ({}) the leaderboard is of", there.join(", "));
    }
    for set in &found {
        local::add_data(board, &set.digest, &json!(data.source()), actor)?;
    }
    if let (Some(leaderboard), [set]) = (&args.leaderboard, &named[..]) {
        let data = (set.digest.sha256.as_str(), set.digest.split.as_str());
        let moved = moderate::name_data(board, leaderboard, Some(data), "", actor)?;
        note!(
            "{leaderboard} is measured on {} {:.12}; {moved} of its results changed their state",
            data.1,
            data.0
        );
    }
    Ok(())
}

/// The data that a digest, or its beginning, and a split mean.
fn meant(known: &[local::Data], digest: &str, split: Option<&str>) -> Result<(String, String)> {
    let fits = |d: &&local::Data| digest.len() >= 6 && d.sha256.starts_with(digest);
    let found: Vec<_> = known.iter().filter(fits).collect();
    match (&found[..], split) {
        ([one], split) => Ok((one.sha256.clone(), split.unwrap_or(&one.split).into())),
        ([], Some(split)) if digest.len() == 64 => Ok((digest.into(), split.into())),
        ([], None) if digest.len() == 64 => {
            bail!(
                "the board does not know the data {digest}: say with --split which split they are"
            )
        }
        ([], _) => bail!(
            "the board knows no data whose digest begins with '{digest}'; `budwood board data list` \
             lists them, and a whole digest of 64 digits with --split names others"
        ),
        (many, _) => bail!("'{digest}' begins {} digests; give more of it", many.len()),
    }
}

fn bases(settings: &Settings, place: &Place, command: &BaseCommand) -> Result<()> {
    let mut board = open(place)?;
    if let BaseCommand::Add { model } = command {
        let opened = BaseModel::open(&base::folder(model)?)?;
        base::check_original(&opened)?;
        let id = opened.id(model);
        let known = local::bases(&board)?.into_iter().find(|b| b.sha256 == id.weights_sha256);
        // The same weights under another configuration are another model.
        if let Some(known) = known.filter(|known| known.source != source(model))
            && let Ok(there) = base::folder(&known.source)
            && let Ok(there) = BaseModel::open(&there)
            && there.int8_sha256().is_none()
            && let Some(found) = there.id("").difference(&id)
        {
            bail!(
                "a base of these weights is noted at {}, and {} is {} there and {} here; it is not replaced",
                known.source,
                found.what,
                found.ours,
                found.theirs
            );
        }
        let actor = Actor::local("local");
        local::add_base(&mut board, &id.weights_sha256, &source(model), &actor)?;
    }
    let all = local::bases(&board)?;
    if settings.json {
        return json(&all);
    }
    let mut rows = vec![["weights", "model"].map(ToString::to_string).to_vec()];
    rows.extend(all.into_iter().map(|b| vec![b.sha256[..12].into(), b.source]));
    table(&rows)
}

fn log(settings: &Settings, place: &Place, show: u64) -> Result<()> {
    let board = Board::open_to_read(place)?;
    let part = query::Part { offset: 0, limit: show };
    let page = query::log(&board, &query::LogFilter::default(), part)?;
    if settings.json {
        return json(&page.items);
    }
    let mut rows =
        vec![["no", "day", "who", "what", "about", "why"].map(ToString::to_string).to_vec()];
    for e in page.items {
        let about = match e.subject_id {
            Some(id) => format!("{} {id}: {}", e.subject, e.subject_name),
            None => format!("{}: {}", e.subject, e.subject_name),
        };
        rows.push(vec![
            e.id.to_string(),
            budwood_board::date::of_seconds(e.at),
            e.who,
            e.action,
            about,
            e.reason,
        ]);
    }
    table(&rows)
}
