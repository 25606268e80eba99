//! A leaderboard or a result to take away.

use std::time::Duration;

use budwood_board::{Board, export};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::piecewise::{Draft, DraftLimits};
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[
    Route::export("/export/{name}", show),
    Route::page("/result/{id}/model-index.yaml", model_index),
];

/// What one export may take.
const LIMITS: DraftLimits = DraftLimits { bytes: 1 << 30, time: Duration::from_secs(60) };

/// A leaderboard as CSV or in the archive's format, by the ending of its name.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let name = ask.param("name");
    let (slug, ending) = name.rsplit_once('.').ok_or_else(|| Fault::missing("such file"))?;
    let download = ask.download()?;
    let draft = || Draft::new(board.place().folder(), ask.gzip, LIMITS).map_err(Fault::internal);
    let (kind, draft) = match ending {
        "csv" => {
            let mut draft = draft()?;
            export::csv(board, Some(slug), &mut draft)?;
            ("text/csv; charset=utf-8", draft)
        }
        "json" => {
            let mut draft = draft()?;
            export::table(board, slug, &mut draft)?;
            ("application/json", draft)
        }
        _ => return Err(Fault::missing("such file")),
    };
    let file = draft.done().map_err(Fault::internal)?;
    Ok(Reply::file(kind, file, download).download(name))
}

/// The `model-index` of a result's model card.
fn model_index(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let id = ask.number("id")?;
    let text = export::model_index(board, id)?;
    Ok(Reply::new("text/yaml; charset=utf-8", text).download(&format!("result-{id}.yaml")))
}
