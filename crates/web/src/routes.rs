//! All addresses.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use budwood_board::{Board, Error};
use budwood_http::key;
use maud::html;

use crate::api::endpoint::ROOT;
use crate::api::openapi::endpoints;
use crate::api::write::{WRITE, actor};
use crate::app::{App, Options};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::Page;
use crate::reply::Reply;
use crate::route::{Job, Route, Work};
use crate::upload::Upload;
use crate::{assets, feeds, pages};

/// The addresses of all pages and of what belongs to them; `{name}` is one segment of a path.
pub fn addresses() -> impl Iterator<Item = &'static str> {
    shown().map(|route| route.path)
}

/// What people read.
fn shown() -> impl Iterator<Item = &'static Route> {
    pages::PAGES.iter().chain(feeds::FEEDS).copied().flatten().chain(assets::ROUTES)
}

/// All addresses of a board.
///
/// # Errors
/// If the board cannot be opened.
pub fn router(options: Options) -> Result<Router, Error> {
    let named = shown().filter(|route| !route.name.is_empty());
    let named = named.map(|r| (r.path, r.name)).collect();
    // Connecting to a server blocks, which a thread that also serves must not.
    let open = || std::thread::spawn(move || App::new(options, named)).join();
    let app = Arc::new(open().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    let mut router = Router::new();
    let people = shown().map(|route| (route.path.to_owned(), route.work));
    let programs = endpoints().map(|e| (format!("{ROOT}{}", e.path), e.work));
    for (path, work) in people.chain(programs) {
        let answer = move |State(app): State<Arc<App>>, request: Request| async move {
            read(&app, work, request).await
        };
        // Clients of the archive end every address with a slash.
        if path.starts_with(ROOT) && !path.contains('.') {
            router = router.route(&format!("{path}/"), get(answer));
        }
        router = router.route(&path, get(answer));
    }
    for &(path, write) in WRITE {
        let answer = move |State(app): State<Arc<App>>, request: Request| async move {
            self::write(&app, Sender::OfHeader, write.job(), request).await
        };
        for end in ["", "/"] {
            router = router.route(&format!("{ROOT}{path}{end}"), post(answer));
        }
    }
    let form = |State(app): State<Arc<App>>, request: Request| async move {
        let take: Job =
            Box::new(|board, upload, ask| pages::submit::take(board, upload, ask).map(Some));
        self::write(&app, Sender::OfForm, take, request).await
    };
    router = router.route("/submit", post(form));
    let missing = |State(app): State<Arc<App>>, request: Request| async move {
        read(&app, Work::Page(|_, _| Err(Fault::missing("such page"))), request).await
    };
    // The router adds which methods are allowed (RFC 9110, section 15.5.6).
    let other_method = |State(app): State<Arc<App>>, request: Request| async move {
        let asked = request.method().clone();
        answered(&app, request, |_| async move {
            let message = format!("{asked} is not allowed at this address.");
            Err(Fault::new(StatusCode::METHOD_NOT_ALLOWED, message))
        })
        .await
    };
    let router = router.fallback(missing).method_not_allowed_fallback(other_method);
    Ok(router.with_state(app))
}

/// Answers a request that reads.
async fn read(app: &Arc<App>, work: Work, request: Request) -> Response<Body> {
    let work = |ask: Arc<Ask>| async move {
        let app = Arc::clone(&ask.app);
        match work {
            Work::Page(show) => page(&app, ask, show).await,
            Work::Search(show) => {
                app.searches.allow(ask.client)?;
                page(&app, ask, show).await
            }
            Work::Export(show) => {
                let turn = app.exports.turn(ask.client).await?;
                let export = move |board: &mut Board| {
                    // Who left does not make room before the work is over.
                    let _turn = turn;
                    show(board, &ask)
                };
                app.exporters.run(export).await
            }
            Work::Trial(prepare) => {
                let turn = app.tries.turn(ask.client).await?;
                // No connection to the board is held while the adapter runs.
                let rest = page(&app, Arc::clone(&ask), prepare).await?;
                let run = move || {
                    let _turn = turn;
                    rest(&ask)
                };
                tokio::task::spawn_blocking(run).await.map_err(Fault::internal)?
            }
        }
    };
    answered(app, request, work).await
}

/// What a page needs of the board. Neither one client's many questions nor pages that take long
/// keep all readers.
async fn page<T: Send + 'static>(
    app: &Arc<App>,
    ask: Arc<Ask>,
    show: impl FnOnce(&Board, &Ask) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let limit = Duration::from_secs(app.options.limits.seconds);
    let made = async {
        let turns = (app.clients.wait(key(ask.client)).await, app.paths.wait(&ask.path).await);
        let mut slow = None;
        let place = loop {
            if slow.is_none() && app.slow.knows(&ask.path) {
                slow = app.slow.place().await;
            }
            let place = app.readers.place().await?;
            // Meanwhile another may have found out that this page takes long.
            if slow.is_some() || !app.slow.knows(&ask.path) {
                break place;
            }
        };
        let shared = Arc::clone(app);
        let work = move |board: &mut Board| {
            let _held = (turns, slow);
            shared.slow.timed(&ask.path, || show(board, &ask))
        };
        app.readers.run_in(place, work).await
    };
    tokio::time::timeout(limit, made).await.unwrap_or_else(|_| Err(busy()))
}

