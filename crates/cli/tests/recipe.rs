//! `--recipe auto` as a user runs it, on a tiny model.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use world::{World, json, reviews};

/// The default, with as little as a user gives.
fn auto(data: &str, out: &str, more: &str) -> String {
    format!(
        "train --base base --data {data} --out {out} --method adapter[width=8] --max-length 24 \
         --pooling mean --threads 2 {more}"
    )
}

fn metric(summary: &serde_json::Value, split: &str, name: &str) -> Option<f64> {
    let metrics = summary["metrics"].as_array()?;
    metrics.iter().find(|m| m["split"] == split && m["name"] == name)?["value"].as_f64()
}

#[test]
fn the_default_says_what_it_chose_and_records_it() {
    let world = World::new();
    world.write("few.csv", reviews(120, 4));
    let text = world.ok(&auto("few.csv", "out", "--test-data test.csv"));
    for words in
        ["120 to train on, none to validate", "chosen: ", "one answer for all", "linear probe"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(text.contains("temperature") && text.contains("3-fold cross-validation"), "{text}");
    let meta = json(&fs::read_to_string(world.path("out/adapter.json")).unwrap());
    let recipe = &meta["training"]["recipe"];
    assert_eq!((recipe["recipe"].as_str(), recipe["folds"].as_u64()), (Some("auto"), Some(3)));
    assert!(recipe["probe"]["score"].is_f64() && recipe["calibration"].is_array(), "{recipe}");
    assert!(metric(&meta, "cv", "accuracy").is_some(), "what was expected of new texts");
    assert!(metric(&meta, "dev", "accuracy").is_none());
    // The test score is that of the adapter with its temperature; eval sees the same one.
    let eval = json(&world.ok("eval --json --adapter out --data test.csv"));
    assert_eq!(eval["scores"]["accuracy"].as_f64(), metric(&meta, "test", "accuracy"));
    assert!(eval["calibration"]["ece"].is_f64() && eval["calibration"]["brier"].is_f64());
    let coverage = eval["coverage"].as_array().unwrap();
    assert_eq!(coverage[0]["accuracy"], eval["scores"]["accuracy"]);
    let table = world.ok("eval --adapter out --data test.csv");
    assert!(table.contains("Brier score") && table.contains("answered"), "{table}");
    // The same command gives the same adapter.
    let again = json(&world.ok(&auto("few.csv", "again", "--json --test-data test.csv")));
    assert_eq!(again["weights_sha256"], meta["weights_sha256"]);
    assert_eq!(again["recipe"], *recipe);
    let others = json(
        &world.ok(&auto("few.csv", "other", "--json --method linear --lr 1e-2 --dropout 0.3")
            .replace("--method adapter[width=8] ", "")),
    );
    assert_eq!((others["steps"].as_u64(), others["method"].as_str()), (Some(0), Some("linear")));
    // The probe is solved without steps.
    assert_eq!(others["recipe"]["without_effect"], serde_json::json!(["dropout", "lr"]));
}

/// Training on pairs has batches of its own, and the rate is its rate.
#[test]
fn settings_without_effect_are_named() {
    let world = World::new();
    world.write("few.csv", reviews(60, 4));
    let run = |out: &str, more: &str| {
        let more = format!("--recipe contrastive --lr {more}");
        let text = world.ok(&auto("few.csv", out, &more).replace("adapter[width=8]", "full"));
        let meta = json(&fs::read_to_string(world.path(&format!("{out}/adapter.json"))).unwrap());
        (text, meta["weights_sha256"].as_str().unwrap().to_string(), meta)
    };
    let (plain, bits, meta) = run("plain", "4e-3");
    assert_eq!(meta["training"]["recipe"]["chosen"], "contrastive", "{plain}");
    assert!(!plain.contains("without effect"), "{plain}");
    let given = "4e-3 --batch-size 5 --accumulate 2 --label-smoothing 0.2 --dropout 0.3";
    let (text, same, _) = run("given", given);
    let named = "without effect on what was kept: batch-size, accumulate, dropout, label-smoothing";
    assert!(text.lines().any(|line| line == named), "{text}");
    assert_eq!(same, bits);
    let (text, other, _) = run("rate", "2e-3");
    assert!(!text.contains("without effect") && other != bits, "{text}");
}

#[test]
fn what_is_given_by_hand_goes_first() {
    let world = World::new();
    let text =
        world.ok(&auto("train.csv", "out", "--dev-share 0.4 --epochs 2 --lr 2e-3 --batch-size 10"));
    assert!(
        text.contains("360 to train on, 240 to validate") && text.contains("72 steps"),
        "{text}"
    );
    let meta = json(&fs::read_to_string(world.path("out/adapter.json")).unwrap());
    assert_eq!(meta["training"]["learning_rate"], 2e-3);
    assert!(metric(&meta, "dev", "accuracy").is_some() && text.contains("240 validation rows"));
}

#[test]
fn an_answer_that_is_not_sure_can_be_none() {
    let world = World::new();
    world
        .ok(&auto("train.csv", "out", "--method linear").replace("--method adapter[width=8] ", ""));
    let rows = |least: &str| {
        let text = world.ok(&format!(
            "predict --adapter out --input test.csv --format jsonl --abstain-below {least}"
        ));
        text.lines().map(json).collect::<Vec<_>>()
    };
    for row in rows("0.9") {
        let none = row["score"].as_f64().unwrap() < 0.9;
        assert_eq!(
            (row["label"] == "none", row["abstained"].as_bool()),
            (none, Some(none)),
            "{row}"
        );
    }
    assert!(rows("1").iter().any(|row| row["label"] == "none"));
    assert!(rows("0").iter().all(|row| row["label"] != "none"));
    let output = world.run("predict --adapter out --abstain-below 1.5 x");
    assert_eq!(output.status.code(), Some(2), "wrong usage");
}

#[test]
fn numbers_keep_their_unit() {
    let world = World::new();
    let price = |(i, line): (usize, &str)| {
        let (text, label) = line.split_once(',').unwrap();
        let price = if label == "fresh" { 800_000 } else { 200_000 } + 1000 * (i % 50);
        format!("{text},{price}\n")
    };
    let rows: String = reviews(200, 3).lines().skip(1).enumerate().map(price).collect();
    world.write("prices.csv", format!("text,label\n{rows}"));
    let text = world.ok(&auto("prices.csv", "out", ""));
    assert!(text.contains("task: regression"), "{text}");
    let mut sums = [0.0; 2];
    for line in world.ok("predict --adapter out --input prices.csv --format jsonl").lines() {
        let row = json(line);
        let near = row["text"].as_str().is_some() && row["value"].as_f64().unwrap() > 500_000.0;
        sums[usize::from(near)] += 1.0;
        assert!((-3e5..1.5e6).contains(&row["value"].as_f64().unwrap()), "{row}");
    }
    assert!(sums[0] > 50.0 && sums[1] > 50.0, "{sums:?}");
    let same: String = reviews(60, 3)
        .lines()
        .skip(1)
        .map(|l| l.replace("fresh", "2.5").replace("rotten", "2.5") + "\n")
        .collect();
    world.write("same.csv", format!("text,label\n{same}"));
    world.fails(&auto("same.csv", "same", ""), &["2.5", "two at least are needed"]);
    assert!(!world.path("same/adapter.json").exists());
}

/// Killed while it tries folds, or trains on all rows, the same command ends with the same adapter.
#[test]
fn killed_it_goes_on_to_the_same_adapter() {
    let world = World::new();
    world.write("few.csv", reviews(150, 5));
    let args = |out: &str| auto("few.csv", out, "--json --save-every 0");
    let whole = json(&world.ok(&args("whole")));
    let mut kills = 0;
    for wait in [150, 300, 500, 800, 1200] {
        let mut child = world
            .command(&args("killed"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0);
    if !world.path("killed/adapter.json").exists() {
        world.ok(&args("killed"));
    }
    let killed = json(&fs::read_to_string(world.path("killed/adapter.json")).unwrap());
    assert_eq!(killed["weights_sha256"], whole["weights_sha256"]);
    assert!(!world.path("killed/recipe-trials.json").exists());
}
