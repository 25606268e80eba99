//! Addresses of object stores without a store: what is a path, what is refused, and how.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use world::{World, json, train_args};

const SWEEP: &str = "name = \"x\"\n[train]\nbase = \"base\"\n[[task]]\nname = \"x\"\ndata = \"train.csv\"\n\
    [[method]]\nname = \"m\"\nmethod = \"linear\"\n";

/// Every command that takes a place, with one in it.
fn commands(place: &str) -> Vec<String> {
    let train = |more: &str| train_args("train.csv", "new", &format!("--epochs 1 {more}"));
    vec![
        format!("predict --adapter {place} --base base x"),
        format!("predict --adapter a --base base --input {place}"),
        format!("predict --adapter a --base base x --output {place}"),
        format!("predict --adapter a --base {place} x"),
        format!("eval --adapter {place} --base base --data train.csv"),
        format!("eval --adapter a --base base --data {place}"),
        format!("eval --adapter a --base base --data train.csv --report {place}"),
        format!("eval --adapter a --base base --data train.csv --predictions {place}"),
        format!("inspect {place}"),
        format!("data {place}"),
        format!("data conll={place}"),
        format!("average a {place} --out new"),
        format!("average a a --out {place}"),
        format!("merge --adapter {place} --out new"),
        format!("export {place} new --to adapterhub"),
        format!("export a {place} --to adapterhub"),
        format!("import {place} --out new"),
        format!("push {place} owner/name --dry-run"),
        format!("models quantize {place} --out new"),
        format!("models quantize base --out {place}"),
        format!("models new --out {place}"),
        format!("models import {place} --out new"),
        format!("serve --base base --adapters {place} --port 0"),
        format!("submit {place} --board board"),
        format!("sweep {place}"),
        train(&format!("--init {place}")),
        train(&format!("--dev-data {place}")),
        train(&format!("--image-root {place}")),
        train_args(place, "new", "--epochs 1"),
        train_args("train.csv", place, "--epochs 1"),
        train_args("train.csv", place, "--recipe auto --minutes 1"),
    ]
}

#[test]
fn addresses_are_refused_by_every_command_of_a_program_without_stores() {
    if cfg!(feature = "object-store") {
        return;
    }
    let world = World::new();
    world.train("a", "--epochs 1");
    world.ok("board init --board board");
    for command in commands("s3://bucket/name") {
        world.fails(&command, &["s3://bucket/name: ", "--features object-store", "container"]);
    }
    // A sweep is on this machine alone, a board there or on a database's server.
    world.write("runs.toml", SWEEP);
    world.fails("sweep runs.toml --out s3://bucket/name", &["s3://bucket/name"]);
    let board = world.run("board init --board s3://bucket/name");
    let said = String::from_utf8_lossy(&board.stderr);
    assert!(board.status.code() == Some(2) && said.contains("another kind of database"), "{said}");
    assert!(!world.path("s3:").exists() && !world.path("new").exists());
}

#[test]
fn addresses_with_secrets_are_refused_by_every_command_and_not_repeated() {
    let world = World::new();
    world.train("a", "--epochs 1");
    world.ok("board init --board board");
    for place in ["s3://KEY:SECRET@bucket/name", "gs://bucket/name?sig=SECRET"] {
        for command in commands(place) {
            let output = world.run(&command);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code() == Some(1) && said.contains("environment"),
                "{command}: {said}"
            );
            let said = said.replace("AWS_SECRET_ACCESS_KEY", "");
            assert!(!said.contains("SECRET"), "{command}: {said}");
        }
    }
    for command in commands("hdfs://host/name") {
        world.fails(&command, &["hdfs://host/name", "s3://"]);
    }
    assert!(!world.path("new").exists());
}

#[test]
fn a_file_address_is_its_path_everywhere() {
    let world = World::new();
    let here = |name: &str| format!("file://{}", world.path(name).display());
    world.ok(&train_args(&here("train.csv"), &here("a"), "--epochs 1"));
    world.train("b", "--epochs 1");
    let weights = |name: &str| fs::read(world.path(name).join("adapter.safetensors")).unwrap();
    assert_eq!(weights("a"), weights("b"));
    let told = json(&world.ok(&format!("inspect --json {}", here("a"))));
    assert_eq!(told["data"][0]["source"], here("train.csv"));
    world.ok(&format!("average {} b --out {}", here("a"), here("mean")));
    assert!(world.path("mean/adapter.json").is_file());
    world.fails(&format!("average a b --out {}", here("mean")), &["--overwrite"]);
    for (form, output) in [("jsonl", here("x.jsonl")), ("csv", "x.csv".into())] {
        let ask = format!("predict --adapter {} --base {}", here("a"), here("base"));
        let input = here("train.csv");
        let printed = world.ok(&format!("{ask} --input {input} --format {form}"));
        world.ok(&format!("{ask} --input {input} --output {output}"));
        let written = fs::read_to_string(world.path(&format!("x.{form}"))).unwrap();
        assert!(!written.is_empty() && written == printed, "{form}");
        world.fails(&format!("{ask} --input {input} --output {output}"), &["--overwrite"]);
        world.ok(&format!("{ask} --input {input} --output {output} --overwrite"));
        world.fails(&format!("{ask} x --output {input}"), &["train.csv"]);
    }
    world.fails("predict --adapter a x --output new.txt --format table", &["--output", "jsonl"]);
    assert!(!world.path("file:").exists());
}
