//! The form for a result.

use axum::http::StatusCode;
use axum::http::header::{SET_COOKIE, WWW_AUTHENTICATE};
use budwood_board::Board;
use budwood_board::query::{self, Filter};
use budwood_board::submit::{
    self, AdapterOf, BaseOf, Claim, DatasetOf, ModelOf, PaperOf, Submission,
};
use budwood_board::token::Actor;
use maud::{Markup, html};

use crate::api::write::{actor, attachment};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::guard::forms::FormKeys;
use crate::layout::Page;
use crate::parts::link::segment;
use crate::parts::number::bytes;
use crate::reply::Reply;
use crate::route::Route;
use crate::upload::Upload;

pub(crate) const ROUTES: &[Route] = &[Route::page("/submit", show).named("Submit")];

/// A field of one line: name, label, hint, longest text, whether it must be filled.
struct Field {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    kind: &'static str,
    needed: bool,
}

const fn field(name: &'static str, label: &'static str, hint: &'static str) -> Field {
    Field { name, label, hint, kind: "text", needed: false }
}

const WHERE: &[Field] = &[
    Field {
        needed: true,
        ..field(
            "task",
            "Task",
            "As it is called on this board; a new task needs a moderator's token.",
        )
    },
    Field { needed: true, ..field("dataset", "Data set", "") },
    field("split", "Split", "For example validation or test."),
    field(
        "setting",
        "Setting",
        "What keeps it apart from other rows: protocol, ensemble, number of seeds.",
    ),
];
const WHAT: &[Field] = &[
    Field { needed: true, ..field("model", "Model", "The name that the row shows.") },
    field("base", "Base model", "The frozen model, if there is one."),
    field(
        "method",
        "Method",
        "In the notation of budwood train --method, such as adapter or lora[r=8].",
    ),
];
const FROM: &[Field] = &[
    field("paper_title", "Paper", "Its title."),
    Field { kind: "url", ..field("paper_url", "Paper's address", "") },
    Field { kind: "url", ..field("code_url", "Code", "The repository's address.") },
    Field {
        kind: "url",
        ..field("source_url", "Source of the value", "Where the number was published.")
    },
    field("date", "Date", "YYYY-MM-DD, YYYY-MM or YYYY."),
];
/// Metrics that the form has room for.
const METRICS: usize = 3;

/// The empty form; `?leaderboard=` fills in its names.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let mut values: Vec<(String, String)> = Vec::new();
    if let Some(slug) = ask.get("leaderboard") {
        let found = query::leaderboard(board, slug, &Filter::default())?;
        values.push(("task".into(), found.item.task.name.clone()));
        values.push(("dataset".into(), found.item.dataset.name.clone()));
        let metrics = found.metrics.iter().filter(|m| m.declared).take(METRICS).enumerate();
        values.extend(metrics.map(|(i, m)| (format!("metric{i}"), m.name.clone())));
    }
    Ok(form(ask, &values, None))
}

/// Takes a filled form; with a fault it comes back as it was filled.
pub(crate) fn take(board: &mut Board, upload: &Upload, ask: &Ask) -> Result<Reply, Fault> {
    let outcome = put(board, upload, ask);
    outcome.or_else(|fault| {
        if fault.status.is_server_error() {
            return Err(fault);
        }
        let names = WHERE.iter().chain(WHAT).chain(FROM).map(|f| f.name.to_owned());
        let metrics = (0..METRICS).flat_map(|i| [format!("metric{i}"), format!("value{i}")]);
        let names = names.chain(metrics).chain(["extra", "notes"].map(Into::into));
        let values: Vec<(String, String)> =
            names.map(|n| (n.clone(), upload.text(&n).unwrap_or_default().to_owned())).collect();
        let shown = form(ask, &values, Some(&fault)).status(fault.status);
        Ok(match fault.status {
            StatusCode::UNAUTHORIZED => shown.header(WWW_AUTHENTICATE, "Token"),
            _ => shown,
        })
    })
}

/// Who sends a form, by its first fields; refused if it was not shown here to the same reader.
pub(crate) fn sender(
    board: &Board,
    upload: &Upload,
    forms: &FormKeys,
    cookie: Option<&str>,
) -> Result<Actor, Fault> {
    if !forms.fits(cookie, upload.text("form")?) {
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "This form was not shown by this server to you, or too long ago. \
             Please send it once more.",
        ));
    }
    actor(board, Some(upload.text("token")?))
}

fn put(board: &mut Board, upload: &Upload, ask: &Ask) -> Result<Reply, Fault> {
    let actor = sender(board, upload, &ask.app.forms, ask.form_cookie.as_deref())?;
    let attachment = attachment(upload, "weights", "description")?;
    let submission = submission(upload)?;
    let done = submit::submit(board, &submission, attachment.as_ref(), &[], &actor)?;
    Ok(Reply::see(&format!("/result/{}", done.result)))
}

