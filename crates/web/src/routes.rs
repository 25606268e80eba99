//! All addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use budwood_board::{Board, Error};
use maud::html;

use crate::api::write::WRITE;
use crate::api::{READ, ROOT};
use crate::app::{App, Options};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::guard::rate::Rate;
use crate::layout::{self, Page};
use crate::reply::Reply;
use crate::server::Peer;
use crate::upload::Upload;
use crate::{assets, feeds, pages};

/// Answers a question to an open board.
pub(crate) type Show = fn(&Board, &Ask) -> Result<Reply, Fault>;

/// Everything that is read. `{name}` is one segment of a path.
const PAGES: &[(&str, Show)] = &[
    ("/", pages::start::show),
    ("/about", pages::about::show),
    ("/area/{slug}", pages::task::area),
    ("/badge/{id}", feeds::badge::show),
    ("/compare", pages::compare::show),
    ("/dataset/{slug}", pages::dataset::show),
    ("/datasets", pages::dataset::list),
    ("/embed/{slug}", pages::sota::embed),
    ("/export/{name}", feeds::export::show),
    ("/feed.atom", feeds::atom::show),
    ("/log", pages::log::show),
    ("/method/{slug}", pages::method::show),
    ("/methods", pages::method::list),
    ("/paper/{slug}", pages::paper::show),
    ("/papers", pages::paper::list),
    ("/result/{id}", pages::result::show),
    ("/result/{id}/adapter", feeds::file::adapter),
    ("/result/{id}/files/{name}", feeds::file::show),
    ("/result/{id}/model-index.yaml", feeds::export::model_index),
    ("/robots.txt", feeds::sitemap::robots),
    ("/sitemap.xml", feeds::sitemap::index),
    ("/sitemap/{name}", feeds::sitemap::show),
    ("/sota", pages::task::list),
    ("/sota/{slug}", pages::sota::show),
    ("/static/{name}", assets::show),
    ("/submit", pages::submit::show),
    ("/task/{slug}", pages::task::show),
    ("/tasks", pages::task::list),
    ("/theme", layout::theme),
];
/// What costs more than a page, and is asked for less often.
const COSTLY: &[(&str, Show)] =
    &[("/search", pages::search::show), ("/result/{id}/try", pages::result::try_it)];

/// All addresses of a board.
///
/// # Errors
/// If the board cannot be opened.
pub fn router(options: Options) -> Result<Router, Error> {
    let app = Arc::new(App::new(options)?);
    let mut router = Router::new();
    let pages = PAGES.iter().map(|&(path, show)| (path.to_owned(), show, false));
    let costly = COSTLY.iter().map(|&(path, show)| (path.to_owned(), show, true));
    let programs = READ.iter().map(|e| (format!("{ROOT}{}", e.path), e.show, e.costly));
    for (path, show, costly) in pages.chain(costly).chain(programs) {
        let answer = move |State(app): State<Arc<App>>, request: Request| async move {
            read(&app, show, costly, request).await
        };
        // Clients of the archive end every address with a slash.
        if path.starts_with(ROOT) && !path.contains('.') {
            router = router.route(&format!("{path}/"), get(answer));
        }
        router = router.route(&path, get(answer));
    }
    for &(path, write) in WRITE {
        let answer = move |State(app): State<Arc<App>>, request: Request| async move {
            self::write(&app, move |board, upload, _| write(board, upload), request).await
        };
        for end in ["", "/"] {
            router = router.route(&format!("{ROOT}{path}{end}"), post(answer));
        }
    }
    let form = |State(app): State<Arc<App>>, request: Request| async move {
        self::write(&app, pages::submit::take, request).await
    };
    router = router.route("/submit", post(form));
    let missing = |State(app): State<Arc<App>>, request: Request| async move {
        read(&app, |_, _| Err(Fault::missing("such page")), false, request).await
    };
    Ok(router.fallback(missing).with_state(app))
}

