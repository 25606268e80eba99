//! A leaderboard: all results of one task on one data set.

use std::collections::HashSet;

use budwood_board::date::DateSource;
use budwood_board::direction::Direction;
use budwood_board::query::{self, Facet, Filter, Leaderboard, Metric, Row, SortBy};
use budwood_board::{Board, State};
use maud::{Markup, html};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::layout::{Page, trail};
use crate::parts::chart::{Across, Chart, Dot, frontier};
use crate::parts::link::{self, To, address, named, segment};
use crate::parts::mark;
use crate::parts::markdown::markdown;
use crate::parts::number::{bytes, count, of, parameters, percent, score, short};
use crate::parts::pager::pager;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/sota/{slug}", show), Route::page("/embed/{slug}", embed)];

/// Rows of one page.
const ROWS: u64 = 100;

fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let (found, nobody) = read(board, ask, ask.param("slug"))?;
    let title = name(&found);
    let sources: Vec<_> = found.item.source.iter().cloned().collect();
    let about = format!("{} of {}: models, papers, code.", of(found.rows_in_all, "result"), title);
    let page = Page { title: &title, about: &about, part: "/tasks", sources: &sources };
    let item = &found.item;
    let mut steps = vec![("/tasks".to_owned(), "Tasks")];
    steps.extend(found.areas.first().map(|a| (address(To::Area, &a.slug), a.name.as_str())));
    steps.push((address(To::Task, &item.task.slug), &item.task.name));
    Ok(page.reply(
        ask,
        html! {
            (trail(&steps))
            h1 { (item.task.name) " on " (named(To::Dataset, &item.dataset)) }
            div.prose { (markdown(&found.description)) }
            div #board data-swap {
                (metric_line(ask, &found))
                (data_line(&found))
                (claims_switch(ask, &found, nobody))
                (charts(&found))
                (filters(ask, &found))
                (table(ask, &found))
                (pager(ask, found.rows.len() as u64, ROWS))
            }
            (take_away(ask, &found))
        },
    ))
}

/// The leaderboard as the question filters and sorts it, and whether claims are ranked because no
/// row has been re-evaluated.
pub(crate) fn read(board: &Board, ask: &Ask, slug: &str) -> Result<(Leaderboard, bool), Fault> {
    let filter = filter(ask);
    let found = query::leaderboard(board, slug, &filter)?;
    let nobody = filter.claims_alone && found.item.verified == 0;
    Ok((found, nobody))
}

/// `Task on data set`.
pub(crate) fn name(found: &Leaderboard) -> String {
    format!("{} on {}", found.item.task.name, found.item.dataset.name)
}

fn filter(ask: &Ask) -> Filter {
    let text = |name: &str| ask.exact(name).map(str::to_owned);
    Filter {
        metric: text("metric"),
        claims: ask.get("rank") == Some("claims"),
        claims_alone: ask.get("rank").is_none(),
        sort: SORTS.iter().find(|s| ask.get("sort") == Some(s.0)).map(|s| s.1).unwrap_or_default(),
        reverse: ask.get("order") == Some("reverse"),
        states: ask.get("state").and_then(State::find).into_iter().collect(),
        base: text("base"),
        setting: text("setting"),
        method: text("method"),
        additional_data: match ask.get("extra") {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        },
        max_trained: ask.get("trained").and_then(|t| t.replace(',', "").parse().ok()),
        model: ask.get("model").map(str::to_owned),
    }
}

/// Words of addresses, for orders other than by score.
const SORTS: &[(&str, SortBy)] = &[
    ("model", SortBy::Model),
    ("date", SortBy::Date),
    ("trained", SortBy::Trained),
    ("state", SortBy::State),
];

fn word(sort: SortBy) -> &'static str {
    SORTS.iter().find(|s| s.1 == sort).map_or("", |s| s.0)
}

fn way(direction: Direction) -> &'static str {
    if direction == Direction::Higher { "higher is better" } else { "lower is better" }
}

