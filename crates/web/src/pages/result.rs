//! A result: where it comes from, what the board found, how to run it again.

use std::sync::Arc;

use budwood_board::evidence::{Calibration, ClassScores};
use budwood_board::query::{self, Check, ResultPage};
use budwood_board::{Board, State};
use maud::{Markup, html};
use serde_json::Value;

use super::log::entries;
use crate::app::Answer;
use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::link::{self, To, address, named, segment};
use crate::parts::mark;
use crate::parts::number::{bytes, count, model, of, parameters, percent, score, value};
use crate::parts::time;
use crate::reply::Reply;
use crate::route::{Rest, Route};

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/result/{id}", show), Route::trial("/result/{id}/try", trial)];

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let result = query::result(board, ask.number("id")?)?;
    let on = format!("{} on {}", result.leaderboard.task.name, result.leaderboard.dataset.name);
    let title = format!("{}: {on}", model(&result.row.model));
    let sources: Vec<_> = result.leaderboard.source.iter().cloned().collect();
    let page = Page { title: &title, part: "/tasks", sources: &sources, ..Page::default() };
    Ok(page.reply(
        ask,
        html! {
            (trail(&[
                (address(To::Task, &result.leaderboard.task.slug), &result.leaderboard.task.name),
                (link::leaderboard(&result.leaderboard.slug), &on),
            ]))
            h1 { (model(&result.row.model)) }
            p.facts { span { (mark::state(result.row.state)) } span { (mark::meaning(result.row.state)) } }
            (scores(&result))
            (facts(&result))
            (again(&result))
            (try_box(ask, &result))
            (checks(&result.checks))
            @if let Some(calibration) = &result.calibration { (self::calibration(calibration)) }
            @if !result.classes.is_empty() { (classes(&result.classes)) }
            @if let Some(record) = &result.record { (configuration(record)) }
            (badge(ask, &result))
            @if !result.history.is_empty() { section aria-labelledby="history" {
                h2 #history { "History" } (entries(&result.history))
            } }
        },
    ))
}

fn scores(result: &ResultPage) -> Markup {
    html! {
        ul.scores { @for (metric, s) in result.metrics.iter().zip(&result.row.scores) {
            @if let Some(value) = s { li { span { (metric.name) } b { (score(Some(value))) }
                @if value.state != result.row.state { (mark::state(value.state)) } } }
        } }
        p {
            @match (result.row.rank, result.rank_of_claims) {
                (Some(rank), _) => { "Rank " (rank) " of the re-evaluated rows of its " a href=(link::leaderboard(&result.leaderboard.slug)) { "leaderboard" } "." },
                (None, Some(rank)) => { "Rank " (rank) " if claims count, on its " a href=(link::leaderboard(&result.leaderboard.slug)) { "leaderboard" } "." },
                _ => { "Not ranked on its " a href=(link::leaderboard(&result.leaderboard.slug)) { "leaderboard" } "." },
            }
        }
    }
}

fn facts(result: &ResultPage) -> Markup {
    let row = &result.row;
    html! {
        dl.facts {
            @match &row.paper {
                Some(paper) => { dt { "Paper" } dd { (named(To::Paper, paper)) } },
                None => @if !row.paper_title.is_empty() || !row.paper_url.is_empty() { dt { "Paper" } dd { (link::out(&row.paper_url, &row.paper_title)) } },
            }
            @if let Some(date) = &row.date { dt { "Date" } dd { (date) } }
            @if !row.code.is_empty() { dt { "Code" } dd { ul.plain { @for c in &row.code { li { (link::out(&c.url, &c.title)) } } } } }
            @if !row.model_links.is_empty() { dt { "Model" } dd { ul.plain { @for l in &row.model_links { li { (link::out(&l.url, &l.title)) } } } } }
            @if let Some(url) = &result.source_url { dt { "Source of the value" } dd { (link::out(url, "")) } }
            @if let Some(base) = &row.base { dt { "Base model" } dd { (base) @if let Some(hash) = &result.base_sha256 { " " code.hash { (hash) } } } }
            @if let Some(method) = &row.method { dt { "Method" } dd { code { (method) } @if let Some(page) = &row.method_page { " (" (named(To::Method, page)) ")" } } }
            @if let Some(n) = row.trained { dt { "Trained parameters" } dd {
                (count(n)) @if let Some(total) = row.total.filter(|&t| t > 0) { " of " (parameters(total)) ", " (percent(n as f64 / total as f64)) }
            } }
            @if let Some(hash) = &result.data_sha256 { dt { "Data" } dd {
                @if !row.split.is_empty() { (row.split) " " }
                code.hash { (hash) }
                @if result.data_here { " on this board" }
                @match &result.leaderboard.data {
                    Some(named) if named.sha256 == *hash && !row.elsewhere => { ", the data of its leaderboard" },
                    Some(_) => { ", not the data of its leaderboard" },
                    None => { ", not named by its leaderboard" },
                }
            } }
            @if !row.setting.is_empty() { dt { "Setting" } dd { (row.setting) } }
            @if row.additional_data == Some(true) { dt { "Extra data" } dd { "yes" } }
            @if let Some(by) = &result.submitter { dt { "Submitted by" } dd { (by) ", " (time::day(row.at)) } }
            @if !result.same_weights.is_empty() { dt { "The same weights" } dd { ul.plain { @for other in &result.same_weights { li {
                a href=(format!("/result/{}", other.result)) { (model(&other.model)) } " " small { (time::day(other.at)) }
            } } } } }
            @if !row.notes.is_empty() { dt { "Notes" } dd { (row.notes) } }
            @if !result.files.is_empty() { dt { "Files" } dd { ul.plain { @for file in &result.files { li {
                a href=(format!("/result/{}/files/{}", row.result, segment(&file.name))) { (file.name) }
                " " small { (bytes(file.bytes)) } " " code.hash { (file.sha256) }
            } } } } }
        }
    }
}

