//! `budwood submit`: put a run or an adapter on a board.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use budwood::DataSpec;
use budwood::run::record_of;
use budwood_base::address;
use budwood_base::files::read_plain_text;
use budwood_base::record::{Prediction, RunRecord};
use budwood_board::query::{self, Filter};
use budwood_board::submit::{Attachment, AttachmentLimits, PaperOf, Submission, from_run, submit};
use budwood_board::token::Actor;
use budwood_board::{Board, local, split_key};
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, foreign};
use budwood_hub::ModelName;
use budwood_store::{Address, Store};
use budwood_tasks::metric;
use serde_json::json;
use tempfile::TempDir;

use super::submit_scored::{Scored, scored};
use crate::board_place::BoardPlace;
use crate::evaluator::{data_source, read_source, splits};
use crate::output::{json, note, say};
use crate::settings::Settings;
use crate::store::Place;
use crate::{base, foreign as adapters};

/// Bytes of a record of a result.
const LARGEST: u64 = 64 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A run of the store by its number or the beginning of its key, an adapter (a folder,
    /// s3://BUCKET/NAME, or OWNER/NAME of the hub), or a file with a record as `docs/board.md`
    /// describes it. With DATA also an adapter of another library.
    what: String,
    /// Base model of an adapter that is scored here [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// Flags of the data that an adapter without scores is scored on, as those of `train`:
    /// `-- --data FILE --test-data FILE`.
    #[arg(last = true)]
    data: Vec<String>,
    /// Folder of the board, or postgres://USER@HOST/DATABASE.
    #[arg(long, default_value = "budwood-board", value_parser = BoardPlace)]
    board: budwood_board::Place,
    /// The store of runs, a file or postgres://USER@HOST/DATABASE.
    #[arg(long, default_value = "budwood-runs/runs.db", value_parser = Place)]
    store: Address,
    /// Split whose scores are submitted [default: test where there are such, else dev].
    #[arg(long)]
    split: Option<String>,
    /// Task on the board [default: that of the run].
    #[arg(long)]
    task: Option<String>,
    /// Data set on the board [default: that of the run].
    #[arg(long)]
    dataset: Option<String>,
    /// Split or protocol in a few words [default: the split and its number of examples].
    #[arg(long)]
    setting: Option<String>,
    /// Name of the model as the board shows it [default: base and method].
    #[arg(long)]
    model: Option<String>,
    /// Notes that the board shows.
    #[arg(long)]
    notes: Option<String>,
    /// Address of its paper.
    #[arg(long)]
    paper: Option<String>,
    /// Your own name for the result; submitting again with it updates the result.
    #[arg(long)]
    external_id: Option<String>,
    /// Submit the claim without the adapter; the board cannot run it then.
    #[arg(long)]
    no_adapter: bool,
    /// Who submits, for the board's log.
    #[arg(long, default_value = "local")]
    who: String,
}