fn metric_line(ask: &Ask, found: &Leaderboard) -> Markup {
    let Some(chosen) = found.metrics.get(found.chosen) else { return html! {} };
    html! {
        p.metric {
            "Ranked by " strong { (chosen.name) } ": " (way(chosen.direction))
            " (known from " (chosen.direction_source.phrase()) ")."
            @if !chosen.description.is_empty() { " " (chosen.description) }
        }
        @if found.metrics.len() > 1 {
            nav.tabs aria-label="Metric" { ul { @for (i, metric) in found.metrics.iter().enumerate() {
                li { a href=(ask.with(&[("metric", if i == 0 { "" } else { &metric.name }), ("sort", ""), ("order", ""), ("page", "")]))
                    aria-current=[(i == found.chosen).then_some("true")] #(format!("metric-{i}")) { (metric.name) } }
            } } }
        }
    }
}

/// Which data its rows are measured on.
fn data_line(found: &Leaderboard) -> Markup {
    html! {
        p.metric {
            @match &found.item.data {
                Some(data) => { "Measured on " strong { (data.split) } ", SHA-256 " code.hash { (data.sha256) } "." },
                None => { "This leaderboard names no data: what the board measured is of another setting until a moderator names them." },
            }
        }
    }
}

/// The switch between re-evaluated rows and all claims.
fn claims_switch(ask: &Ask, found: &Leaderboard, nobody: bool) -> Markup {
    html! {
        nav.switch aria-label="Which rows are ranked" {
            ul {
                li { a #rank-checked href=(ask.with(&[("rank", if found.item.verified == 0 { "checked" } else { "" }), ("page", "")]))
                    aria-current=[(!found.claims).then_some("true")] { "Only re-evaluated" } }
                li { a #rank-claims href=(ask.with(&[("rank", "claims"), ("page", "")]))
                    aria-current=[found.claims.then_some("true")] { "All claims" } }
            }
            p {
                @if nobody { "No row here has been re-evaluated yet: these ranks are of claims that nobody has checked." }
                @else if found.claims { "Ranks and the line count every claim, checked or not." }
                @else { "Ranks and the line count " (of(found.item.verified, "re-evaluated row")) "; claims are listed without a rank." }
            }
        }
    }
}

fn charts(found: &Leaderboard) -> Markup {
    let Some(metric) = found.metrics.get(found.chosen) else { return html! {} };
    let dots = |across: Across| -> Vec<Dot> {
        let rows = found.rows.iter().filter(|r| r.state != State::Retracted);
        rows.filter_map(|row| dot(row, found.chosen, across)).collect()
    };
    let (over_time, against) = (dots(Across::Time), dots(Across::Parameters));
    let line: Vec<(f64, f64)> = found.line.iter().map(|s| (s.day as f64, s.value)).collect();
    let ranked: HashSet<i64> =
        found.rows.iter().filter(|r| r.rank.is_some()).map(|r| r.result).collect();
    let counted: Vec<Dot> =
        dots(Across::Parameters).into_iter().filter(|d| ranked.contains(&d.result)).collect();
    let (metric, direction) = (metric.name.as_str(), metric.direction);
    let undated = html! {
        @if found.undated > 0 { (of(found.undated, "row")) " without a date " (if found.undated == 1 { "is" } else { "are" }) " in the table only." }
    };
    let by_parameters = Chart {
        title: "Score against trained parameters.",
        caption: html! { "Sizes stand on a logarithmic scale; the line joins the best up to each size." },
        across: Across::Parameters,
        metric,
        direction,
        line: frontier(&counted, direction),
        dots: against,
    };
    let by_time = Chart {
        title: "Score over time.",
        caption: undated,
        across: Across::Time,
        metric,
        direction,
        dots: over_time,
        line,
    };
    html! { div.charts { (by_time.figure()) (by_parameters.figure()) } }
}

fn dot(row: &Row, metric: usize, across: Across) -> Option<Dot> {
    let score = row.scores.get(metric)?.as_ref()?;
    let x = match across {
        Across::Time => row.day? as f64,
        Across::Parameters => row.trained.filter(|&t| t > 0)? as f64,
    };
    let size = row.trained.map(|t| format!("{} trained", parameters(t)));
    let note = [row.date.clone(), row.base.clone(), size]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
    Some(Dot {
        x,
        y: score.counted().filter(|v| v.is_finite())?,
        interval: score.interval,
        result: row.result,
        model: row.model.clone(),
        note,
        state: row.state_of(metric),
        leads: row.record,
    })
}

fn filters(ask: &Ask, found: &Leaderboard) -> Markup {
    let facets = &found.facets;
    let trained = found.rows.iter().any(|r| r.trained.is_some()) || ask.get("trained").is_some();
    let extra =
        found.rows.iter().any(|r| r.additional_data == Some(true)) || ask.get("extra").is_some();
    html! {
        form.filters action=(ask.path) aria-label="Filter rows" data-live {
            @for name in ["metric", "rank", "sort", "order"] {
                @if let Some(value) = ask.exact(name) { input type="hidden" name=(name) value=(value); }
            }
            label { span { "Model" } input #filter-model type="search" name="model" value=[ask.get("model")] maxlength="100"; }
            (choice(ask, "state", "State", &facets.states))
            (choice(ask, "base", "Base model", &facets.bases))
            (choice(ask, "method", "Method", &facets.methods))
            (choice(ask, "setting", "Setting", &facets.settings))
            @if extra {
                label { span { "Extra data" } select #filter-extra name="extra" {
                    option value="" { "all" }
                    @for value in ["no", "yes"] { option value=(value) selected[ask.get("extra") == Some(value)] { (value) } }
                } }
            }
            @if trained {
                label { span { "Trained at most" } input #filter-trained type="text" inputmode="numeric" pattern="[0-9,]*" name="trained" value=[ask.get("trained")] maxlength="15" size="9"; }
            }
            button { "Filter" }
            p role="status" {
                @if found.rows.len() as u64 == found.rows_in_all { (of(found.rows_in_all, "row")) }
                @else { (count(found.rows.len() as u64)) " of " (of(found.rows_in_all, "row")) " " a href=(ask.path) { "Show all" } }
            }
        }
    }
}

/// A select for a facet with something to choose between.
fn choice(ask: &Ask, name: &str, label: &str, facets: &[Facet]) -> Markup {
    let chosen = ask.exact(name);
    html! {
        @if facets.len() > 1 || chosen.is_some() {
            label { span { (label) } select #(format!("filter-{name}")) name=(name) {
                option value="" { "all" }
                @for facet in facets {
                    option value=(facet.value) selected[chosen == Some(facet.value.as_str())] { (facet.value) " (" (facet.rows) ")" }
                }
            } }
        }
    }
}

/// Which columns say anything.
struct Columns {
    trained: bool,
    extra: bool,
    adapter: bool,
    setting: bool,
}

fn table(ask: &Ask, found: &Leaderboard) -> Markup {
    let has = |test: &dyn Fn(&Row) -> bool| found.rows.iter().any(test);
    let columns = Columns {
        trained: has(&|r| r.trained.is_some()),
        extra: has(&|r| r.additional_data == Some(true)),
        adapter: has(&|r| r.adapter),
        setting: has(&|r| !r.setting.is_empty()),
    };
    let from = ((ask.page() - 1) * ROWS) as usize;
    let rows = found.rows.iter().skip(from).take(ROWS as usize);
    html! {
        form #compare action="/compare" {}
        div.scroll.tall role="region" aria-label="Results" tabindex="0" {
            table.board {
                caption.hidden { "Results of " (name(found)) }
                thead { (head(ask, found, &columns)) }
                tbody { @for row in rows { (self::row(row, found, &columns)) } }
            }
        }
        @if found.rows.is_empty() { p.empty { "No row fits these filters." } }
        @if found.rows.len() > 1 {
            p.after { button form="compare" { "Compare the two chosen rows" } }
        }
    }
}

fn head(ask: &Ask, found: &Leaderboard, columns: &Columns) -> Markup {
    let sorted = |sort: SortBy| filter(ask).sort == sort;
    let reversed = ask.get("order") == Some("reverse");
    let aria = |sort: SortBy, falling: bool| {
        sorted(sort).then_some(if falling == reversed { "ascending" } else { "descending" })
    };
    let to = |sort: SortBy| {
        let order = if sorted(sort) && !reversed { "reverse" } else { "" };
        ask.with(&[("sort", word(sort)), ("order", order), ("page", "")])
    };
    let sorter = |sort: SortBy, label: &str| {
        let id = format!("sort-{}", if word(sort).is_empty() { "score" } else { word(sort) });
        html! { a.sorter #(id) href=(to(sort)) { (label) } }
    };
    html! {
        tr {
            th.number scope="col" { "Rank" }
            th scope="col" aria-sort=[aria(SortBy::Model, false)] { (sorter(SortBy::Model, "Model")) }
            @for (i, metric) in found.metrics.iter().enumerate() {
                @if i == found.chosen {
                    th.number scope="col" aria-sort=[aria(SortBy::Score, metric.direction == Direction::Higher)] {
                        (sorter(SortBy::Score, &metric.name)) (arrow(metric))
                    }
                } @else {
                    th.number scope="col" {
                        a.sorter href=(ask.with(&[("metric", &metric.name), ("sort", ""), ("order", ""), ("page", "")])) { (metric.name) } (arrow(metric))
                    }
                }
            }
            @if columns.trained { th.number scope="col" aria-sort=[aria(SortBy::Trained, false)] { (sorter(SortBy::Trained, "Trained")) } }
            @if columns.setting { th scope="col" { "Setting" } }
            @if columns.extra { th scope="col" { "Extra data" } }
            th scope="col" { "Paper" }
            th scope="col" aria-sort=[aria(SortBy::Date, true)] { (sorter(SortBy::Date, "Date")) }
            th scope="col" { "Code" }
            @if columns.adapter { th scope="col" { "Adapter" } }
            th scope="col" aria-sort=[aria(SortBy::State, false)] { (sorter(SortBy::State, "State")) }
            th scope="col" { "Compare" }
        }
    }
}

fn arrow(metric: &Metric) -> Markup {
    let (sign, text) = if metric.direction == Direction::Higher {
        ("↑", "higher is better")
    } else {
        ("↓", "lower is better")
    };
    html! { small title=(format!("{text}, known from {}", metric.direction_source.phrase())) {
        span aria-hidden="true" { (sign) " better" } span.hidden { (text) }
    } }
}

fn row(row: &Row, found: &Leaderboard, columns: &Columns) -> Markup {
    html! {
        tr data-state=(row.state.name()) data-result=(row.result) {
            td.number.rank { @match row.rank { Some(rank) => (rank), None => span.none { "–" } } }
            th scope="row" {
                a href=(format!("/result/{}", row.result)) title=(row.model) { (short(&row.model)) }
                @if row.base.is_some() || row.method.is_some() { small {
                    @if let Some(base) = &row.base { (base) }
                    @if let Some(method) = &row.method { " · " span title=(method) { (short(method)) } }
                } }
            }
            @for (i, s) in row.scores.iter().enumerate() {
                td.number.chosen[i == found.chosen] {
                    (score(s.as_ref()))
                    @if s.as_ref().is_some_and(|s| s.state != row.state && s.measured.is_none()) { small { "not measured" } }
                }
            }
            @if columns.trained { td.number {
                @if let Some(n) = row.trained {
                    (parameters(n))
                    @if let Some(total) = row.total.filter(|&t| t > 0) { small { (percent(n as f64 / total as f64)) } }
                }
            } }
            @if columns.setting { td { (row.setting) } }
            @if columns.extra { td { @if row.additional_data == Some(true) { "yes" } } }
            td.clip { (paper(row)) }
            td.date { @if let Some(date) = &row.date {
                (date) @if row.date_source == Some(DateSource::ArxivId) { small { "arXiv number" } }
            } }
            td { @for code in &row.code { (link::out(&code.url, "Code")) " " } }
            @if columns.adapter { td { @if row.adapter {
                a href=(format!("/result/{}/adapter", row.result)) { "Download" }
                @if let Some(size) = row.adapter_bytes { small { (bytes(size)) } }
            } } }
            td {
                (mark::state(row.state_of(found.chosen)))
                @if row.elsewhere || row.state == State::OtherSetting { small { (other_data(row)) } }
            }
            td.pick { label { span.hidden { "Compare " (row.model) } input type="checkbox" name="row" value=(row.result) form="compare"; } }
        }
    }
}

/// What data a row is of that is not of its leaderboard's.
fn other_data(row: &Row) -> Markup {
    html! {
        "other data"
        @if !row.split.is_empty() { ": " (row.split) }
        @if let Some(hash) = &row.data_sha256 { " " code title=(hash) { (hash.get(..8).unwrap_or(hash)) } }
    }
}

fn paper(row: &Row) -> Markup {
    html! {
        @match &row.paper {
            Some(paper) => a href=(address(To::Paper, &paper.slug)) title=(paper.name) { (paper.name) },
            None => (link::out(&row.paper_url, &row.paper_title)),
        }
    }
}

fn take_away(ask: &Ask, found: &Leaderboard) -> Markup {
    let slug = segment(&found.item.slug);
    let embed = ask.absolute(&format!("/embed/{slug}"));
    html! {
        section aria-labelledby="take" {
            h2 #take { "Take it with you" }
            ul.links {
                li { a href=(format!("/export/{slug}.csv")) { "CSV" } }
                li { a href=(format!("/export/{slug}.json")) { "JSON (archive's format)" } }
                li { a href=(format!("/api/v1/evaluations/{slug}/")) { "API" } }
                li { a href=(format!("/submit?leaderboard={slug}")) { "Submit a result" } }
            }
            details {
                summary { "Embed this table" }
                p { "Put this where the table shall stand:" }
                pre { code { "<iframe src=\"" (embed) "\" title=\"" (name(found)) "\" width=\"100%\" height=\"420\"></iframe>" } }
            }
        }
    }
}

/// The leaderboard as a table of its own that other sites may show in a frame.
fn embed(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let (found, nobody) = read(board, ask, ask.param("slug"))?;
    let Some(metric) = found.metrics.get(found.chosen) else {
        return Err(Fault::missing("metric"));
    };
    let whole = ask.absolute(&link::leaderboard(&found.item.slug));
    Ok(Reply::html(html! {
        (maud::DOCTYPE)
        html lang="en" data-theme=(ask.theme.name()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (name(&found)) }
                link rel="stylesheet" href=(crate::assets::address("board.css"));
            }
            body.embed { main {
                h1 { a href=(whole) target="_blank" rel="noopener" { (name(&found)) } }
                @if nobody { p { "Claims; none has been re-evaluated." } }
                div.scroll role="region" aria-label="Results" tabindex="0" { table {
                    thead { tr { th.number scope="col" { "Rank" } th scope="col" { "Model" } th.number scope="col" { (metric.name) (arrow(metric)) } th scope="col" { "State" } } }
                    tbody { @for row in found.rows.iter().take(20) { tr {
                        td.number { @if let Some(rank) = row.rank { (rank) } }
                        th scope="row" { a href=(ask.absolute(&format!("/result/{}", row.result))) target="_blank" rel="noopener" { (short(&row.model)) } }
                        td.number { (score(row.scores.get(found.chosen).and_then(Option::as_ref))) }
                        td { (mark::state(row.state_of(found.chosen))) }
                    } } }
                } }
                @if let Some(source) = &found.item.source { p.facts { span { (source.attribution) } span { (source.licence) } } }
            } }
        }
    })
    .framed())
}
