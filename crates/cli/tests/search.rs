//! `train --minutes`: a search that keeps the best, says what it tried, and goes on where it was
//! killed.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use world::{World, json, reviews};

fn train(data: &str, out: &str, more: &str) -> String {
    format!("train --base base --data {data} --out {out} --json --threads 2 {more}")
}

fn weights(world: &World, out: &str) -> String {
    let meta = json(&fs::read_to_string(world.path(&format!("{out}/adapter.json"))).unwrap());
    meta["weights_sha256"].as_str().unwrap().into()
}

fn scores(found: &Value, rows: u64) -> Vec<f64> {
    let tried = found["tried"].as_array().unwrap().iter();
    tried.filter(|t| t["rows"] == rows).map(|t| t["score"].as_f64().unwrap()).collect()
}

#[test]
fn the_best_of_all_is_kept_and_nothing_is_tried_twice() {
    let world = World::new();
    world.write("few.csv", reviews(90, 4));
    // Without time there is the run itself.
    let found = json(&world.ok(&train("few.csv", "least", "--minutes 0")));
    assert_eq!(found["tried"].as_array().unwrap().len(), 1);
    world.ok(&train("few.csv", "alone", "--store alone.db"));
    assert_eq!(weights(&world, "least"), weights(&world, "alone"));
    // A store may know the best from elsewhere, without its adapter.
    world.ok(&train("few.csv", "known", "--minutes 0 --store alone.db"));
    assert_eq!(weights(&world, "known"), weights(&world, "alone"));

    let args = train("few.csv", "out", "--minutes 0.15 --max-length 24");
    let found = json(&world.ok(&args));
    let all = scores(&found, 90);
    assert!(all.len() > 1, "{found}");
    assert_eq!(found["score"].as_f64().unwrap(), all.iter().copied().fold(0.0, f64::max));
    let tried = found["tried"].as_array().unwrap();
    assert_eq!(tried.iter().filter(|t| t["best"] == true).count(), 1);
    for t in tried {
        assert_eq!(t["settings"]["max-length"], 24, "what was given stays: {t}");
    }
    let keys: BTreeSet<&str> = tried.iter().map(|t| t["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), tried.len(), "each once");
    // Each is a run of the store; the adapters of the others are gone.
    let runs = json(&world.ok("runs list --json --store out-search/runs.db"));
    assert_eq!(runs.as_array().unwrap().len(), tried.len());
    let folders = fs::read_dir(world.path("out-search")).unwrap();
    let adapters = folders.filter(|f| f.as_ref().unwrap().path().join("adapter.json").exists());
    assert_eq!(adapters.count(), 1);
    assert!(json(&world.ok("predict --adapter out --json lovely"))["label"].is_string());
    // The same command knows them, and goes on only if time is left.
    world.fails(&args, &["out"]);
    let again = json(&world.ok(&format!("{args} --overwrite")));
    let none_left = args.replace("--minutes 0.15", "--minutes 0");
    let none_left = json(&world.ok(&format!("{none_left} --overwrite")));
    assert_eq!((&none_left["tried"], &none_left["score"]), (&again["tried"], &again["score"]));
    let known = |found: &Value, n: usize| -> Vec<String> {
        let tried = found["tried"].as_array().unwrap()[..n].iter();
        tried.map(|t| t["key"].as_str().unwrap().into()).collect()
    };
    assert_eq!(known(&again, tried.len()), known(&found, tried.len()));
    let paper = train("few.csv", "paper", "--minutes 1 --recipe paper");
    world.fails(&paper, &["--minutes", "--recipe auto"]);
    let said = world.ok(&format!("{args} --overwrite").replace("--json ", ""));
    assert!(said.contains("kept") && said.contains("too good"), "{said}");
}

/// A search with other data under the same name does not give back the adapter of those before.
#[test]
fn trials_on_other_data_or_another_base_are_not_taken_for_done() {
    let world = World::new();
    let before = reviews(90, 4);
    world.write("few.csv", &before);
    let args = train("few.csv", "out", "--minutes 0 --overwrite");
    world.ok(&args);
    let kept = weights(&world, "out");
    world.write("few.csv", reviews(90, 5));
    world.fails(&args, &["runs.db is done", "other train data than few.csv", "--out"]);
    world.write("few.csv", before);
    let vocabulary = fs::read_to_string(world.path("base/vocab.txt")).unwrap();
    world.write("base/vocab.txt", format!("{vocabulary}\nmore"));
    world.fails(&args, &["runs.db is done", "another base than base is now"]);
    world.write("base/vocab.txt", vocabulary);
    world.ok(&args);
    assert_eq!(weights(&world, "out"), kept);
}

#[test]
fn a_killed_search_goes_on_with_what_it_knows() {
    let world = World::new();
    world.write("many.csv", reviews(2400, 4));
    let more = "--minutes 0.4 --max-length 24 --method adapter[width=8] --pooling mean";
    let args = train("many.csv", "out", more);
    let mut child =
        world.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let known = || {
        let output = world.run("runs list --json --store out-search/runs.db");
        let runs = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
        runs.as_array().map_or(0, Vec::len)
    };
    let mut waited = 0;
    while known() < 2 && waited < 600 {
        std::thread::sleep(Duration::from_millis(100));
        waited += 1;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = known();
    assert!(before >= 2, "it was killed in its trials");
    let found = json(&world.ok(&args));
    let tried = found["tried"].as_array().unwrap();
    assert!(tried.len() >= before, "{found}");
    // Nine on a ninth of the rows come before the first on a third. Two of them are drawn twice.
    let rows = tried[0]["rows"].as_u64().unwrap();
    assert_eq!(rows, 2160, "a tenth is for validation");
    let (ninth, third) = (scores(&found, rows / 9).len(), scores(&found, rows / 3).len());
    let first = tried.iter().take_while(|t| t["rows"] != rows / 3);
    let first = first.filter(|t| t["rows"] == rows / 9).count();
    assert!(ninth > 0 && (third == 0 || first == 7), "{first}: {found}");
    assert!(world.path("out/adapter.json").exists());
}
