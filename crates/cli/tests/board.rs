//! The board on the command line: from a training run to a row that was run again, and what must
//! not become one.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use serde_json::Value;
use world::{World, json, reviews};

/// A world with a run in a store, its adapter in `a`, scored on a test set.
fn trained() -> World {
    let world = World::new();
    world.write("held.csv", reviews(60, 77));
    world.train("a", "--test-data held.csv --name reviews --store runs.db");
    world
}

fn state(world: &World, result: i64) -> String {
    let board = json(&world.ok("board --board b export --format json"));
    let rows = board.as_array().unwrap();
    let row = rows.iter().find(|r| r["result"] == result);
    row.map_or_else(
        || panic!("no row {result} in {board:#}"),
        |r| r["state"].as_str().unwrap().into(),
    )
}

fn submit(world: &World, what: &str) -> Value {
    json(&world.ok(&format!("submit {what} --board b --json")))
}

#[test]
fn a_run_becomes_a_row_that_is_run_again() {
    let world = trained();
    world.ok("board --board b init");
    let first = submit(&world, "1 --store runs.db");
    let id = first["result"].as_i64().unwrap();
    assert_eq!(first["state"], "attached");
    // A second time it is the same row.
    let again = submit(&world, "1 --store runs.db");
    assert_eq!((again["result"].as_i64(), again["new"].as_bool()), (Some(id), Some(false)));
    let output = world.ok(&format!("verify {id} --board b"));
    assert!(
        output.contains("attached -> re-evaluated") && output.contains("0 of 60 predictions"),
        "{output}"
    );
    assert_eq!(state(&world, id), "re-evaluated");
    let output = world.ok("audit --board b");
    assert!(output.contains("1 of 1 results were run again"), "{output}");
    let log = world.ok("board --board b log");
    assert!(log.contains("re-evaluated") && log.contains("submit"), "{log}");
}

/// A claim that the adapter does not bear is a mismatch, with the difference.
#[test]
fn a_claim_that_is_too_high_is_found_out() {
    let world = trained();
    world.ok("board --board b init");
    let path = world.path("a/adapter.json");
    let mut meta = json(&fs::read_to_string(&path).unwrap());
    for metric in meta["metrics"].as_array_mut().unwrap() {
        metric["value"] = Value::from(metric["value"].as_f64().unwrap() - 0.25);
    }
    fs::write(&path, meta.to_string()).unwrap();
    // The board knows the data from the store's run.
    let id = submit(&world, "a")["result"].as_i64().unwrap();
    world.ok("board --board b data add --data train.csv -- --test-data held.csv");
    let output = world.ok(&format!("verify {id} --board b"));
    assert!(output.contains("attached -> mismatch"), "{output}");
    assert_eq!(state(&world, id), "mismatch");
}

#[test]
fn damaged_and_hostile_adapters_are_refused() {
    let world = trained();
    world.ok("board --board b init");
    let path = world.path("a/adapter.safetensors");
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let last = bytes.len() - 3;
    bytes[last] ^= 0x40;
    fs::write(&path, &bytes).unwrap();
    world.fails("submit a --board b", &["SHA-256", "damaged"]);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    world.fails("submit a --board b", &["adapter.safetensors"]);
    fs::write(&path, [0x80, 2, b'c', b'o', b's']).unwrap();
    world.fails("submit a --board b", &["adapter.safetensors"]);
    fs::write(&path, &whole).unwrap();
    world.fails("verify 999 --board b", &["999"]);
    world.fails("submit nowhere --board b --store none.db", &["nowhere"]);
}

