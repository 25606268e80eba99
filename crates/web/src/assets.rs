//! Style, script and icon. Each has its hash in its address, so that browsers keep it for ever.

use std::sync::LazyLock;

use budwood_board::Board;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::{Reply, hash};
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/static/{name}", show)];

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    address: String,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    let asset = |name: &'static str, kind, text: &'static str| {
        let (stem, end) = name.split_once('.').unwrap_or((name, ""));
        let address = format!("/static/{stem}-{:.12}.{end}", hash(text.as_bytes()));
        Asset { name, kind, text, address }
    };
    [
        asset("board.css", "text/css; charset=utf-8", include_str!("../assets/board.css")),
        asset("board.js", "text/javascript; charset=utf-8", include_str!("../assets/board.js")),
        asset("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ]
});

/// The address of an asset.
pub(crate) fn address(name: &str) -> &'static str {
    ASSETS.iter().find(|a| a.name == name).map_or("", |a| &a.address)
}

/// An asset by its address.
fn show(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let found = ASSETS.iter().find(|a| a.address == ask.path);
    let asset = found.ok_or_else(|| Fault::missing("such file"))?;
    Ok(Reply::new(asset.kind, asset.text).forever())
}
