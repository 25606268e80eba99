//! Commands with a store on a PostgreSQL server, where this machine has its programs.
#![allow(clippy::unwrap_used)]

#[path = "../../database/tests/server/mod.rs"]
mod server;
mod world;

use world::World;

/// Wrong words are repeated by the parser of flags; a password is not.
#[test]
fn no_message_holds_a_password() {
    let world = World::new();
    let at = "postgres://me:s3cret%20word@127.0.0.1:1/runs";
    for command in [
        format!("runs {at}"),
        format!("runs list {at}"),
        format!("runs --stor {at}"),
        format!("runs --stor={at}"),
        format!("store copy a b {at}"),
        format!("runs --store postgres://me:s3cret@word@h/db"),
        format!("runs --store postgres://me:s3cret/word@h/db"),
        format!("runs --store mysql://me:s3cret@h/db"),
        format!("runs --store {at}?x=s3cret"),
        format!("runs --store {at}"),
        format!("report --store {at}"),
        format!("submit 1 --store {at}"),
        format!("board --board b init --store {at}"),
        format!("store copy {at} runs.db"),
    ] {
        let output = world.run(&command);
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("s3cret") && said.lines().count() < 12, "{command}: {said}");
    }
}