fn submission(upload: &Upload) -> Result<Submission, Fault> {
    let text = |name: &str| upload.text(name).map(str::to_owned);
    let some = |name: &str| upload.text(name).map(|t| (!t.is_empty()).then(|| t.to_owned()));
    let mut metrics = Vec::new();
    for i in 0..METRICS {
        let (name, value) = (text(&format!("metric{i}"))?, text(&format!("value{i}"))?);
        if name.is_empty() && !value.is_empty() {
            return Err(Fault::bad(format!("The value {value} has no metric.")));
        }
        if !value.is_empty() {
            metrics.push(Claim { name, value: value.into(), ..Claim::default() });
        }
    }
    let (title, url) = (text("paper_title")?, text("paper_url")?);
    let code = some("code_url")?.map(|url| query::Link { title: String::new(), url });
    Ok(Submission {
        task: text("task")?,
        dataset: DatasetOf {
            name: text("dataset")?,
            split: some("split")?,
            ..DatasetOf::default()
        },
        setting: text("setting")?,
        metrics,
        model: ModelOf {
            name: text("model")?,
            base: some("base")?.map(|name| BaseOf { name, ..BaseOf::default() }),
            adapter: some("method")?.map(|m| AdapterOf { method: Some(m), ..AdapterOf::default() }),
            ..ModelOf::default()
        },
        paper: (!title.is_empty() || !url.is_empty()).then_some(PaperOf { title, url }),
        code_links: code.into_iter().collect(),
        uses_additional_data: some("extra")?.map(|e| e == "yes"),
        date: some("date")?,
        source_url: some("source_url")?,
        notes: text("notes")?,
        ..Submission::default()
    })
}

fn form(ask: &Ask, values: &[(String, String)], fault: Option<&Fault>) -> Reply {
    let value = |name: &str| values.iter().find(|v| v.0 == name).map_or("", |v| &v.1);
    let known = ask
        .form_cookie
        .clone()
        .filter(|c| c.len() == 32 && c.bytes().all(|b| b.is_ascii_hexdigit()));
    let fresh = known.is_none();
    let cookie = known.unwrap_or_else(FormKeys::cookie);
    let page = Page { title: "Submit a result", part: "/submit", ..Page::default() };
    let reply = page.reply(
        ask,
        html! {
            h1 { "Submit a result" }
            p.lead { "With its adapter, the board can run it itself. Without, it is a claim." }
            div.prose {
                p { "A run of " code { "budwood train" } " needs no form: " code { "budwood submit FOLDER" }
                    " sends the record, the adapter and its predictions. Programs use " code { "POST /api/v1/submit/" } " ("
                    a href="/api/v1/openapi.json" { "description" } ")." }
            }
            @if let Some(fault) = fault { p.error role="alert" { (fault.message) } }
            form.stack action="/submit" method="post" enctype="multipart/form-data" {
                input type="hidden" name="form" value=(ask.app.forms.field(&cookie));
                fieldset { legend { "Where it belongs" } @for f in WHERE { (line(f, value(f.name))) } }
                fieldset { legend { "What was run" } @for f in WHAT { (line(f, value(f.name))) } }
                fieldset {
                    legend { "What came out" }
                    p.hint { "The first metric ranks where the leaderboard is new. Values as they were published, such as 92.8 or 92.8 ± 0.1." }
                    @for i in 0..METRICS {
                        div.pair {
                            div { label for=(format!("metric{i}")) { "Metric " (i + 1) }
                                input #(format!("metric{i}")) name=(format!("metric{i}")) value=(value(&format!("metric{i}"))) maxlength="200" required[i == 0]; }
                            div { label for=(format!("value{i}")) { "Value " (i + 1) }
                                input #(format!("value{i}")) name=(format!("value{i}")) value=(value(&format!("value{i}"))) maxlength="100" required[i == 0]; }
                        }
                    }
                    label for="extra" { "Data beyond the data set" }
                    select #extra name="extra" {
                        @for (v, name) in [("", "not stated"), ("no", "no"), ("yes", "yes")] {
                            option value=(v) selected[value("extra") == v] { (name) }
                        }
                    }
                }
                fieldset { legend { "Where it comes from" } @for f in FROM { (line(f, value(f.name))) }
                    label for="notes" { "Notes" }
                    textarea #notes name="notes" rows="3" maxlength="2000" { (value("notes")) }
                }
                // Before the files: they are not taken from whom nobody knows.
                fieldset { legend { "Who you are" }
                    label for="token" { "Token" }
                    input #token type="password" name="token" required autocomplete="current-password" maxlength="200";
                    p.hint { "With the role “submit”, from the board's owner: " code { "budwood board token add NAME --role submit" } "." }
                }
                fieldset { legend { "The adapter" }
                    p.hint { "Both files of its folder, up to " (bytes(ask.app.options.limits.upload as u64)) " together. Nothing in them is ever run as a program." }
                    label for="weights" { "adapter.safetensors" }
                    input #weights type="file" name="weights" accept=".safetensors";
                    label for="description" { "adapter.json" }
                    input #description type="file" name="description" accept=".json";
                }
                button { "Submit" }
            }
        },
    );
    if !fresh {
        return reply;
    }
    reply.header(SET_COOKIE, &ask.cookie(&format!("forms={}", segment(&cookie)), "SameSite=Strict"))
}

fn line(field: &Field, value: &str) -> Markup {
    html! {
        label for=(field.name) { (field.label) @if !field.needed { " " small { "optional" } } }
        input id=(field.name) type=(field.kind) name=(field.name) value=(value) maxlength="500" required[field.needed]
            aria-describedby=[(!field.hint.is_empty()).then(|| format!("{}-hint", field.name))];
        @if !field.hint.is_empty() { p.hint id=(format!("{}-hint", field.name)) { (field.hint) } }
    }
}
