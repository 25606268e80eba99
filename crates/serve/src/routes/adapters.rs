//! Adapters: listed, loaded, replaced, unloaded.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Named, Query, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::fault::Fault;
use crate::keys::{Allowed, Scope};
use crate::reply::{json, reply};
use crate::shelf::Known;

/// Bytes of a description that are read for a list.
const DESCRIPTION_MAX: u64 = 1 << 20;
/// Adapters of one list.
const LIST_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    #[serde(default)]
    after: String,
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
}

/// The text of an adapter's own description, if it has one.
fn description(app: &App, origin: &str) -> Option<Value> {
    let place = app.shelf.source().open(origin).ok()??;
    let mut text = String::new();
    let file = File::open(place.path.join("adapter.json")).ok()?;
    file.take(DESCRIPTION_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What is known of an adapter without reading its weights. Of one of another library that is not
/// in memory this is little.
fn described(name: &str, known: &Known, own: Option<Value>) -> Value {
    let held = known.held.as_deref();
    let meta = held.and_then(|l| serde_json::to_value(l.adapter.meta()).ok());
    let meta = meta.or(own).unwrap_or_default();
    let at = |path: &str| meta.pointer(path).cloned().unwrap_or_default();
    let parts = meta.pointer("/method/parts").and_then(Value::as_array);
    let named = |parts: &Vec<Value>| {
        parts.iter().filter_map(|p| p["name"].as_str()).collect::<Vec<_>>().join("|")
    };
    let method = parts.map(named);
    json!({
        "name": name,
        "generation": known.generation,
        "task": at("/task/kind"),
        "method": method,
        "labels": at("/labels"),
        "metrics": at("/metrics"),
        "base_sha256": at("/base/weights_sha256"),
        "max_length": at("/task/max_length"),
        "in_memory": held.is_some(),
        "bytes": held.map(|l| l.bytes).or_else(|| Some(meta.get("parameters_trained")?.as_u64()? * 4)),
    })
}

fn look(app: &App, allowed: &Allowed, name: &str) -> Result<Value, Fault> {
    allowed.check(name)?;
    let known = app.shelf.look(name)?;
    let own = if known.held.is_none() { description(app, &known.origin) } else { None };
    Ok(described(name, &known, own))
}

fn listed(
    app: &App,
    allowed: &Allowed,
    part: &Part,
) -> Result<(Vec<Value>, Option<String>), Fault> {
    let most = part.limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let mut names = app.shelf.names(&part.after, &part.prefix, most + 1)?;
    let more = names.len() > most;
    names.truncate(most);
    let next = more.then(|| names.last().cloned()).flatten();
    let one = |name: &String| {
        let known = app.shelf.listed(name);
        let read = known.held.is_none() && app.shelf.source().is_here();
        let own = if read { description(app, &known.origin) } else { None };
        described(name, &known, own)
    };
    let all = names.iter().filter(|name| allowed.allows(name)).map(one).collect();
    Ok((all, next))
}

/// `GET /adapters?after=NAME&prefix=TEXT&limit=N`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    part: Result<Query<Part>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = async {
        let allowed = app.allowed(&headers, Scope::Predict)?;
        let Query(part) = part.map_err(|e| Fault::bad(e.body_text()))?;
        let (all, next) = app.look(move |app| listed(app, &allowed, &part)).await?;
        Ok(json(&json!({ "adapters": all, "next": next })))
    };
    reply(answer.await)
}

/// `GET /v1/models`, in OpenAI's shape.
pub(super) async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let answer = async {
        let allowed = app.allowed(&headers, Scope::Predict)?;
        let part = Part { after: String::new(), prefix: String::new(), limit: None };
        let (all, _) = app.look(move |app| listed(app, &allowed, &part)).await?;
        let one = |a: Value| {
            json!({
                "id": a["name"],
                "object": "model",
                "created": 0,
                "owned_by": "budwood",
                "parent": a["base_sha256"],
            })
        };
        let data: Vec<Value> = all.into_iter().map(one).collect();
        Ok(json(&json!({ "object": "list", "data": data })))
    };
    reply(answer.await)
}

/// A description with its generation as the entity tag.
fn tagged(value: &Value) -> Response<Body> {
    let mut response = json(value);
    let tag = format!("\"{}\"", value["generation"]);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// `GET /adapters/NAME`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = async {
        let allowed = app.allowed(&headers, Scope::Predict)?;
        let found = app.look(move |app| look(app, &allowed, &name)).await?;
        Ok(tagged(&found))
    };
    reply(answer.await)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// A folder below that of the adapters; without it, the one of the name.
    folder: Option<String>,
    /// The generation that the name must have.
    if_generation: Option<u64>,
}

/// The generation that must be there: from `If-Match`, or from the body.
fn expected(headers: &HeaderMap, body: Option<u64>) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("if-match") else { return Ok(body) };
    let number = value.to_str().ok().and_then(|v| v.trim_matches('"').parse().ok());
    let bad = || Fault::bad("If-Match: a generation is wanted, as \"3\"");
    Ok(Some(number.ok_or_else(bad)?))
}

/// `PUT /adapters/NAME`: loads it anew, or from another folder.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let mut asked = app.ask(request, Scope::Manage).await?;
        let change = match asked.body.is_empty() {
            true => Change::default(),
            false => app.json(&mut asked).await?,
        };
        let expected = expected(&asked.headers, change.if_generation)?;
        let allowed = asked.allowed.clone();
        let at = Arc::clone(&app);
        let work = move || {
            allowed.check(&name)?;
            change.folder.as_deref().map_or(Ok(()), |folder| allowed.check(folder))?;
            at.shelf.replace(&name, change.folder, expected)?;
            look(&at, &allowed, &name)
        };
        Ok(tagged(&app.work(&asked, false, work).await?))
    };
    reply(answer.await)
}

/// `DELETE /adapters/NAME`: the name is unknown from now on; the folder stays.
pub(super) async fn unload(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = async {
        let allowed = app.allowed(&headers, Scope::Manage)?;
        allowed.check(&name)?;
        let expected = expected(&headers, None)?;
        let generation = app.look(move |app| app.shelf.unload(&name, expected)).await?;
        Ok(json(&json!({ "unloaded": true, "generation": generation })))
    };
    reply(answer.await)
}