/// Answers a request by `work`, and shows what goes wrong.
async fn answered<F: Future<Output = Result<Reply, Fault>>>(
    app: &Arc<App>,
    request: Request,
    work: impl FnOnce(Arc<Ask>) -> F,
) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    let reply = match Ask::read(app, &mut parts).await {
        Ok(ask) => {
            let ask = Arc::new(ask);
            settled(work(Arc::clone(&ask)).await, &ask)
        }
        Err(fault) => bare(&fault),
    };
    send(app, reply, parts.headers).await
}

fn busy() -> Fault {
    Fault::later(StatusCode::SERVICE_UNAVAILABLE, "The board is busy.", 5)
}

/// Texts from this on are packed on a thread that may take its time.
const LARGE: u32 = 32;

/// Sends a reply, once there is room in memory for it.
async fn send(app: &App, reply: Reply, headers: HeaderMap) -> Response<Body> {
    let limit = Duration::from_secs(app.options.limits.seconds);
    let kilobytes = reply.kilobytes();
    let room = app.unsent.take(kilobytes);
    let Ok(Some(room)) = tokio::time::timeout(limit, room).await else {
        return bare(&busy()).respond(&headers, None);
    };
    if kilobytes < LARGE {
        return reply.respond(&headers, Some(room));
    }
    let packed = tokio::task::spawn_blocking(move || reply.respond(&headers, Some(room))).await;
    packed.unwrap_or_else(|e| bare(&Fault::internal(e)).respond(&HeaderMap::new(), None))
}

/// Where a request that writes says who sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// In the header `Authorization`: it is looked at before the body.
    OfHeader,
    /// In fields of a form, which come before its files.
    OfForm,
}

/// Answers a request that writes: nothing happens before its body is whole, and within its time.
async fn write(app: &Arc<App>, sender: Sender, mut job: Job, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let arrive = async {
        let ask = Ask::read(app, &mut parts).await?;
        app.writes.allow(ask.client)?;
        if sender == Sender::OfHeader {
            let given = parts.headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
            let given = given.map(str::to_owned);
            app.readers.run(move |board| actor(board, given.as_deref()).map(drop)).await?;
        }
        let forms = (Arc::clone(app), ask.form_cookie.clone());
        let known = async move |begun: Upload| match sender {
            Sender::OfHeader => Ok(()),
            Sender::OfForm => {
                let (app, cookie) = forms;
                let readers = app.readers.clone();
                let sender = move |board: &mut Board| {
                    pages::submit::sender(board, &begun, &app.forms, cookie.as_deref()).map(drop)
                };
                readers.run(sender).await
            }
        };
        let upload = match Upload::read(app, &parts, body, known).await {
            Ok(upload) => upload,
            Err(fault) => return Ok(Err(settled(Err(fault), &ask))),
        };
        Ok::<_, Fault>(Ok((upload, ask)))
    };
    let reply = match arrive.await {
        // Once it has begun, a change is not given up: the client must learn what became of it.
        Ok(Ok((mut upload, mut ask))) => {
            let writer = app.writer.clone();
            let all = tokio::spawn(async move {
                loop {
                    let piece = move |board: &mut Board| {
                        let done = job(board, &upload, &ask);
                        Ok((job, upload, ask, done))
                    };
                    let done;
                    (job, upload, ask, done) = writer.run(piece).await?;
                    if let Some(outcome) = done.transpose() {
                        return Ok(settled(outcome, &ask));
                    }
                }
            });
            let all = all.await.map_err(Fault::internal).flatten();
            all.unwrap_or_else(|fault| bare(&fault))
        }
        Ok(Err(refusal)) => refusal,
        Err(fault) => bare(&fault),
    };
    send(app, reply, parts.headers).await
}

/// The reply, or the page of what went wrong.
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
        StatusCode::SERVICE_UNAVAILABLE => "Busy",
        _ => "Something went wrong",
    };
    let page = Page { title, ..Page::default() };
    let content = html! {
        h1 { (title) }
        p.lead { (fault.message) }
        p { a href="/" { "To the start page" } " or " a href="/search" { "search" } "." }
    };
    again(page.reply(ask, content).status(fault.status), fault)
}

/// A fault for programs, and where there is no board to show it on.
fn bare(fault: &Fault) -> Reply {
    let reply = Reply::json(&serde_json::json!({ "error": fault.message })).status(fault.status);
    again(reply, fault)
}

/// The reply with what the client must do before it is asked again.
fn again(reply: Reply, fault: &Fault) -> Reply {
    match (fault.status, fault.retry_after) {
        (StatusCode::UNAUTHORIZED, _) => reply.header(WWW_AUTHENTICATE, "Token"),
        (_, Some(seconds)) => reply.header(RETRY_AFTER, &seconds.to_string()),
        _ => reply,
    }
}