/// What is to be submitted.
struct Found {
    submission: Submission,
    adapter: Option<PathBuf>,
    predictions: Vec<Prediction>,
    run: Option<RunRecord>,
    /// The folder of an adapter that was scored here.
    _place: Option<TempDir>,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let mut board = open(&args.board)?;
    let mut found = find(settings, args)?;
    let s = &mut found.submission;
    let set = |to: &mut String, from: &Option<String>| {
        if let Some(text) = from {
            to.clone_from(text);
        }
    };
    set(&mut s.task, &args.task);
    set(&mut s.dataset.name, &args.dataset);
    set(&mut s.setting, &args.setting);
    set(&mut s.model.name, &args.model);
    set(&mut s.notes, &args.notes);
    if let Some(url) = &args.paper {
        s.paper = Some(PaperOf { url: url.clone(), ..PaperOf::default() });
    }
    if args.external_id.is_some() {
        s.external_id.clone_from(&args.external_id);
    }
    let adapter = found.adapter.filter(|_| !args.no_adapter);
    let attachment = adapter
        .as_deref()
        .map(|folder| Attachment::read(folder, AttachmentLimits::default()))
        .transpose()
        .context("the adapter")?;
    let actor = Actor::local(&args.who);
    let done =
        submit(&mut board, &found.submission, attachment.as_ref(), &found.predictions, &actor)?;
    if let Some(run) = &found.run {
        for note in make_known(&mut board, run, &actor)? {
            note!("{note}");
        }
    }
    if let Some(note) = setting_note(&board, &done.leaderboard, &found.submission)? {
        note!("{note}");
    }
    if settings.json {
        json(&done)?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = if done.new { "is on the board" } else { "was on the board already" };
    say!("result {} {what}: {}, {}", done.result, done.leaderboard, done.state.name())?;
    if attachment.is_some() && done.state != budwood_board::State::Reevaluated {
        say!("`budwood verify {} --board {}` lets the board run it", done.result, args.board)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be said where a result cannot become a re-evaluated one, because its leaderboard
/// names other data or none.
fn setting_note(board: &Board, leaderboard: &str, s: &Submission) -> Result<Option<String>> {
    let Some(sha256) = &s.dataset.sha256 else { return Ok(None) };
    let split = s.dataset.split.as_deref().unwrap_or_default();
    let named = query::leaderboard(board, leaderboard, &Filter::default())?.item.data;
    let why = match named {
        Some(data) if data.sha256 == *sha256 && data.split == split_key(split) => return Ok(None),
        Some(data) => {
            format!("{leaderboard} is measured on other data ({} {:.12})", data.split, data.sha256)
        }
        None => format!("{leaderboard} names no data"),
    };
    Ok(Some(format!(
        "{why}: this result is of another setting there. If its data are the right ones, \
         `budwood board data name {leaderboard} {sha256:.12} --split {split}` says so"
    )))
}

/// A board that is there.
pub(crate) fn open(place: &budwood_board::Place) -> Result<Board> {
    if !Board::is_there(place)? {
        bail!("there is no board in {place}; `budwood board init` makes one");
    }
    Ok(Board::open(place)?)
}

fn find(settings: &Settings, args: &Args) -> Result<Found> {
    let path = Path::new(&args.what);
    let split = args.split.as_deref();
    if !args.data.is_empty() {
        let Scored { place, run, predictions } =
            scored(settings, path, args.base.as_deref(), &args.data)?;
        let submission = from_run(&run, split, title)?;
        let of = |(name, _): &(String, _)| Some(name) == submission.dataset.split.as_ref();
        let predictions = predictions.into_iter().find(of).map_or_else(Vec::new, |found| found.1);
        let adapter = Some(place.path().into());
        return Ok(Found { submission, adapter, predictions, run: Some(run), _place: Some(place) });
    }
    let path = match address::Place::of(&args.what)? {
        address::Place::Here(path) if path.exists() || ModelName::parse(&args.what)?.is_none() => {
            path
        }
        // A record is one object.
        address::Place::Store(_) if args.what.ends_with(".json") => base::here(path)?,
        _ => adapters::folder(path)?,
    };
    let path = path.as_path();
    if args.base.is_some() {
        bail!("--base is for an adapter that is scored here: name the data, `-- --data FILE`");
    }
    if let Some(library) = path.is_dir().then(|| foreign::library(path)).transpose()?.flatten() {
        bail!(
            "{} is an adapter of {}, which holds no scores: name data to score it on, `submit {0} --base BASE -- --data FILE`",
            path.display(),
            library.name()
        );
    }
    if path.join("adapter.json").exists() {
        let run = record_of(&AdapterFolder::load(path)?.meta);
        let submission = from_run(&run, split, title)?;
        return Ok(Found {
            submission,
            adapter: Some(path.into()),
            predictions: Vec::new(),
            run: Some(run),
            _place: None,
        });
    }
    if path.is_file() {
        let text = read_plain_text(path, LARGEST)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let submission: Submission = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a record of a result", path.display()))?;
        let predictions = Vec::new();
        return Ok(Found { submission, adapter: None, predictions, run: None, _place: None });
    }
    let Some(store) = Store::find(&args.store)? else {
        bail!(
            "'{}' is not a folder with an adapter and no file, and there is no store {} that could hold a run",
            args.what,
            args.store
        );
    };
    of_store(&store, &args.what, split)
}

fn of_store(store: &Store, name: &str, split: Option<&str>) -> Result<Found> {
    let run = store.run(name)?;
    let submission = from_run(&run.record, split, title)?;
    let scored = submission.dataset.split.clone().unwrap_or_default();
    let predictions = store.predictions(run.id, &scored)?;
    let adapter = match run.record.adapter.as_deref().map(address::Place::of).transpose()? {
        Some(address::Place::Store(place)) => {
            Some(adapters::folder(Path::new(&place.to_string()))?)
        }
        Some(address::Place::Here(path)) => Some(path).filter(|p| p.join("adapter.json").exists()),
        None => None,
    };
    Ok(Found { submission, adapter, predictions, run: Some(run.record), _place: None })
}

/// How a score is called on a board; errors are no shares and have no place there.
fn title(name: &str) -> Option<String> {
    (!metric::is_error(name)).then(|| metric::title(name).into())
}

/// Makes a run's base model and data known to the board, if they are still where the run had them.
/// What cannot be found is said, and is not an error: the run is on the board all the same.
pub(crate) fn make_known(board: &mut Board, run: &RunRecord, actor: &Actor) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if local::bases(board)?.iter().all(|b| b.sha256 != run.base.weights_sha256) {
        let original = |folder: PathBuf| {
            let model = BaseModel::open(&folder)?;
            base::check_original(&model)?;
            Ok(model.id(""))
        };
        let opened = base::folder(&run.base.name).and_then(original);
        match opened {
            Ok(id) if run.base.difference(&id).is_none() => {
                local::add_base(board, &id.weights_sha256, &source(&run.base.name), actor)?;
            }
            _ => notes.push(format!("the base model {} is not where the run had it, or not as it was, or in int8; to verify, `budwood board base add MODEL`", run.base.name)),
        }
    }
    let known = local::data(board)?;
    let wanted: Vec<_> = run.data.iter().filter(|d| d.split != "train").collect();
    if wanted.iter().all(|d| known.iter().any(|k| k.sha256 == d.sha256)) {
        return Ok(notes);
    }
    let settings = run.settings.clone().into_iter().collect();
    let Ok(data) = DataSpec::from_settings(&settings).map(whole_places) else {
        notes.push(
            "the run's settings are not those of data; to verify, `budwood board data add`".into(),
        );
        return Ok(notes);
    };
    let found = read_source(&data).map(splits).unwrap_or_default();
    for digest in wanted {
        if found.iter().any(|d| d.digest.sha256 == digest.sha256) {
            local::add_data(board, digest, &json!(data.source()), actor)?;
        } else {
            notes.push(format!(
                "the {} data are not where the run had them; to verify, `budwood board data add` with the data's flags",
                digest.split
            ));
        }
    }
    Ok(notes)
}

/// A folder by its whole path, as the board may be used from elsewhere; names of models as they
/// are.
pub(crate) fn source(name: &str) -> String {
    match std::fs::canonicalize(name) {
        Ok(path) => path.display().to_string(),
        Err(_) => name.into(),
    }
}

/// The places that a specification of data names, and what stands before each in its setting.
fn places(data: &mut DataSpec) -> impl Iterator<Item = (usize, &mut String)> {
    let all = [Some(&mut data.data), data.dev_data.as_mut(), data.test_data.as_mut()];
    all.into_iter().flatten().map(|text| {
        let layout = text.split_once('=').filter(|_| !Path::new(text.as_str()).exists());
        (layout.map_or(0, |(name, _)| name.len() + 1), text)
    })
}

/// Data with their places as whole paths: checks are run from other folders.
pub(crate) fn whole_places(mut data: DataSpec) -> DataSpec {
    for (at, text) in places(&mut data) {
        let path = source(&text[at..]);
        text.truncate(at);
        text.push_str(&path);
    }
    let root = &mut data.columns.image_root;
    *root = root.take().map(|root| std::fs::canonicalize(&root).unwrap_or(root));
    data
}

/// What is to be said of data that an older program noted with a path from the folder that it was
/// run in.
pub(crate) fn relative_sources(board: &Board) -> Result<Vec<String>> {
    let all = local::data(board)?;
    let is_relative = |p: &Path| {
        let Ok(address::Place::Here(p)) = address::Place::of_path(p) else { return false };
        p.is_relative() && (p.exists() || p.components().count() > 1 || p.extension().is_some())
    };
    let relative = |d: &&local::Data| {
        data_source(&d.source).is_ok_and(|mut data| {
            let root = data.columns.image_root.clone();
            root.is_some_and(|root| is_relative(&root))
                || places(&mut data).any(|(at, text)| is_relative(Path::new(&text[at..])))
        })
    };
    let known = all.iter().filter(relative);
    let note = |d: &local::Data| {
        format!(
            "the {} data {:.12} were noted with a path that holds in one folder only ({}); \
             from there, `budwood board data add` notes it whole",
            d.split, d.sha256, d.source
        )
    };
    Ok(known.map(note).collect())
}

/// Puts every run of a store on the board; how many are new, and what is to be said.
pub(crate) fn whole_store(
    board: &mut Board,
    store: &Store,
    who: &str,
) -> Result<(u64, Vec<String>)> {
    let (mut new, mut notes) = (0, Vec::new());
    let actor = Actor::local(who);
    for run in store.runs(&budwood_store::Filter::default())? {
        let found = match of_store(store, &run.id.to_string(), None) {
            Ok(found) => found,
            Err(e) => {
                notes.push(format!("run {}: {e:#}", run.id));
                continue;
            }
        };
        let attachment =
            found.adapter.as_deref().map(|f| Attachment::read(f, AttachmentLimits::default()));
        let attachment = match attachment.transpose() {
            Ok(attachment) => attachment,
            Err(e) => {
                notes.push(format!("run {}: its adapter is left out: {e}", run.id));
                None
            }
        };
        let done =
            submit(board, &found.submission, attachment.as_ref(), &found.predictions, &actor)
                .with_context(|| format!("run {}", run.id))?;
        new += u64::from(done.new);
        notes.extend(make_known(board, &run.record, &actor)?);
    }
    notes.sort();
    notes.dedup();
    Ok((new, notes))
}
