//! Commands with a store on a PostgreSQL server, where this machine has its programs.
#![allow(clippy::unwrap_used)]

#[path = "../../database/tests/server/mod.rs"]
mod server;
mod world;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use world::{World, json, train_args};

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
        "runs --store postgres://me:s3cret@word@h/db".into(),
        "runs --store postgres://me:s3cret/word@h/db".into(),
        "runs --store mysql://me:s3cret@h/db".into(),
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

/// A training whose record the server refuses is saved, and recorded by the same command when the
/// server takes it. That a server which is away is waited for is seen by
/// `tests/cluster/postgres.py`.
#[test]
fn a_run_that_could_not_be_recorded_is_recorded_later() {
    let Some(server) = server::shared() else { return };
    let world = World::new();
    let place = server.database();
    let command = train_args(
        "train.csv",
        "out",
        &format!("--test-share 0.1 --store {place} --epochs 6 --save-every 0"),
    );
    let first = train_args("train.csv", "first", &format!("--store {place} --epochs 1"));
    world.ok(&first);
    // The tables go away while the run is trained.
    let child = world.command(&command).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = child.unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !world.path("out/checkpoint/checkpoint.json").exists() {
        assert!(Instant::now() < end, "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    server.sql(&place, "ALTER SCHEMA budwood_runs RENAME TO away");
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for word in ["not recorded", "the same command", "127.0.0.1"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(!error.contains("s3cret"));
    let adapter = fs::read(world.path("out/adapter.safetensors")).unwrap();
    server.sql(
        &place,
        "DROP SCHEMA IF EXISTS budwood_runs; ALTER SCHEMA away RENAME TO budwood_runs",
    );
    let again = world.run(&command);
    let error = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && error.contains("is saved already"), "{error}");
    assert_eq!(adapter, fs::read(world.path("out/adapter.safetensors")).unwrap());
    let runs = json(&world.ok(&format!("runs --json --store {place}")));
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let compared = json(&world.ok(&format!("runs compare 2 2 --json --store {place}")));
    assert_eq!(
        compared["both_right"].as_u64().unwrap() + compared["both_wrong"].as_u64().unwrap(),
        60
    );
    world.fails(&command, &["--overwrite"]);
    // Nothing that was written anywhere holds the password.
    world.ok(&format!("report --store {place} --out report"));
    world.ok(&format!("board --board b init --store {place}"));
    no_file_holds_the_password(world.dir.path());
    let all = server.sql(&place, "SELECT string_agg(record, '') FROM budwood_runs.runs");
    assert!(all.contains("weights_sha256") && !all.contains("s3cret"));
}

fn no_file_holds_the_password(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            no_file_holds_the_password(&path);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"s3cret"), "{}", path.display());
    }
}

/// Eight processes record at once, two and two of them the same run.
#[test]
fn eight_writers_lose_nothing_and_double_nothing() {
    let Some(server) = server::shared() else { return };
    let world = World::new();
    let place = server.database();
    let train = |i: usize| {
        let more = format!("--epochs 1 --seed {} --test-share 0.5 --store {place}", i / 2);
        let command = train_args("train.csv", &format!("out{i}"), &more);
        world
            .command(&command.replace("--threads 2", "--threads 1"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let all: Vec<_> = (0..8).map(|i| train(i).unwrap()).collect();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
    let runs = json(&world.ok(&format!("runs --json --store {place}")));
    let ids: Vec<_> = runs.as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    let answers = "SELECT run, count(*) FROM budwood_runs.predictions WHERE split = 'test'
         GROUP BY run ORDER BY run";
    assert_eq!(server.sql(&place, answers), "1|301\n2|301\n3|301\n4|301");
}

const SWEEP: &str = r#"
name = "seeds"
seeds = [0, 1, 2, 3, 4, 5]
[train]
recipe = "paper"
base = "base"
epochs = 10
lr = 3e-3
[[task]]
name = "reviews"
data = "train.csv"
[[method]]
name = "linear"
method = "linear"
"#;

/// Folders that two machines do not share, one store: each run is trained by one of them.
#[test]
fn sweeps_without_a_common_folder_share_the_runs() {
    let Some(server) = server::shared() else { return };
    let world = World::new();
    world.write("sweep.toml", SWEEP);
    let place = server.database();
    let sweep = |out: &str| {
        let command = format!("sweep sweep.toml --out {out} --threads 1 --json --store {place}");
        world.command(&command).stdout(Stdio::piped()).spawn().unwrap()
    };
    let both = [sweep("one"), sweep("two")];
    let said =
        both.map(|one| json(&String::from_utf8(one.wait_with_output().unwrap().stdout).unwrap()));
    let done: u64 = said.iter().map(|s| s["done"].as_u64().unwrap()).sum();
    assert_eq!(done, 6, "{said:?}");
    assert!(said.iter().all(|s| s["store"] == place.replace(":s3cret%20word", "")));
    let kept = |out: &str| fs::read_dir(world.path(out).join("adapters")).unwrap().count();
    assert_eq!(kept("one") + kept("two"), 6);
    assert_eq!(server.sql(&place, "SELECT count(*) FROM budwood_runs.runs"), "6");
    // A cluster's script is for all to read.
    let on =
        |place: &str| format!("sweep sweep.toml --out three --on slurm --dry-run --store {place}");
    world.fails(&on(&place), &["pgpass"]);
    let without = server.socket(place.rsplit('/').next().unwrap());
    world.write("sweep.toml", SWEEP.replace("[0, ", "[9, "));
    assert!(world.ok(&on(&without)).contains(&without));
}

#[test]
fn a_store_is_copied_either_way() {
    let Some(server) = server::shared() else { return };
    let world = World::new();
    let place = server.database();
    for seed in 0..2 {
        world.train(&format!("out{seed}"), &format!("--epochs 1 --store a.db --seed {seed}"));
    }
    let ran = |command: &str| json(&world.ok(&format!("{command} --json")));
    let copied = ran(&format!("store copy a.db {place}"));
    assert_eq!((&copied["runs"], &copied["copied"]), (&2.into(), &2.into()));
    assert!(!copied.to_string().contains("s3cret"));
    let copied = ran(&format!("store copy {place} b.db"));
    assert_eq!(copied["copied"], 2);
    let [a, b, on_server] = ["a.db", "b.db", &place].map(|p| ran(&format!("runs --store {p}")));
    assert!(a == b && a == on_server);
    assert_eq!(ran(&format!("store copy a.db {place}"))["copied"], 0);
    world.train("out3", &format!("--epochs 1 --store {place} --seed 3"));
    world.fails(&format!("store copy a.db {place}"), &["run 3", "Nothing was copied"]);
    assert_eq!(ran(&format!("store copy {place} a.db"))["copied"], 1);
    world.fails("store copy none.db c.db", &["no store none.db"]);
    assert!(!world.path("c.db").exists());
    world.fails("store copy a.db a.db", &["into itself"]);
    world.fails(&format!("store copy {} c.db", server.database()), &["no store"]);
}
