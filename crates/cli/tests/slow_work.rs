//! Adapters that take too long, and processes that are told to end.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use world::{World, json, reviews};

/// Processes of this program that evaluate an adapter in this world.
fn evaluations(world: &World) -> Vec<String> {
    let place = world.dir.path().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let here = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let ours = words.contains(&place) || here == Path::new(&place);
        if ours && words.contains(" board evaluate ") {
            found.push(pid);
        }
    }
    found
}

/// Waits until something is so; whether it became so in time.
fn becomes(seconds: u64, so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        if so() {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Names in the board's scratch folder.
fn scratch(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.path("b/scratch")).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// However a check's process ends, what it began ends with it, and its folder goes at the next
/// start.
#[test]
fn a_check_ends_with_its_parent() {
    let world = World::new();
    world.write("held.csv", reviews(6000, 77));
    world.train("a", "--test-data held.csv --name reviews --store runs.db --epochs 1");
    world.ok("board --board b init");
    world.ok("submit 1 --store runs.db --board b");
    for name in ["-TERM", "-KILL"] {
        let mut verify = world
            .command("verify --queue --board b")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(becomes(20, || !evaluations(&world).is_empty()), "no check began");
        signal(&verify, name);
        verify.wait().unwrap();
        assert!(
            becomes(3, || evaluations(&world).is_empty()),
            "{name}: a check outlived its parent"
        );
        assert_eq!(
            scratch(&world),
            ["0", "0.lock", "lock"],
            "{name}: this is what is to be cleaned"
        );
    }
    fs::create_dir(world.path("b/scratch/someone's")).unwrap();
    world.ok("verify --queue --board b");
    assert_eq!(scratch(&world), ["lock", "someone's"]);
}

/// An adapter is given a time that follows from what its base needs, and not the whole of
/// `--minutes`.
#[test]
fn an_adapter_that_is_much_slower_than_its_base_is_ended() {
    let world = World::new();
    world.write("held.csv", reviews(400, 77));
    world.write("few.csv", reviews(8, 5));
    world.ok(
        "train --base base --data few.csv --dev-share 0.5 --out slow --method prompt_tuning[prompt_length=1500] --max-length 24 \
         --recipe paper --epochs 1 --batch-size 1",
    );
    world.ok("board --board b init");
    let data =
        json(&world.ok("board --board b --json data add --data few.csv -- --test-data held.csv"));
    let digest =
        data.as_array().unwrap().iter().find(|d| d["rows"] == 400).unwrap()["sha256"].clone();
    let digest = digest.as_str().unwrap();
    let source = r#"["--data=few.csv","--test-data=held.csv"]"#;
    let begin = Instant::now();
    let mut command = world.command("--threads 2 board evaluate --base base --adapter slow");
    command.args(["--sha256", digest, "--source", source]);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("its base alone needs about"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(120), "{:?}", begin.elapsed());
}

/// What goes wrong in a check is shown to readers: without places of this machine, and without
/// numbers of processes.
#[test]
fn errors_that_readers_see_name_no_places() {
    let world = World::new();
    world.write("held.csv", reviews(60, 77));
    world.train("a", "--test-data held.csv --name reviews --store runs.db");
    let board = world.path("b");
    let verify = |id: &Value| {
        let output = world.run(&format!("verify {id} --board {} --json", board.display()));
        let finished = json(&String::from_utf8_lossy(&output.stdout));
        finished[0]["error"].as_str().unwrap().to_owned()
    };
    world.ok(&format!("board --board {} init", board.display()));
    let id =
        json(&world.ok(&format!("submit 1 --store runs.db --board {} --json", board.display())));
    let id = &id["result"];
    let mut errors = Vec::new();
    // The data are gone, the base is another, the adapter's file was changed on the disk.
    fs::rename(world.path("held.csv"), world.path("held-else.csv")).unwrap();
    errors.push(verify(id));
    fs::rename(world.path("held-else.csv"), world.path("held.csv")).unwrap();
    fs::rename(world.path("base/config.json"), world.path("base/config-else.json")).unwrap();
    errors.push(verify(id));
    fs::rename(world.path("base/config-else.json"), world.path("base/config.json")).unwrap();
    for file in fs::read_dir(board.join("files")).unwrap().flatten() {
        fs::write(file.path(), "changed").unwrap();
    }
    errors.push(verify(id));
    let place = world.dir.path().to_string_lossy().into_owned();
    for error in errors {
        assert!(!error.is_empty() && !error.contains(&place), "{error}");
        let absolute =
            error.split_whitespace().any(|w| w.trim_matches(['\'', '`', '"']).starts_with('/'));
        assert!(!absolute && !error.contains("scratch"), "{error}");
    }
}

/// A server that is told to end finishes the answer that is under way, and ends within seconds.
#[test]
fn a_server_ends_when_it_is_told_to() {
    let world = World::new();
    let (mut server, address) = world.serve("board --board b serve --verify");
    // One connection is silent, one is in the midst of its request.
    let _silent = TcpStream::connect(&address).unwrap();
    let mut midst = TcpStream::connect(&address).unwrap();
    midst.write_all(b"GET /about HTTP/1.1\r\nhost: x\r\n").unwrap();
    sleep(Duration::from_millis(300));
    signal(&server, "-TERM");
    let begin = Instant::now();
    sleep(Duration::from_millis(300));
    midst.write_all(b"\r\n").unwrap();
    let mut page = String::new();
    midst.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("</html>"), "{page}");
    let status = server.wait().unwrap();
    assert!(
        status.success() && begin.elapsed() < Duration::from_secs(10),
        "{status} {:?}",
        begin.elapsed()
    );
    assert_eq!(scratch(&world), ["lock"]);
}
