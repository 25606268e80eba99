//! Heads that are trained here, in the forms of libraries whose heads have other layers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use budwood_formats::Weights;
use serde_json::Value;

fn budwood(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_budwood")).args(words).current_dir(folder).output().unwrap()
}

fn ok(folder: &Path, words: &[&str]) -> (String, String) {
    let out = budwood(folder, words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{words:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn refused(folder: &Path, words: &[&str]) -> String {
    let out = budwood(folder, words);
    assert!(!out.status.success(), "{words:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A base of a family, `base`, and texts, `texts.csv`.
fn world(family: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    fs::create_dir(&base).unwrap();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(family).join(name), base.join(name)).unwrap();
    }
    fs::write(base.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\ngood\nbad\na\n").unwrap();
    let rows = ["a good film,yes\n", "a bad film,no\n", "film bad bad,no\n", "good,yes\n"];
    fs::write(dir.path().join("texts.csv"), format!("text,label\n{}", rows.concat().repeat(4)))
        .unwrap();
    dir
}

/// Trains `ours` with a head over this pooling.
fn train(folder: &Path, method: &str, pooling: &str) {
    let words = ["train", "--data", "texts.csv", "--base", "base", "--out", "ours", "--overwrite"];
    let recipe = ["--recipe", "paper", "--epochs", "3", "--lr", "0.05"];
    let words = [&words[..], &recipe, &["--method", method, "--pooling", pooling]].concat();
    ok(folder, &words);
}

/// Scores of the texts, each with the name of its class.
fn scores(folder: &Path, adapter: &[&str]) -> Vec<(String, f64)> {
    let words = ["predict", "--json", "--base-precision", "f32", "--input", "texts.csv"];
    let (said, _) = ok(folder, &[&words[..], &["--adapter"], adapter].concat());
    let of_line = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let scores = answer["scores"].as_object().unwrap().clone();
        scores.into_iter().map(|(label, score)| (label, score.as_f64().unwrap()))
    };
    said.lines().flat_map(of_line).collect()
}

fn assert_close(ours: &[(String, f64)], theirs: &[(String, f64)], what: &str) {
    assert!(ours.len() == theirs.len() && ours.iter().any(|(_, s)| *s > 0.55), "{what}: {ours:?}");
    for ((_, a), (_, b)) in ours.iter().zip(theirs) {
        assert!((a - b).abs() < 1e-5, "{what}: {ours:?} {theirs:?}");
    }
}

/// One layer over the first token, where the models of `transformers` have two (tanh, ReLU, GELU).
#[test]
fn a_head_of_one_layer_becomes_two_that_compute_the_same() {
    for family in ["bert", "distilbert", "electra"] {
        let dir = world(family);
        let dir = dir.path();
        let settings = "tokenizer_config.json";
        fs::write(dir.join("base").join(settings), r#"{"model_max_length": 512}"#).unwrap();
        train(dir, "lora[r=2]", "cls");
        // What makes vectors of the base's sentences is not part of a model with a head, nor is
        // what has nothing to do with the model.
        let others = ["modules.json", "adapter_config.json", "trainer_state.json", "notes.txt"];
        for name in others {
            fs::write(dir.join("base").join(name), "[]").unwrap();
        }
        let ours = scores(dir, &["ours"]);
        ok(dir, &["merge", "--adapter", "ours", "--out", "merged"]);
        for library in ["transformers", "peft"] {
            let (_, said) = ok(dir, &["export", "ours", library, "--to", library]);
            assert!(said.contains("is written as the two"), "{said}");
        }
        for folder in ["transformers", "peft", "merged/model"] {
            let left = others.iter().filter(|name| dir.join(folder).join(name).exists());
            let own = usize::from(folder == "peft");
            assert_eq!(left.count(), own, "{folder}");
        }
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
        };
        let length = &read("ours/adapter.json")["task"]["max_length"];
        assert_eq!(read("transformers/tokenizer_config.json")["model_max_length"], *length);
        assert_eq!(read("merged/model/tokenizer_config.json")["model_max_length"], 512);
        assert_close(&ours, &scores(dir, &["transformers"]), family);
        assert_close(&ours, &scores(dir, &["peft", "--base", "base"]), family);
    }
}

/// What no model of `transformers` has is refused with what holds it, and goes out there.
#[test]
fn a_head_over_the_mean_has_places_of_its_own() {
    let dir = world("distilbert");
    let dir = dir.path();
    train(dir, "lora[r=2]", "mean");
    for library in ["transformers", "peft"] {
        let said = refused(dir, &["export", "ours", "x", "--to", library]);
        assert!(said.contains("sentence-transformers"), "{said}");
    }
    let said = refused(dir, &["export", "ours", "x", "--to", "adapterhub"]);
    assert!(said.contains("--headless"), "{said}");
    assert!(!dir.join("x").exists());

    ok(dir, &["export", "ours", "sentence", "--to", "sentence-transformers"]);
    let json = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.join("sentence").join(name)).unwrap()).unwrap()
    };
    let modules = json("modules.json");
    let paths: Vec<_> = modules.as_array().unwrap().iter().map(|m| m["path"].as_str()).collect();
    assert_eq!(paths, [Some(""), Some("1_Pooling"), Some("2_Dense")]);
    assert_eq!(json("1_Pooling/config.json")["pooling_mode_mean_tokens"], true);
    assert_eq!(json("2_Dense/config.json")["out_features"], 2);
    let head = Weights::open(&dir.join("ours/adapter.safetensors")).unwrap();
    let dense = Weights::open(&dir.join("sentence/2_Dense/model.safetensors")).unwrap();
    assert!(dense.tensor("linear.weight").unwrap() == head.tensor("head.out.weight").unwrap());
    // The encoder there is the merged one.
    let query = "transformer.layer.0.attention.q_lin.weight";
    let written = Weights::open(&dir.join("sentence/model.safetensors")).unwrap();
    let base = Weights::open(&dir.join("base/model.safetensors")).unwrap();
    let of = |file: &Weights| {
        let name = file.names().find(|name| name.ends_with(query)).unwrap().to_string();
        file.tensor(&name).unwrap()
    };
    assert!(of(&written) != of(&base));

    ok(dir, &["export", "ours", "hub", "--to", "adapterhub", "--headless"]);
    let beside = Weights::open(&dir.join("hub/head.safetensors")).unwrap();
    assert!(beside.tensor("head.out.bias").unwrap() == head.tensor("head.out.bias").unwrap());
    assert!(!dir.join("hub/head_config.json").exists());
    let said = refused(dir, &["export", "ours", "x", "--to", "peft", "--headless"]);
    assert!(said.contains("--headless is for adapterhub"), "{said}");
    train(dir, "linear", "mean");
    let said = refused(dir, &["export", "ours", "x", "--to", "adapterhub", "--headless"]);
    assert!(said.contains("a head alone"), "{said}");
}