/// Answers a request that reads.
async fn read(app: &Arc<App>, show: Show, costly: bool, request: Request) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    let headers = parts.headers.clone();
    let client = client(app, &parts);
    let work = async {
        if costly {
            allow(&app.searches, client)?;
        }
        let ask = Ask::read(app, &mut parts).await?;
        app.readers.run(move |board| Ok(answer(show, board, &ask))).await
    };
    let limit = Duration::from_secs(app.options.limits.seconds);
    let reply = match tokio::time::timeout(limit, work).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(fault)) => bare(&fault),
        Err(_) => bare(&Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The board is busy. Please try again in a moment.",
        )),
    };
    reply.respond(&headers)
}

/// Answers a request that writes: nothing happens before its body is whole, and within its time.
async fn write(
    app: &Arc<App>,
    job: impl FnOnce(&mut Board, &Upload, &Ask) -> Result<Reply, Fault> + Send + 'static,
    request: Request,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let client = client(app, &parts);
    let limits = app.options.limits;
    let arrive = async {
        allow(&app.writes, client)?;
        let upload = Upload::read(&parts, body, limits.upload).await?;
        Ok::<_, Fault>((upload, Ask::read(app, &mut parts).await?))
    };
    let arrived = match tokio::time::timeout(Duration::from_secs(limits.seconds), arrive).await {
        Ok(arrived) => arrived,
        Err(_) => {
            Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "The request took too long to arrive."))
        }
    };
    let reply = match arrived {
        // Once it has begun, a change is not given up: the client must learn what became of it.
        Ok((upload, ask)) => {
            let work = move |board: &mut Board| Ok(settled(job(board, &upload, &ask), &ask));
            app.writer.run(work).await.unwrap_or_else(|fault| bare(&fault))
        }
        Err(fault) => bare(&fault),
    };
    reply.respond(&headers)
}

/// The reply, or the page of what went wrong.
fn answer(show: Show, board: &Board, ask: &Ask) -> Reply {
    settled(show(board, ask), ask)
}

fn settled(outcome: Result<Reply, Fault>, ask: &Ask) -> Reply {
    outcome.unwrap_or_else(|fault| {
        if ask.path.starts_with("/api/") { bare(&fault) } else { wrong(ask, &fault) }
    })
}

/// A fault as a page.
fn wrong(ask: &Ask, fault: &Fault) -> Reply {
    let title = match fault.status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::BAD_REQUEST => "That does not work",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not allowed",
        StatusCode::TOO_MANY_REQUESTS => "A little slower, please",
        _ => "Something went wrong",
    };
    let page = Page { title, ..Page::default() };
    let content = html! {
        h1 { (title) }
        p.lead { (fault.message) }
        p { a href="/" { "To the start page" } " or " a href="/search" { "search" } "." }
    };
    page.reply(ask, content).status(fault.status)
}

/// A fault for programs, and where there is no board to show it on.
fn bare(fault: &Fault) -> Reply {
    let reply = Reply::json(&serde_json::json!({ "error": fault.message })).status(fault.status);
    match fault.retry_after {
        Some(seconds) => reply.header(RETRY_AFTER, &seconds.to_string()),
        None => reply,
    }
}

/// Takes a token of the client's.
pub(crate) fn allow(rate: &Rate, client: IpAddr) -> Result<(), Fault> {
    rate.take(client, Instant::now()).map_err(|seconds| Fault {
        retry_after: Some(seconds),
        ..Fault::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("That was a lot in a short time. Please try again in {seconds} s."),
        )
    })
}

/// Whom a request comes from.
pub(crate) fn client(app: &App, parts: &axum::http::request::Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |p| p.0);
    if !app.options.behind_proxy {
        return peer;
    }
    // The last entry is the proxy's own word; those before it are the client's.
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|v| v.to_str().ok()).and_then(|v| v.rsplit(',').next());
    last.and_then(|v| v.trim().parse().ok()).unwrap_or(peer)
}
