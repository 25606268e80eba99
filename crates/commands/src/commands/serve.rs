//! `budwood serve`: many adapters on one model over HTTP.

#[cfg(feature = "object-store")]
mod objects;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use budwood::spec::{BasePrecision, Form};
use budwood::{Base, BaseOptions, number};
use budwood_base::address::Place;
use budwood_base::json as weigh;
use budwood_serve::{Beside, Folder, Keys, Limits, Source};
use serde_json::{Value, json};

use crate::board_place::BoardPlace;
use crate::commands::submit;
use crate::output::{self, say};
use crate::pages::PagesArgs;
use crate::settings::Settings;
use crate::tls::TlsArgs;
use crate::trial::Trial;
use crate::{again, base};

#[derive(clap::Args)]
#[command(mut_group("pages", |pages| pages.requires("board")))]
pub(crate) struct Args {
    /// Base model: a folder, s3://BUCKET/NAME, a model of a package, or OWNER/NAME of the hub.
    #[arg(long)]
    base: String,
    /// Folder whose folders are adapters of that model, or one adapter. Requests name them by their
    /// folders: `reviews`, `team/spam`. Or the address of such a folder in an object store:
    /// `s3://BUCKET/PREFIX`, `gs://...`, `az://...`.
    #[arg(long, value_name = "DIR")]
    adapters: PathBuf,
    /// Folder on this disk for adapters of an object store [default: `serve` in the cache].
    #[arg(long, value_name = "DIR")]
    disk_cache: Option<PathBuf>,
    /// Megabytes of that folder; the least recently used adapters are fetched again.
    #[arg(long, value_name = "MB", default_value_t = 10_000, value_parser = number::count::<1, 100_000_000>)]
    disk_cache_size: usize,
    /// Number format of the frozen weights. auto: int8 if the first adapters by name were trained
    /// so, else that in which the model is stored.
    #[arg(long, value_enum, default_value_t)]
    base_precision: BasePrecision,
    /// Number format of adapters' matrices in memory. int8 takes a quarter of it; answers then
    /// differ a little from those of `budwood predict`.
    #[arg(long, value_enum, default_value_t = Form::F32, value_name = "FORM")]
    adapter_precision: Form,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// Megabytes of adapters' parameters that stay in memory; the least recently used are read from
    /// disk again.
    #[arg(long, value_name = "MB", default_value_t = 1024, value_parser = number::count::<1, 10_000_000>)]
    cache: usize,
    /// File with a key on each line: `KEY predict` or `KEY manage`, and names of adapters if it is
    /// not for all. Without it everybody who reaches the server may do everything.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Tokens that may wait for the model; more are refused with 429.
    #[arg(long, value_name = "N", default_value_t = Limits::default().tokens, value_parser = number::count::<1, 1_000_000_000>)]
    queue: usize,
    /// Inputs of one request.
    #[arg(long, value_name = "N", default_value_t = Limits::default().inputs, value_parser = number::count::<1, 1_000_000>)]
    max_inputs: usize,
    /// Megabytes of one request.
    #[arg(long, value_name = "MB", default_value_t = Limits::default().body >> 20, value_parser = number::count::<1, 1000>)]
    max_body: usize,
    /// Time limit of a request, in seconds; later it is refused with 504.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = number::seconds)]
    max_time: Duration,
    /// Limit of open connections [default: 1024; with --board 5120].
    #[arg(long, value_name = "N", value_parser = number::count::<1, 100_000>)]
    connections: Option<usize>,
    /// Limit of open connections per client; clients on this machine have none.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_each, value_parser = number::count::<1, 100_000>)]
    connections_each: usize,
    /// Megapixels of the images of one request.
    #[arg(long, value_name = "N", default_value_t = (Limits::default().pixels / 1_000_000) as usize, value_parser = number::count::<1, 100_000>)]
    max_pixels: usize,
    /// Seconds in which requests are still taken when the server is told to end, and `/ready` says
    /// no: balancers then send no more.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds_or_none)]
    drain: Duration,
    /// Seconds that requests under way have after that.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = number::seconds)]
    grace: Duration,
    #[command(flatten)]
    tls: TlsArgs,
    /// Serve this results board on the same port: a folder, or postgres://USER@HOST/DATABASE.
    /// Adapters of its results are tried over the model that is served, where they are of it. `/`
    /// is the board then, and `/try` the page to try adapters; keys are for adapters alone. What
    /// waits in the board's queue is left to `budwood verify --queue`.
    #[arg(long, value_name = "BOARD", value_parser = BoardPlace, help_heading = "Board")]
    board: Option<budwood_board::Place>,
    #[command(flatten, next_help_heading = "Board")]
    pages: PagesArgs,
}

/// Adapters that are looked at to choose the form of the frozen weights.
const LOOKED_AT: usize = 8;

/// int8 if the first adapters were all trained on weights in that form: they then answer as
/// `predict` does, to the bit. What cannot be read says nothing here; requests will name it.
fn as_trained(adapters: &dyn Source) -> Option<Form> {
    let names = match adapters.only() {
        Some(name) => vec![name],
        None => adapters.names("", "", LOOKED_AT).unwrap_or_default(),
    };
    let precision = |name: &String| {
        let text = adapters.description(name).ok()??;
        weigh::check(&text).ok()?;
        let description: Value = serde_json::from_slice(&text).ok()?;
        Some(description["precision"].as_str()?.to_string())
    };
    let found: Vec<String> = names.iter().filter_map(precision).collect();
    let int8 = !found.is_empty() && found.iter().all(|form| form == "int8");
    int8.then_some(Form::Int8)
}

