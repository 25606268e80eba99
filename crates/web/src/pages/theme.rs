//! The reader's choice of light or dark.

use axum::http::header::SET_COOKIE;
use budwood_board::Board;

use crate::ask::{Ask, Theme};
use crate::fault::Fault;
use crate::reply::Reply;
use crate::route::Route;

pub(crate) const ROUTES: &[Route] = &[Route::page("/theme", show)];

/// Keeps the reader's choice of theme and sends them back.
fn show(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let theme = Theme::find(ask.get("to").unwrap_or_default()).name();
    let back = ask.get("back").filter(|b| here(b)).unwrap_or("/");
    let age = if theme == "system" { 0 } else { 31_536_000 };
    let cookie = ask.cookie(&format!("theme={theme}"), &format!("Max-Age={age}; SameSite=Lax"));
    Ok(Reply::see(back).header(SET_COOKIE, &cookie))
}

/// Whether an address stays on this server.
fn here(address: &str) -> bool {
    let plain = address.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    plain && address.starts_with('/') && !address.starts_with("//")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_addresses_here_are_gone_back_to() {
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "x",
            "/a\r\nb",
            "/\t/evil",
        ] {
            assert!(!super::here(bad), "{bad:?}");
        }
        assert!(super::here("/sota/a-on-b?x=%2F1"));
    }
}
