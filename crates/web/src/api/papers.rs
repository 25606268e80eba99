//! Papers and search.

use budwood_board::Board;
use budwood_board::query::{self, FoundKind, PaperItem, PaperResult};
use serde_json::{Value, json};

use super::list::{named, page, part, whole, with};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;

pub(super) fn entry(paper: &PaperItem) -> Value {
    with(paper, json!({ "id": paper.slug, "published": paper.date }))
}

pub(super) fn list(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(page(ask, &query::papers(board, part(ask))?, entry))
}

pub(super) fn one(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let paper = query::paper(board, ask.param("id"))?;
    let client = json!({
        "id": paper.slug, "published": paper.date, "url_abs": paper.url, "url_pdf": paper.pdf,
        "abstract": paper.abstract_text, "conference": paper.proceeding,
    });
    Ok(Reply::json(&with(&paper, client)))
}

pub(super) fn tasks(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::paper(board, ask.param("id"))?.tasks, named))
}

pub(super) fn methods(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::paper(board, ask.param("id"))?.methods, named))
}

pub(super) fn datasets(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::paper(board, ask.param("id"))?.datasets, named))
}

pub(super) fn repositories(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    Ok(whole(ask, &query::paper(board, ask.param("id"))?.code, |code| {
        let (owner, name) = code.repository.as_deref().and_then(|r| r.split_once('/')).unzip();
        json!({ "url": code.url, "owner": owner, "name": name, "framework": code.framework, "is_official": code.official })
    }))
}

pub(super) fn results(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let paper = query::paper(board, ask.param("id"))?;
    Ok(whole(ask, &paper.results, |r: &PaperResult| {
        with(
            r,
            json!({ "id": r.result, "best_rank": r.rank, "best_metric": r.metric, "methodology": r.model }),
        )
    }))
}

pub(super) fn search(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let kind = ask.get("kind").map(|k| {
        serde_json::from_value::<FoundKind>(json!(k))
            .map_err(|_| Fault::bad("kind is task, dataset, method, model or paper"))
    });
    let found = query::search(board, ask.get("q").unwrap_or_default(), kind.transpose()?, 50)?;
    Ok(whole(ask, &found, |f| with(f, json!({ "id": f.slug }))))
}
