//! The JSON of commands, beside what an earlier program printed (`tests/outputs/recorded.json`).
//!
//! Times, sizes of memory, places and hashes of trained weights are masked: they differ between
//! machines. Numbers may differ by a ten-thousandth, as processors round sums differently. To
//! record anew, with the program of this build or with another one:
//!
//! `BUDWOOD_RECORD=1 [BUDWOOD_PROGRAM=old/budwood] cargo test -p budwood-cli --test outputs`
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value};
use world::{World, train_args};

/// Fields whose values are of this machine or this moment.
const MASKED: &[&str] = &[
    "seconds",
    "seconds_reading",
    "peak_bytes",
    "finished_at",
    "weights_sha256",
    "versions",
    "acting_sha256",
];

/// Commands in their order, each with the name of its record; `train` stands for the usual flags.
fn commands() -> Vec<(&'static str, String)> {
    let train = |out: &str, more: &str| train_args("train.csv", out, more);
    let paper = train("a", "--epochs 2 --store runs.db --test-data test.csv --seed 1");
    // The same form of the weights on every processor.
    let auto = "--recipe auto --epochs 2 --dev-share 0.2 --base-precision f32 --store runs.db";
    let auto = train("b", auto);
    let predict = "predict --adapter a";
    vec![
        ("data", "data train.csv --base base --test-data test.csv".into()),
        ("data of a fault", "data none.csv".into()),
        ("train", paper),
        ("train by the recipe", auto),
        ("eval", "eval --adapter a --data test.csv --positive fresh".into()),
        ("eval of the recipe", "eval --adapter b --data test.csv --leave-out 0".into()),
        ("predict", format!("{predict} great")),
        ("predict a file", format!("{predict} --input test.csv --top 1 --abstain-below 0.6")),
        ("inspect an adapter", "inspect a".into()),
        ("inspect a model", "inspect base".into()),
        ("runs list", "runs list --store runs.db".into()),
        ("runs show", "runs show 1 --store runs.db".into()),
        ("runs export", "runs export --format json --store runs.db".into()),
        ("methods", "methods".into()),
    ]
}

/// Runs all commands; what each prints, masked.
fn outputs() -> Map<String, Value> {
    let world = World::new();
    let program = std::env::var_os("BUDWOOD_PROGRAM").map(PathBuf::from);
    let mut all = Map::new();
    for (name, words) in commands() {
        let mut command = world.command(&words);
        if let Some(program) = &program {
            let mut other = Command::new(program);
            other.args(command.get_args()).current_dir(world.dir.path());
            other.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
            command = other;
        }
        let output = command.arg("--json").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // Several values on several lines are a list.
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let mut values: Vec<Value> = values.map(|v| v.unwrap()).collect();
        let mut value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        mask(&mut value, &world.dir.path().display().to_string());
        all.insert(name.into(), value);
    }
    all
}

fn mask(value: &mut Value, place: &str) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match MASKED.contains(&name.as_str()) {
                    true => *value = "masked".into(),
                    false => mask(value, place),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| mask(v, place)),
        Value::String(text) => *text = text.replace(place, "PLACE"),
        _ => {}
    }
}

/// The first difference of two values, with the path to it.
fn difference(a: &Value, b: &Value, at: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let lacks = a.keys().find(|k| !b.contains_key(*k)).map(|k| format!("{at}/{k} is gone"));
            let new = b.keys().find(|k| !a.contains_key(*k)).map(|k| format!("{at}/{k} is new"));
            lacks
                .or(new)
                .or_else(|| a.iter().find_map(|(k, v)| difference(v, &b[k], &format!("{at}/{k}"))))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(i, (a, b))| difference(a, b, &format!("{at}/{i}")))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let far = (x.as_f64()? - y.as_f64()?).abs() > 1e-4;
            far.then(|| format!("{at}: {x} was recorded, {y} is given"))
        }
        _ => (a != b).then(|| format!("{at}: {a} was recorded, {b} is given")),
    }
}

#[test]
fn commands_print_what_they_did() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/outputs/recorded.json");
    let given = outputs();
    if std::env::var_os("BUDWOOD_RECORD").is_some() {
        fs::write(&file, serde_json::to_string_pretty(&given).unwrap() + "\n").unwrap();
        return;
    }
    let recorded: Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let names: Vec<&String> = recorded.keys().collect();
    assert_eq!(names, given.keys().collect::<Vec<_>>(), "record anew: see the head of this file");
    for (name, value) in &given {
        let found = difference(&recorded[name], value, "");
        assert_eq!(found, None, "budwood {name} --json");
    }
}
