//! Where tests put their boards: in folders; and, where the programs of PostgreSQL are installed,
//! all of them once more on a server, each in a database of its own.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../../../database/tests/server/mod.rs"]
mod server;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use budwood_board::Place;

/// Says that the boards of a process lie on a server.
const ON: &str = "BUDWOOD_TEST_BOARDS_ON";

/// Whether boards lie on a server here.
pub(crate) fn on_server() -> bool {
    std::env::var_os(ON).is_some()
}

/// A new place.
pub(crate) fn place(folder: &Path) -> Place {
    if !on_server() {
        return folder.into();
    }
    let address = server::shared().unwrap().database();
    Place::parse(OsStr::new(&address)).unwrap()
}

/// Runs a statement past the program; what the database says if it refuses.
pub(crate) fn raw(place: &Place, sql: &str) -> Result<(), String> {
    if let Some(folder) = place.of_folder() {
        let file = rusqlite::Connection::open(folder.join("board.db")).unwrap();
        return file.execute_batch(sql).map_err(|e| e.to_string());
    }
    let sql = format!("SET search_path = budwood_board; {sql}");
    server::shared().unwrap().try_sql(&place.to_string(), &sql)
}

/// What a server answers.
pub(crate) fn answer(place: &Place, sql: &str) -> String {
    server::shared().unwrap().sql(&place.to_string(), sql)
}

/// How many files of rows a board keeps.
pub(crate) fn files(place: &Place) -> usize {
    if let Some(folder) = place.of_folder() {
        return std::fs::read_dir(folder.join("files")).unwrap().count();
    }
    let count = "SELECT count(DISTINCT sha256) FROM budwood_board.file_contents";
    answer(place, count).parse().unwrap()
}

/// Begins this very test program once more, with its boards on a server.
#[test]
#[ignore = "minutes, and needs PostgreSQL's programs: -- --ignored all_of_this_on_a_server"]
fn all_of_this_on_a_server() {
    if on_server() || server::programs().is_none() {
        return;
    }
    let copies = tempfile::tempdir().unwrap();
    let said = Command::new(std::env::current_exe().unwrap())
        .env(ON, "postgres")
        .env("XDG_CACHE_HOME", copies.path())
        .output()
        .unwrap();
    let text = [said.stdout, said.stderr].concat();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&text));
}
