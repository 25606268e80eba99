//! What earlier versions wrote is read as it was: adapters answer as they did, and a store has its
//! runs. `tests/versions/make.py` keeps what a release writes.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn versions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/versions")
}

fn kept() -> Vec<PathBuf> {
    let entries = fs::read_dir(versions()).unwrap().map(|e| e.unwrap().path());
    let mut kept: Vec<PathBuf> = entries.filter(|p| p.join("expected.json").is_file()).collect();
    kept.sort();
    assert!(!kept.is_empty());
    kept
}

fn budwood(folder: &Path, words: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_budwood"))
        .args(words)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {words:?}: {said}", folder.display());
    String::from_utf8(out.stdout).unwrap()
}

/// A copy of a version's files, with the base beside them: what is read may not be written to.
fn copy(version: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for from in [version.to_path_buf(), versions().join("base")] {
        let to = if from == version { dir.path().into() } else { dir.path().join("base") };
        copy_into(&from, &to);
    }
    dir
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_into(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Equal but for numbers, which may differ by what another instruction set rounds.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 2e-3
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

#[test]
fn adapters_of_earlier_versions_answer_as_they_did() {
    for version in kept() {
        let dir = copy(&version);
        let expected: Value =
            serde_json::from_slice(&fs::read(version.join("expected.json")).unwrap()).unwrap();
        let answers = expected["answers"].as_object().unwrap();
        assert_eq!(answers.len(), fs::read_dir(version.join("adapters")).unwrap().count());
        for (name, case) in answers {
            let asked = case["ask"].as_array().unwrap().iter().map(|row| format!("{row}\n"));
            fs::write(dir.path().join("ask.jsonl"), asked.collect::<String>()).unwrap();
            let adapter = format!("adapters/{name}");
            let words =
                ["predict", "--adapter", &adapter, "--base", "base", "--input", "ask.jsonl"];
            let told = budwood(dir.path(), &[&words[..], &["--json"]].concat());
            let told: Vec<Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            let (told, right) = (Value::Array(told), &case["answers"]);
            assert!(same(&told, right), "{}: {name}: {told} is not {right}", version.display());
            budwood(dir.path(), &["inspect", &adapter, "--json"]);
        }
    }
}

#[test]
fn stores_of_earlier_versions_have_their_runs() {
    for version in kept() {
        let dir = copy(&version);
        let expected: Value =
            serde_json::from_slice(&fs::read(version.join("expected.json")).unwrap()).unwrap();
        let told = budwood(dir.path(), &["runs", "--store", "runs.db", "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let (told, right) = (told.as_array().unwrap(), expected["runs"].as_array().unwrap());
        assert_eq!(told.len(), right.len());
        for (told, right) in told.iter().zip(right) {
            for (name, value) in right.as_object().unwrap() {
                assert_eq!(&told[name], value, "{}: {name}", version.display());
            }
        }
    }
}
