//! Adapters' answers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, Response};
use budwood::Input;
use budwood::answer::AnswerOptions;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::{App, Asked, UnderWay};
use crate::fault::Fault;
use crate::given::{self, Form};
use crate::keys::Scope;
use crate::reply::{json, reply, with_cut};
use crate::shape::{self, Wanted};
use crate::shelf::Loaded;

fn yes() -> bool {
    true
}

/// A name, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "\"adapter\": a name or a list of names is wanted")]
enum Names {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Predict {
    inputs: Value,
    #[serde(alias = "model")]
    adapter: Option<Names>,
    #[serde(default)]
    raw_scores: bool,
    #[serde(default = "yes")]
    truncate: bool,
    top_k: Option<usize>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    top_k: Option<usize>,
}

#[derive(Deserialize)]
struct Classify {
    #[serde(default)]
    model: Option<String>,
    input: Value,
}

/// Values under way to one adapter.
struct Sent {
    under_way: UnderWay,
    /// The texts that words were taken from.
    texts: Vec<Option<String>>,
}

/// How many adapters one request may name.
const ADAPTERS_MAX: usize = 1000;
/// How many patterns one request may have: each is looked up among all names.
const PATTERNS_MAX: usize = 16;

async fn send(
    app: &App,
    asked: &Asked,
    loaded: &Arc<Loaded>,
    (values, cut): (Vec<(usize, Value)>, bool),
) -> Result<Sent, Fault> {
    let form = Form::of(&loaded.adapter);
    let texts = match form {
        Form::Words => values.iter().map(|(_, value)| shape::text_of(value)).collect(),
        _ => vec![None; values.len()],
    };
    let pixels = app.limits.pixels;
    let inputs: Vec<Input> = match form {
        // Decoding an image takes a while.
        Form::Image => app.work(asked, true, move || form.inputs(values, pixels)).await?,
        _ => form.inputs(values, pixels)?,
    };
    let under_way = app.begin(asked, loaded, (inputs, cut)).await?;
    Ok(Sent { under_way, texts })
}

/// The answers to the values of one adapter, and how many were cut.
async fn answers(
    app: &App,
    asked: &Asked,
    sent: Sent,
    wanted: Wanted,
) -> Result<(Vec<Value>, usize), Fault> {
    let (encoded, outputs) = app.finish(asked, sent.under_way).await?;
    let raw = if wanted.raw { outputs.clone() } else { Vec::new() };
    let answers = encoded.answers(outputs, &AnswerOptions::default())?;
    let shaped = answers.iter().enumerate().map(|(i, answer)| {
        let raw = raw.get(i).map_or(&[][..], Vec::as_slice);
        shape::answer(answer, raw, sent.texts[i].as_deref(), wanted)
    });
    Ok((shaped.collect(), encoded.truncated()))
}

/// The names that a request means. A name that ends in `*` is all that begin so.
async fn names(app: &Arc<App>, asked: &Asked, given: Vec<String>) -> Result<Vec<String>, Fault> {
    if given.len() > ADAPTERS_MAX {
        return Err(too_many(given.len()));
    }
    let patterns = given.iter().filter(|name| name.ends_with('*')).count();
    if patterns > PATTERNS_MAX {
        let message =
            format!("{patterns} patterns are more than the {PATTERNS_MAX} of one request");
        return Err(Fault::large(message));
    }
    let mut names = Vec::new();
    for name in given {
        match name.strip_suffix('*') {
            None => names.push(name),
            Some(prefix) => {
                let (at, prefix) = (Arc::clone(app), prefix.to_string());
                let find = move || at.shelf.names("", &prefix, ADAPTERS_MAX + 1);
                let found: Vec<String> = app.work(asked, false, find).await?;
                names.extend(found.into_iter().filter(|name| asked.allowed.allows(name)));
            }
        }
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    match names.len() {
        0 if patterns == 0 => Err(Fault::bad("\"adapter\": the list of names is empty")),
        0 => Err(Fault::unknown("no adapter has a name that begins so")),
        1..=ADAPTERS_MAX => Ok(names),
        n => Err(too_many(n)),
    }
}

fn too_many(adapters: usize) -> Fault {
    Fault::large(format!("{adapters} adapters are more than the {ADAPTERS_MAX} of one request"))
}

/// The name where a request gives none: that of the only adapter.
fn only(app: &App) -> Result<String, Fault> {
    app.shelf.only().ok_or_else(|| Fault::bad("\"adapter\" is missing: the name of an adapter"))
}

/// The adapter that each value names, if all do; the values without the names.
fn by_input(inputs: &mut Value) -> Result<Option<Vec<String>>, Fault> {
    let Value::Array(all) = inputs else { return Ok(None) };
    let names = |value: &Value| value.get("adapter").is_some();
    let named = all.iter().filter(|v| names(v)).count();
    if named == 0 {
        return Ok(None);
    }
    if named < all.len() {
        return Err(Fault::bad("some inputs name their adapter and others do not"));
    }
    let mut found = Vec::with_capacity(all.len());
    for value in all {
        let Value::Object(fields) = value else { continue };
        match fields.remove("adapter") {
            Some(Value::String(name)) => found.push(name),
            _ => return Err(Fault::bad("\"adapter\" of an input: a name is wanted")),
        }
        // `{"inputs": ...}` around what is not an object.
        if let (1, Some(inner)) = (fields.len(), fields.get("inputs")) {
            *value = inner.clone();
        }
    }
    Ok(Some(found))
}

async fn predicted(app: &Arc<App>, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let mut asked = app.ask(request, Scope::Predict).await?;
    let mut body: Predict = app.json(&mut asked).await?;
    let wanted = Wanted { raw: body.raw_scores, top: body.top_k.or(body.parameters.top_k) };
    if let Some(named) = by_input(&mut body.inputs)? {
        return each(app, &asked, body, named, wanted).await;
    }
    let given = match body.adapter {
        None => return one(app, &asked, (only(app)?, body.inputs, body.truncate), wanted).await,
        Some(Names::One(name)) if !name.ends_with('*') => {
            return one(app, &asked, (name, body.inputs, body.truncate), wanted).await;
        }
        Some(Names::One(pattern)) => vec![pattern],
        Some(Names::Many(names)) => names,
    };
    let names = names(app, &asked, given).await?;
    let mut all = Vec::with_capacity(names.len());
    let mut inputs = 0;
    for name in names {
        let loaded = app.adapter(&asked, &name).await?;
        let (values, is_list) = Form::of(&loaded.adapter).split(body.inputs.clone());
        inputs += values.len();
        app.check_count(inputs)?;
        let sent = send(app, &asked, &loaded, (values, body.truncate)).await;
        let sent = sent.map_err(|fault| fault.of(format_args!("adapter '{name}'")))?;
        all.push((name, is_list, sent));
    }
    let (mut answered, mut cut) = (Map::new(), 0);
    for (name, is_list, sent) in all {
        let (mut own, own_cut) = answers(app, &asked, sent, wanted).await?;
        cut += own_cut;
        answered.insert(name, if is_list { own.into() } else { own.remove(0) });
    }
    Ok(with_cut(json(&answered.into()), cut))
}

/// All inputs to one adapter.
async fn one(
    app: &App,
    asked: &Asked,
    (name, inputs, truncate): (String, Value, bool),
    wanted: Wanted,
) -> Result<Response<Body>, Fault> {
    let loaded = app.adapter(asked, &name).await?;
    let (values, is_list) = Form::of(&loaded.adapter).split(inputs);
    app.check_count(values.len())?;
    let sent = send(app, asked, &loaded, (values, truncate)).await?;
    let (mut all, cut) = answers(app, asked, sent, wanted).await?;
    let answer = if is_list { all.into() } else { all.remove(0) };
    Ok(with_generation(with_cut(json(&answer), cut), &loaded))
}

/// Each input to the adapter that it names.
async fn each(
    app: &App,
    asked: &Asked,
    body: Predict,
    named: Vec<String>,
    wanted: Wanted,
) -> Result<Response<Body>, Fault> {
    let Value::Array(values) = body.inputs else { return Err(Fault::bad("a list is wanted")) };
    app.check_count(values.len())?;
    let mut groups: BTreeMap<String, Vec<(usize, Value)>> = BTreeMap::new();
    let all = values.len();
    for (i, (value, name)) in values.into_iter().zip(named).enumerate() {
        groups.entry(name).or_default().push((i, value));
    }
    let mut sent = Vec::with_capacity(groups.len());
    for (name, own) in groups {
        let loaded = app.adapter(asked, &name).await?;
        let places: Vec<usize> = own.iter().map(|(place, _)| *place).collect();
        let one = send(app, asked, &loaded, (own, body.truncate)).await;
        let one = one.map_err(|fault| fault.of(format_args!("adapter '{name}'")))?;
        sent.push((places, one));
    }
    let (mut answered, mut cut) = (vec![Value::Null; all], 0);
    for (places, own) in sent {
        let (own, own_cut) = answers(app, asked, own, wanted).await?;
        cut += own_cut;
        for (place, answer) in places.into_iter().zip(own) {
            answered[place] = answer;
        }
    }
    Ok(with_cut(json(&answered.into()), cut))
}

fn with_generation(mut response: Response<Body>, loaded: &Loaded) -> Response<Body> {
    response.headers_mut().insert("x-generation", HeaderValue::from(loaded.generation));
    response
}

/// `POST /predict`
pub(super) async fn predict(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    reply(predicted(&app, request).await)
}

/// `POST /models/NAME`: one adapter in the shapes of Hugging Face's inference interface.
pub(super) async fn of_model(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let mut asked = app.ask(request, Scope::Predict).await?;
        let loaded = app.adapter(&asked, &name).await?;
        let form = Form::of(&loaded.adapter);
        let (values, wanted, truncate) = if asked.is_file() {
            if form != Form::Image {
                return Err(Fault::unfit("this adapter reads no images"));
            }
            let (body, pixels) = (std::mem::take(&mut asked.body), app.limits.pixels);
            let image = app.work(&asked, true, move || given::file(body, pixels)).await?;
            let under_way = app.begin(&asked, &loaded, (vec![image], true)).await?;
            let sent = Sent { under_way, texts: vec![None] };
            let (mut all, _) = answers(&app, &asked, sent, Wanted::default()).await?;
            return Ok(with_generation(json(&all.remove(0)), &loaded));
        } else {
            let body: Predict = app.json(&mut asked).await?;
            let top = body.parameters.top_k.or(body.top_k);
            (form.split(body.inputs), Wanted { raw: body.raw_scores, top }, body.truncate)
        };
        let (values, is_list) = values;
        app.check_count(values.len())?;
        let sent = send(&app, &asked, &loaded, (values, truncate)).await?;
        let (mut all, cut) = answers(&app, &asked, sent, wanted).await?;
        // Labels of a single text stand in a list of lists there.
        let answer = match (form, is_list) {
            (Form::Text | Form::Pair, _) | (_, true) => all.into(),
            _ => all.remove(0),
        };
        Ok(with_generation(with_cut(json(&answer), cut), &loaded))
    };
    reply(answer.await)
}

/// `POST /classify`, as vLLM has it.
pub(super) async fn classify(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let mut asked = app.ask(request, Scope::Predict).await?;
        let body: Classify = app.json(&mut asked).await?;
        let name = body.model.map_or_else(|| only(&app), Ok)?;
        let loaded = app.adapter(&asked, &name).await?;
        let (values, _) = Form::of(&loaded.adapter).split(body.input);
        app.check_count(values.len())?;
        let sent = send(&app, &asked, &loaded, (values, true)).await?;
        let (encoded, outputs) = app.finish(&asked, sent.under_way).await?;
        let tokens = encoded.all_tokens();
        let answers = encoded.answers(outputs, &AnswerOptions::default())?;
        let data: Vec<Value> =
            answers.iter().enumerate().map(|(i, a)| shape::classified(a, i)).collect();
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        let answer = json!({ "object": "list", "model": name, "data": data, "usage": usage });
        Ok(with_generation(with_cut(json(&answer), encoded.truncated()), &loaded))
    };
    reply(answer.await)
}
