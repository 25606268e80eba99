//! Adapters of other libraries in commands: taken over, written again, and refused without a trace.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn golden(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    root.join(path).to_string_lossy().into_owned()
}

fn budwood(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_budwood")).args(words).current_dir(folder).output().unwrap()
}

fn ok(folder: &Path, words: &[&str]) -> (Value, String) {
    let out = budwood(folder, words);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{words:?}: {said}");
    (serde_json::from_slice(&out.stdout).unwrap(), said)
}

#[test]
fn folders_of_peft_and_adapterhub_come_in_and_go_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (library, case, base, file) in [
        ("peft", "peft/bert/lora/adapter", "peft/bert/base", "adapter_model.safetensors"),
        ("adapterhub", "adapters/vit/par_bn/adapter", "base/vit", "adapter.safetensors"),
    ] {
        let (case, base) = (golden(case), golden(base));
        let ours = format!("{library}-ours");
        let (_, said) = ok(dir, &["import", &case, "--base", &base, "--out", &ours, "--json"]);
        assert!(said.contains("the base cannot be checked"), "{said}");
        let (shown, _) = ok(dir, &["inspect", &ours, "--json"]);
        assert_eq!(shown["training"]["imported"]["base_checked"], Value::Bool(false));
        assert!(shown["bytes"].as_u64().unwrap() > 1000, "{}", shown["bytes"]);
        let (foreign, said) = ok(dir, &["inspect", &case, "--base", &base, "--json"]);
        assert!(said.contains("the base cannot be checked"), "{said}");
        assert_eq!(foreign["tensors"], shown["tensors"]);
        assert_eq!(foreign["method"], shown["method"]);
        let out = format!("{library}-out");
        ok(dir, &["export", &ours, &out, "--to", library, "--json"]);
        let written = budwood_formats::Weights::open(&dir.join(&out).join(file)).unwrap();
        let given = budwood_formats::Weights::open(&Path::new(&case).join(file)).unwrap();
        assert!(written.tensors().unwrap() == given.tensors().unwrap(), "{library}");
    }
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let lora = golden("peft/bert/lora/adapter");
    for (words, said) in [
        (vec!["import", &lora, "--out", "x"], "--base"),
        (vec!["import", &lora, "--base", &golden("base/roberta"), "--out", "x"], "roberta"),
        (vec!["import", &golden("base/bert"), "--out", "x"], "not an adapter of another library"),
    ] {
        let out = budwood(dir, &words);
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && message.contains(said), "{words:?}: {message}");
    }
    let base = golden("peft/bert/base");
    ok(dir, &["import", &lora, "--base", &base, "--out", "ours", "--json"]);
    let room = ["--base", &base, "--max-length", "2"];
    for (folder, said) in [("ours", "needs no import"), (&lora, "--max-length 2 leaves no room")] {
        let out = budwood(dir, &[&["import", folder, "--out", "x"], &room[..]].concat());
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && message.contains(said), "{folder}: {message}");
    }
    fs::create_dir(dir.join("mine")).unwrap();
    fs::write(dir.join("mine/letter.txt"), "mine").unwrap();
    for out in ["mine", "ours"] {
        let done = budwood(dir, &["export", "ours", out, "--to", "peft"]);
        assert!(!done.status.success(), "{out}");
    }
    assert_eq!(fs::read_dir(dir.join("mine")).unwrap().count(), 1);
    assert!(!dir.join("x").exists());
}