/// How to run it again.
fn again(result: &ResultPage) -> Markup {
    html! {
        @if result.command.is_some() || result.row.adapter {
            section aria-labelledby="again" {
                h2 #again { "Run it again" }
                @if let Some(command) = &result.command {
                    p { "This trained it:" }
                    pre tabindex="0" { code { (command) } }
                }
                @if result.row.adapter {
                    p { "This evaluates the adapter that is here, on the board's machine:" }
                    pre tabindex="0" { code { "budwood verify " (result.row.result) } }
                }
            }
        }
    }
}

/// A box to try the adapter, where the server can run it.
fn try_box(ask: &Ask, result: &ResultPage) -> Markup {
    html! {
        @if result.row.adapter && ask.app.options.predictor.is_some() {
            section aria-labelledby="try" {
                h2 #try { "Try it" }
                form.stack action=(format!("/result/{}/try", result.row.result)) method="get" {
                    label for="text" { "A text; for a pair, put the second on a line of its own" }
                    textarea #text name="text" rows="3" maxlength="4000" required {}
                    button { "Predict" }
                }
            }
        }
    }
}

/// Prepares what a reader wants to try, if it can be tried here.
fn trial(board: &Board, ask: &Ask) -> Result<Rest, Fault> {
    let id = ask.number("id")?;
    let model = query::model(board, id)?;
    let here = !query::files(board, id)?.is_empty();
    let predictor = ask.app.options.predictor.as_ref().filter(|_| here);
    let predictor = Arc::clone(predictor.ok_or_else(|| Fault::missing("adapter to try"))?);
    let text = ask.get("text").unwrap_or_default();
    if text.is_empty() || text.chars().count() > 4000 {
        return Err(Fault::bad("Give a text of at most 4,000 characters."));
    }
    let text = text.to_owned();
    Ok(Box::new(move |ask| {
        let answers = predictor.predict(id, &text).map_err(Fault::bad)?;
        Ok(tried(ask, (id, &model), &text, &answers))
    }))
}

/// Answers of a result's adapter to a reader's text.
fn tried(ask: &Ask, (id, model): (i64, &str), text: &str, answers: &[Answer]) -> Reply {
    let title = format!("Try {model}");
    let page = Page { title: &title, part: "/tasks", ..Page::default() };
    page.reply(
        ask,
        html! {
            (trail(&[(format!("/result/{id}"), model)]))
            h1 { (title) }
            blockquote { (text) }
            table { tbody { @for answer in answers.iter().take(20) { tr {
                th scope="row" { (answer.label) }
                td.number { @if let Some(p) = answer.probability { (percent(p)) } }
            } } } }
            form.stack method="get" {
                label for="text" { "Another text" }
                textarea #text name="text" rows="3" maxlength="4000" required { (text) }
                button { "Predict" }
            }
        },
    )
}

fn checks(checks: &[Check]) -> Markup {
    html! {
        @if !checks.is_empty() { section aria-labelledby="checks" {
            h2 #checks { "What the board found" }
            @for check in checks { div.check {
                p.facts {
                    span { (check.progress) }
                    span { "asked " (time::minute(check.asked_at)) " by " (check.asked_by) }
                    @if let Some(at) = check.finished_at { span { "finished " (time::minute(at)) } }
                }
                @if let Some(error) = &check.error { p.error { (error) } }
                @if let Some(outcome) = &check.outcome {
                    div.scroll role="region" aria-label="Claim and measurement" tabindex="0" { table {
                        thead { tr { th scope="col" { "Metric" } th.number scope="col" { "Claim" } th.number scope="col" { "Measured" }
                            th.number scope="col" { "95 % interval" } th.number scope="col" { "Difference" } th.number scope="col" { "Tolerance" } th scope="col" { "Confirmed" } } }
                        tbody { @for m in &outcome.metrics { tr {
                            th scope="row" { (m.name) }
                            td.number { @if let Some(claim) = m.claimed { (value(claim)) } }
                            td.number { (value(m.measured)) }
                            td.number { @if let Some((low, high)) = m.interval { (value(low)) "–" (value(high)) } }
                            td.number { @if let Some(claim) = m.claimed { (value(m.measured - claim)) } }
                            td.number { (value(m.tolerance)) }
                            td { (if m.confirmed == Some(true) { "yes" } else if m.confirmed == Some(false) { "no" } else { "" }) }
                        } } }
                    } }
                    p { (of(outcome.rows, "example"))
                        @if let Some(data) = &outcome.data { " of " (data.split) " " code title=(data.sha256) { (data.sha256.get(..8).unwrap_or(&data.sha256)) } }
                        @if let Some(flipped) = outcome.flipped { "; " (of(flipped, "prediction")) " differ from those of the claim" }
                        "; " (value(outcome.seconds)) " s on " (outcome.machine) ", " (outcome.version) "." }
                }
            } }
        } }
    }
}

