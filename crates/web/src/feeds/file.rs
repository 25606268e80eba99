//! Files of results: the adapter and its description.

use budwood_board::Board;
use budwood_board::query;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::piecewise::Piecewise;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] =
    &[Route::page("/result/{id}/adapter", adapter), Route::page("/result/{id}/files/{name}", show)];

/// The adapter's weights.
fn adapter(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    send(board, ask, |name| name.ends_with(".safetensors"))
}

/// A file by its name.
fn show(board: &Board, ask: &Ask) -> Result<Reply, Fault> {
    send(board, ask, |name| name == ask.param("name"))
}

/// The client's words choose among the names of a result; only a hash of the board's own becomes a
/// path.
fn send(board: &Board, ask: &Ask, wanted: impl Fn(&str) -> bool) -> Result<Reply, Fault> {
    let id = ask.number("id")?;
    let missing = || Fault::missing("such file");
    let files = query::files(board, id)?;
    let file = files.iter().find(|f| wanted(&f.name)).ok_or_else(missing)?;
    let hash = &file.sha256;
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Fault::internal("not the hash of a file"));
    }
    let download = ask.download()?;
    let content = Piecewise::open(&board.file(hash)?, hash).map_err(Fault::internal)?;
    Ok(Reply::file("application/octet-stream", content, download)
        .download(&format!("result-{id}-{}", file.name)))
}