/// A new board takes the runs that are where a sweep puts them; an old one takes only what it is
/// told to.
#[test]
fn a_new_board_holds_the_runs_of_the_usual_store() {
    let world = World::new();
    world.write("held.csv", reviews(60, 77));
    fs::create_dir(world.path("budwood-runs")).unwrap();
    world.train("a", "--test-data held.csv --name reviews --store budwood-runs/runs.db");
    let runs = |args: &str| json(&world.ok(args))["runs"].as_u64();
    assert_eq!(runs("board --board b init --json"), Some(1));
    world.train("c", "--test-data held.csv --name reviews --store budwood-runs/runs.db --seed 1");
    assert_eq!(runs("board --board b init --json"), Some(0));
    assert_eq!(runs("board --board b init --store budwood-runs/runs.db --json"), Some(1));
    world.fails("board --board b init --store none.db", &["none.db"]);
    // A store that nobody asked for and that is damaged stops nothing, and is said.
    world.write("budwood-runs/runs.db", "no store at all, but long enough to be looked at");
    let output = world.run("board --board d init");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("runs.db is left out"), "{error}");
    world.fails("board --board d init --store budwood-runs/runs.db", &["runs.db"]);
}

/// A base model reads the papers once; a model of images cannot.
#[test]
fn papers_are_read_by_a_base_model() {
    let world = World::new();
    let paper = |i: usize| {
        serde_json::json!({ "paper_url": format!("https://paperswithcode.com/paper/p-{i}"), "title": format!("A good film {i}"),
            "abstract": "It is fine and nice. ".repeat(i % 5), "authors": [], "tasks": ["Films"], "methods": [], "date": "2020-01-01" })
    };
    let papers: Vec<Value> = (0..700).map(paper).collect();
    world.write("papers-with-abstracts.json", Value::from(papers).to_string());
    world.ok("board --board b import papers-with-abstracts.json");
    let relate = || json(&world.ok("board --board b relate --base base --json"));
    let first = relate();
    // A fifth of them have no abstract.
    assert_eq!((first["read"].as_u64(), first["left"].as_u64()), (Some(560), Some(0)));
    assert_eq!(relate()["read"].as_u64(), Some(0));
    let images =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/vit");
    world.fails(&format!("board --board b relate --base {}", images.display()), &["reads images"]);
}

/// Checks are run from wherever the board is used: data and base are noted by their whole paths.
#[test]
fn a_check_does_not_depend_on_the_folder_that_it_is_run_in() {
    let world = trained();
    world.ok("board --board b init");
    let id = submit(&world, "1 --store runs.db")["result"].as_i64().unwrap();
    world.ok("board --board b data add --data train.csv -- --test-data held.csv");
    let listed = json(&world.ok("board --board b data list --json"));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = world.command(&format!("verify {id} --board {}", world.path("b").display()));
    let output = command.current_dir(elsewhere.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("attached -> re-evaluated"), "{text} {output:?}");
    let flags = listed[0]["source"].to_string();
    assert!(
        flags.contains(&*world.path("held.csv").canonicalize().unwrap().to_string_lossy()),
        "{flags}"
    );
    assert!(!flags.contains("\"train.csv\"") && !flags.contains("\"held.csv\""), "{flags}");
}

/// A run on data that its leaderboard does not name is of another setting, until someone names
/// them.
#[test]
fn a_leaderboard_is_about_the_data_that_it_names() {
    let world = trained();
    world.ok("board --board b init");
    // The paper's leaderboard is there already, and names no data.
    let mut command = world.command("submit 1 --store runs.db --board b --json");
    command.args(["--task", "Sentiment Analysis", "--dataset", "SST-2"]);
    let output = command.output().unwrap();
    let (done, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("names no data") && said.contains("board data name"), "{said}");
    let done = json(&done);
    let (id, slug) =
        (done["result"].as_i64().unwrap(), done["leaderboard"].as_str().unwrap().to_owned());
    let output = world.ok(&format!("verify {id} --board b"));
    assert!(output.contains("other-setting") && output.contains("does not name"), "{output}");
    assert_eq!(state(&world, id), "other-setting");
    world.fails(&format!("board --board b data name {slug} abcdef"), &["abcdef", "data list"]);
    world.fails(&format!("board --board b data add --data train.csv --leaderboard {slug} --split other -- --test-data held.csv"), &["--split", "test"]);
    world.ok(&format!("board --board b data add --data train.csv --leaderboard {slug} --split test -- --test-data held.csv"));
    assert_eq!(state(&world, id), "re-evaluated");
    world.ok(&format!("board --board b data name {slug} --none"));
    assert_eq!(state(&world, id), "other-setting");
    let data = json(&world.ok("board --board b data list --json"));
    let test = data.as_array().unwrap().iter().find(|d| d["split"] == "test").unwrap()["sha256"]
        .as_str()
        .unwrap();
    let named = world.ok(&format!("board --board b data name {slug} {}", &test[..12]));
    assert!(named.contains("1 of its results"), "{named}");
    assert_eq!(state(&world, id), "re-evaluated");
    let log = world.ok("board --board b log");
    assert!(log.matches("name data").count() == 3, "{log}");
}