fn seconds_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { number::seconds(text) }
}

/// Where the adapters lie.
fn adapters(args: &Args) -> Result<Box<dyn Source>> {
    let place = |e: String| anyhow!("--adapters {e}");
    let address = match Place::of_path(&args.adapters) {
        Ok(Place::Here(path)) => {
            return Ok(Box::new(Folder::open(&path).map_err(place)?));
        }
        Ok(Place::Store(address)) => address,
        Err(e) => return Err(place(e.to_string())),
    };
    #[cfg(feature = "object-store")]
    {
        let cache = match &args.disk_cache {
            Some(folder) => folder.clone(),
            None => {
                budwood_hub::cache_folder().map_err(|e| anyhow!("--disk-cache: {e}"))?.join("serve")
            }
        };
        let bytes = (args.disk_cache_size as u64) << 20;
        let objects = objects::Objects::open(&address, &cache, bytes);
        Ok(Box::new(objects.map_err(|e| place(e.to_string()))?))
    }
    #[cfg(not(feature = "object-store"))]
    match budwood_hub::check_stores(&address) {
        Err(e) => Err(place(e.to_string())),
        Ok(()) => Err(place(format!("{address}: cannot be used"))),
    }
}

/// The board on the same port.
fn beside(args: &Args, place: &budwood_board::Place, base: &Base) -> Result<Beside> {
    // Elsewhere matrices are as they were trained.
    let same = args.adapter_precision == Form::F32;
    let options = args.pages.options(place, Trial::new(place, same.then(|| base.clone()))?);
    let (scheme, place) = (args.tls.scheme(), place.clone());
    let router = move |here| {
        let router = budwood_web::router(options.listening(here, scheme));
        router.map_err(|e| format!("--board {place}: {e}").into())
    };
    Ok(Beside { router: Box::new(router), files: budwood_web::FILES })
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    if args.board.is_some() {
        again::with_few_arenas();
    }
    let keys = match &args.keys {
        None => Keys::default(),
        Some(path) => {
            let place = || format!("--keys {}", path.display());
            let text = fs::read_to_string(path).with_context(place)?;
            Keys::parse(&text).map_err(|e| anyhow!("{}: {e}", place()))?
        }
    };
    if args.keys.is_none() && (!args.host.is_loopback() || args.pages.behind_proxy) {
        output::note!("the server takes requests of other machines, and no --keys are given");
    }
    let tls = args.tls.open()?;
    let adapters = adapters(args)?;
    if let Some(place) = &args.board {
        submit::open(place)?;
    }
    // Each of the server's threads computes by itself.
    let precision = args.base_precision.form().or_else(|| as_trained(&*adapters));
    let adapters_in = args.adapter_precision;
    let options =
        BaseOptions { precision, adapters: adapters_in, threads: 1, ..BaseOptions::default() };
    let base = Base::open_with(base::folder(&args.base)?, options)?;
    let beside = args.board.as_ref().map(|place| beside(args, place, &base)).transpose()?;
    let pages = if beside.is_some() { budwood_web::Limits::default().connections } else { 0 };
    let connections = args.connections.unwrap_or(Limits::default().connections + pages);
    let limits = Limits {
        body: args.max_body << 20,
        inputs: args.max_inputs,
        pixels: args.max_pixels as u64 * 1_000_000,
        tokens: args.queue,
        time: args.max_time,
        connections,
        // All connections are the proxy's.
        connections_each: if args.pages.behind_proxy { connections } else { args.connections_each },
        drain: args.drain,
        grace: args.grace,
        ..Limits::default()
    };
    let service = budwood_serve::Settings {
        base,
        adapters,
        cache: (args.cache as u64) << 20,
        threads: settings.threads,
        keys,
        limits,
        tls,
    };
    let ready = |address: SocketAddr| {
        let url = format!("{}://{address}/", args.tls.scheme());
        // Whoever closed the output still wants the server.
        let _ = if settings.json {
            let mut told = json!({ "url": url, "adapters": args.adapters });
            if let Some(board) = &args.board {
                told["board"] = json!(board);
            }
            output::json(&told)
        } else {
            let board = args.board.as_ref().map(|board| format!(" and the board in {board}"));
            let (adapters, board) = (args.adapters.display(), board.unwrap_or_default());
            say!("Adapters in {adapters}{board} are at {url} (Ctrl-C ends it)").map_err(Into::into)
        };
    };
    budwood_serve::serve(service, beside, SocketAddr::new(args.host, args.port), ready)
        .map_err(|e| anyhow!("{e}"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights are not there: nothing but descriptions may be read.
    #[test]
    fn descriptions_alone_say_in_which_form_adapters_were_trained() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("adapter.json"), text).unwrap();
        };
        let form = || as_trained(&Folder::open(dir.path()).unwrap());
        assert_eq!(form(), None);
        write("a", r#"{"precision": "int8"}"#);
        assert_eq!(form(), Some(Form::Int8));
        // What cannot be read says nothing.
        write("b", "[[");
        write("c", r#"{"precision": 8}"#);
        assert_eq!(form(), Some(Form::Int8));
        write("d", r#"{"precision": "f32"}"#);
        assert_eq!(form(), None);
        assert_eq!(as_trained(&Folder::open(&dir.path().join("a")).unwrap()), Some(Form::Int8));
    }
}