fn calibration(found: &Calibration) -> Markup {
    const SIDE: f64 = 260.0;
    let place = |v: f64| format!("{:.1}", v * SIDE);
    html! {
        section aria-labelledby="calibration" {
            h2 #calibration { "Calibration" }
            figure.chart.square {
                svg viewBox=(format!("-34 -8 {} {}", SIDE + 44.0, SIDE + 44.0)) role="img"
                    aria-label=(format!("Accuracy against confidence in {} bins; the expected calibration error is {}.", found.bins.len(), value(found.ece))) {
                    g.grid { @for v in [0.0, 0.5, 1.0] {
                        line x1="0" x2=(SIDE) y1=(place(1.0 - v)) y2=(place(1.0 - v)) {}
                        text x="-8" y=(format!("{:.1}", (1.0 - v) * SIDE + 4.0)) text-anchor="end" { (v) }
                        text x=(place(v)) y=(SIDE + 18.0) text-anchor="middle" { (v) }
                    } }
                    line.axis x1="0" y1=(SIDE) x2=(SIDE) y2="0" stroke-dasharray="4 4" {}
                    @for bin in &found.bins {
                        rect.bin x=(place(bin.from)) width=(place(bin.to - bin.from)) y=(place(1.0 - bin.accuracy)) height=(place(bin.accuracy)) {
                            title { "confidence " (value(bin.from)) "–" (value(bin.to)) "\naccuracy " (value(bin.accuracy)) "\n" (of(bin.rows, "example")) }
                        }
                    }
                    text.label x="0" y=(SIDE + 34.0) { "Confidence; height: share of right answers" }
                }
                figcaption { "Expected calibration error " strong { (value(found.ece)) } " over ten bins. A calibrated model's bars end at the dashed line." }
            }
            details { summary { "As a table" } div.scroll role="region" aria-label="Calibration" tabindex="0" { table {
                thead { tr { th scope="col" { "Confidence" } th.number scope="col" { "Mean confidence" } th.number scope="col" { "Accuracy" } th.number scope="col" { "Examples" } } }
                tbody { @for bin in &found.bins { tr {
                    th scope="row" { (value(bin.from)) "–" (value(bin.to)) }
                    td.number { (value(bin.confidence)) } td.number { (value(bin.accuracy)) } td.number { (count(bin.rows)) }
                } } }
            } } }
        }
    }
}

fn classes(classes: &[ClassScores]) -> Markup {
    html! {
        section aria-labelledby="classes" {
            h2 #classes { "By class" }
            div.scroll.tall role="region" aria-label="Scores by class" tabindex="0" { table {
                thead { tr { th scope="col" { "Class" } th.number scope="col" { "Precision" } th.number scope="col" { "Recall" } th.number scope="col" { "F1" } th.number scope="col" { "Examples" } } }
                tbody { @for c in classes { tr {
                    th scope="row" { (c.class) }
                    td.number { (format!("{:.3}", c.precision)) } td.number { (format!("{:.3}", c.recall)) }
                    td.number { (format!("{:.3}", c.f1)) } td.number { (count(c.rows)) }
                } } }
            } }
        }
    }
}

fn configuration(record: &Value) -> Markup {
    html! {
        section aria-labelledby="configuration" {
            h2 #configuration { "Configuration" }
            details { summary { "The record that was submitted" }
                pre tabindex="0" { code { (serde_json::to_string_pretty(record).unwrap_or_default()) } }
            }
        }
    }
}

fn badge(ask: &Ask, result: &ResultPage) -> Markup {
    let id = result.row.result;
    let (image, page) =
        (ask.absolute(&format!("/badge/{id}.svg")), ask.absolute(&format!("/result/{id}")));
    html! {
        @if result.row.state != State::Retracted { section aria-labelledby="badge" {
            h2 #badge { "Badge" }
            p { img.badge src=(format!("/badge/{id}.svg")) alt="Rank and state of this result" height="20"; }
            pre tabindex="0" { code { "[![Result](" (image) ")](" (page) ")" } }
            p { "For a model card: " a href=(format!("/result/{id}/model-index.yaml")) { "model-index YAML" }
                ". For programs: " a href=(format!("/api/v1/results/{id}/")) { "JSON" } "." }
        } }
    }
}