/// An archive's names are kept as they are; a terminal sees what they hold and does not obey it.
#[test]
fn names_of_others_do_not_steer_the_terminal() {
    let world = World::new();
    let sneaky = "Sneaky\u{1b}[2J\u{9b}31m\u{202e}\u{7}";
    let tables = |rows: Value| serde_json::json!([{ "task": "Telling Trees", "datasets": [{ "dataset": "Forest", "sota": { "metrics": ["Accuracy"], "rows": rows } }] }]);
    let row =
        |name: &str| serde_json::json!({ "model_name": name, "metrics": { "Accuracy": "1" } });
    world.write(
        "evaluation-tables.json",
        tables([row(sneaky), row("plain")].into_iter().collect()).to_string(),
    );
    world.ok("board --board b import evaluation-tables.json");
    // The newer file takes the row back, which the log tells with its name.
    world.write("evaluation-tables.json", tables([row("plain")].into_iter().collect()).to_string());
    world.ok("board --board b import evaluation-tables.json");
    for command in ["board --board b log", "board --board b log --json"] {
        let text = world.ok(command);
        assert!(text.contains("Sneaky"), "{text}");
        let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(hidden), "{text:?}");
    }
    let log = json(&world.ok("board --board b log --json"));
    let kept = log.as_array().unwrap().iter().any(|e| e["subject_name"] == sneaky);
    assert!(kept, "as JSON it is what it was: {log}");
    world.fails(&format!("verify 99 --board {sneaky}").replace('\u{7}', ""), &["\\u{1b}"]);
}

/// Their folders hold no scores and no hash of the base: they are scored where they are submitted.
#[test]
fn adapters_of_other_libraries_are_scored_submitted_and_run_again() {
    let world = World::new();
    world.write("held.csv", reviews(60, 77));
    world.ok("board --board b init");
    let lora = "--method lora[r=2] --pooling";
    world.train("hub", &format!("{lora} cls"));
    world.ok("export hub hub-out --to adapterhub");
    world.train("peft", &format!("{lora} pooler"));
    world.ok("export peft peft-out --to peft");
    world.ok("export peft whole --to transformers");
    // PEFT keeps no names of classes: those of its base.
    fs::create_dir(world.path("named")).unwrap();
    for entry in fs::read_dir(world.path("base")).unwrap().flatten() {
        fs::copy(entry.path(), world.path("named").join(entry.file_name())).unwrap();
    }
    let mut config = json(&fs::read_to_string(world.path("base/config.json")).unwrap());
    config["id2label"] = serde_json::json!({ "0": "fresh", "1": "rotten" });
    world.write("named/config.json", config.to_string());
    let data = "-- --data train.csv --test-data held.csv";
    for (folder, base) in [("hub-out", "base"), ("peft-out", "named"), ("whole", "whole")] {
        let line =
            format!("submit {folder} --base {base} --board b --dataset {folder} --json {data}");
        let output = world.run(&line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("the base cannot be checked"), folder != "whole", "{said}");
        let done = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(done["state"], "attached");
        let id = done["result"].as_i64().unwrap();
        let output = world.ok(&format!("verify {id} --board b"));
        assert!(output.contains("0 of 60 predictions"), "{output}");
        assert_eq!(state(&world, id), "re-evaluated");
    }
    world.fails("submit hub-out --board b", &["an adapter of adapters", "no scores", "-- --data"]);
    world.fails("submit hub-out --base base --board b", &["name the data"]);
    // This base names none.
    let named = format!("submit peft-out --base base --board b {data}");
    world.fails(&named, &["fresh, rotten", "id2label"]);
}
