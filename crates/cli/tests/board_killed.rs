//! A board whose program is killed loses nothing that it acknowledged, and goes on.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json as value};
use world::{World, json, reviews};

/// Runs a command that is killed after some time; whether it was, or had ended before.
fn killed(mut command: Command, after: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(after);
    let _ = child.kill();
    child.wait().unwrap().signal() == Some(9)
}

fn rows(world: &World) -> Vec<Value> {
    json(&world.ok("board --board b export --format json")).as_array().unwrap().clone()
}

/// A server that is killed when the test is done with it.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(world: &World, more: &str) -> Self {
        let (child, address) =
            world.serve(&format!("board --board b serve --writes 1000000 {more}"));
        Self { child, address }
    }

    /// Sends a record; the answer's status, or none where the connection broke.
    fn submit(&self, token: &str, record: &Value) -> Option<u16> {
        let body = record.to_string();
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let head = format!(
            "POST /api/v1/submit/ HTTP/1.1\r\nhost: {}\r\nauthorization: Token {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_import_that_is_killed_goes_on_and_ends_the_same() {
    let world = World::new();
    let paper = |i: usize| {
        value!({ "paper_url": format!("https://paperswithcode.com/paper/p-{i}"), "arxiv_id": null, "title": format!("Paper {i} on trees"),
            "abstract": format!("Of {i} trees the {} is the oldest, as its rings tell. ", i % 97).repeat(12), "url_abs": "", "url_pdf": "",
            "proceeding": null, "authors": ["Anonymous"], "tasks": [format!("Task {}", i % 40)], "date": "2019-05-01", "methods": [] })
    };
    let papers: Vec<Value> = (0..6000).map(paper).collect();
    world.write("papers-with-abstracts.json", Value::from(papers).to_string());
    world.ok("board --board whole import papers-with-abstracts.json");
    let mut kills = 0;
    for i in 1..=10 {
        let command = world.command("board --board b import papers-with-abstracts.json");
        kills += usize::from(killed(command, Duration::from_millis(35 * i)));
    }
    assert!(kills >= 3, "only {kills} of the imports were still at work when they were killed");
    world.ok("board --board b import papers-with-abstracts.json");
    for board in ["whole", "b"] {
        world.ok(&format!("board --board {board} export --format archive --out out-{board}"));
    }
    let read = |board: &str| {
        fs::read(world.path(&format!("out-{board}/papers-with-abstracts.json"))).unwrap()
    };
    assert!(read("b").len() > 1_000_000 && read("b") == read("whole"), "the exports differ");
}

#[test]
fn a_submission_that_was_acknowledged_survives_the_servers_death() {
    let world = World::new();
    world.ok("board --board b init");
    let token = world.ok("board --board b --json token add lab --role moderate");
    let token = json(&token)["secret"].as_str().unwrap().to_owned();
    let record = |i: usize| {
        value!({ "task": "Telling Trees", "dataset": { "name": "Forest" }, "metrics": [{ "name": "Accuracy", "value": "50.0" }],
            "model": { "name": format!("tree-{i}") }, "external_id": format!("tree-{i}") })
    };
    let (mut sent, mut acknowledged) = (0, HashSet::new());
    for round in 0..6 {
        let mut server = Server::start(&world, "");
        let end = Instant::now() + Duration::from_millis(150 + 70 * round);
        std::thread::scope(|scope| {
            let server_ref = (server.address.clone(), server.child.id());
            scope.spawn(move || {
                sleep(end.saturating_duration_since(Instant::now()));
                // The server's own process, by its number: nothing else is ended.
                let _ = Command::new("kill").args(["-9", &server_ref.1.to_string()]).status();
            });
            while let Some(status) = server.submit(&token, &record(sent)) {
                assert!(status == 200 || status == 201, "status {status}");
                acknowledged.insert(format!("tree-{sent}"));
                sent += 1;
            }
        });
        assert_eq!(server.child.wait().unwrap().signal(), Some(9));
        let there: Vec<String> = rows(&world)
            .iter()
            .filter_map(|r| r["model"].as_str().map(ToOwned::to_owned))
            .filter(|m| m.starts_with("tree-"))
            .collect();
        let distinct: HashSet<String> = there.iter().cloned().collect();
        assert_eq!(there.len(), distinct.len(), "a row is there twice");
        assert!(distinct.is_superset(&acknowledged), "an acknowledged row is lost");
        assert!(distinct.len() <= acknowledged.len() + 1, "{} rows", distinct.len());
        // The one that was under way is sent again: it is one row, whether it had come in or not.
    }
    assert!(sent > 10, "only {sent} submissions were made");
}

#[test]
fn a_check_that_is_killed_is_done_by_the_next_worker() {
    let world = World::new();
    world.write("held.csv", reviews(6000, 77));
    world.train("a", "--test-data held.csv --name reviews --store runs.db");
    world.ok("board --board b init");
    let id = json(&world.ok("submit 1 --store runs.db --board b --json"))["result"].clone();
    let state = |world: &World| {
        let rows = rows(world);
        rows.iter().find(|r| r["result"] == id).unwrap()["state"].as_str().unwrap().to_owned()
    };
    for after in [30, 80] {
        let killed =
            killed(world.command("verify --queue --board b"), Duration::from_millis(after));
        assert!(killed, "the check ended within {after} ms");
        assert_eq!(state(&world), "attached");
    }
    // The server's own worker takes it up.
    let _server = Server::start(&world, "--verify");
    let end = Instant::now() + Duration::from_secs(60);
    while state(&world) == "attached" && Instant::now() < end {
        sleep(Duration::from_millis(200));
    }
    assert_eq!(state(&world), "re-evaluated");
}
