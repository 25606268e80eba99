//! Budwood's own adapter folder and AdapterHub's, whole and damaged.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use budwood_base::head::Pooling;
use budwood_base::tensor::Tensor;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, adapterhub};

/// What a Git without its extension leaves in a file's place.
const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn example() -> AdapterFolder {
    common::example(&BaseModel::open(&golden().join("base/bert")).unwrap(), Pooling::Cls)
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/adapter");
    let mut folder = example();
    folder.save(&path).unwrap();
    assert_eq!(AdapterFolder::load(&path).unwrap(), folder);
    // The same content gives the same bytes.
    let first = fs::read(path.join("adapter.safetensors")).unwrap();
    folder.save(&path).unwrap();
    assert_eq!(fs::read(path.join("adapter.safetensors")).unwrap(), first);
    assert_eq!(
        fs::read_dir(dir.path().join("deep")).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn faults_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("adapter");
    let fault = || AdapterFolder::load(&path).expect_err("must be refused").to_string();
    assert!(fault().contains("no adapter.json"));
    let mut folder = example();
    folder.save(&path).unwrap();
    let json = fs::read_to_string(path.join("adapter.json")).unwrap();
    let weights = fs::read(path.join("adapter.safetensors")).unwrap();
    let change = |from: &str, to: &str| {
        assert!(json.contains(from), "{from}");
        fs::write(path.join("adapter.json"), json.replacen(from, to, 1)).unwrap();
    };
    change("\"budwood_adapter\": 1", "\"budwood_adapter\": 99");
    assert!(fault().contains("newer"));
    change("\"labels\"", "\"lables\"");
    assert!(fault().contains("labels"));
    change("{", "[");
    assert!(fault().contains("not JSON"));
    for (other, word) in [(LFS, "git lfs pull"), ("<!DOCTYPE html>", "HTML")] {
        fs::write(path.join("adapter.json"), other).unwrap();
        assert!(fault().contains(word) && fault().contains("adapter.json"), "{}", fault());
        fs::write(path.join("adapter.json"), &json).unwrap();
        fs::write(path.join("adapter.safetensors"), other).unwrap();
        assert!(fault().contains(word) && fault().contains("adapter.safetensors"), "{}", fault());
        fs::write(path.join("adapter.safetensors"), &weights).unwrap();
    }
    let mut other = weights.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(path.join("adapter.safetensors"), &other).unwrap();
    assert!(fault().contains("SHA-256"));
    fs::write(path.join("adapter.safetensors"), &weights[..30]).unwrap();
    assert!(fault().contains("not a whole"));
    fs::remove_file(path.join("adapter.safetensors")).unwrap();
    assert!(fault().contains("adapter.safetensors"));

    folder.tensors.insert("x".into(), Tensor::new([1], vec![f32::NAN]));
    folder.meta.parameters_trained += 1;
    let message = folder.save(&dir.path().join("bad")).err().unwrap().to_string();
    assert!(message.contains("'x'") && message.contains("NaN"), "{message}");
    assert!(!dir.path().join("bad").exists(), "nothing is half-written");
}

#[test]
fn an_adapter_replaces_an_adapter_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("adapter");
    let mut folder = example();
    fs::create_dir(&path).unwrap();
    // Names of ours alone make no adapter of ours.
    fs::write(path.join("adapter.json"), "{}").unwrap();
    fs::write(path.join("train.csv"), "precious").unwrap();
    let message = folder.save(&path).unwrap_err().to_string();
    assert!(message.contains("adapter.json, train.csv"), "{message}");
    assert_eq!(fs::read_to_string(path.join("adapter.json")).unwrap(), "{}");
    fs::remove_file(path.join("adapter.json")).unwrap();
    fs::remove_file(path.join("train.csv")).unwrap();
    folder.save(&path).unwrap();
    fs::write(path.join("notes.txt"), "precious").unwrap();
    folder.meta.seed += 1;
    folder.save(&path).unwrap();
    assert_eq!(AdapterFolder::load(&path).unwrap().meta.seed, folder.meta.seed);
    assert_eq!(fs::read_to_string(path.join("notes.txt")).unwrap(), "precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something is left behind");
}

#[test]
fn another_base_is_refused_with_both_hashes() {
    let folder = example();
    let bert = BaseModel::open(&golden().join("base/bert")).unwrap();
    folder.meta.check_base(&bert).unwrap();
    let other = BaseModel::open(&golden().join("base/roberta")).unwrap();
    let message = folder.meta.check_base(&other).err().unwrap().to_string();
    let (ours, theirs) = (bert.id("").weights_sha256, other.id("").weights_sha256);
    assert!(message.contains(&ours) && message.contains(&theirs), "{message}");
    let mut deeper = folder.meta.clone();
    deeper.encoder.layers = 4;
    assert!(
        deeper
            .check_base(&bert)
            .err()
            .unwrap()
            .to_string()
            .contains("layers is 4 in the adapter and 2 here")
    );
    let mut tokenizer = folder.meta.clone();
    tokenizer.base.tokenizer_sha256 = Some("abc".into());
    assert!(tokenizer.check_base(&bert).err().unwrap().to_string().contains("tokenizer"));
}

#[test]
fn adapterhub_bottlenecks_are_read_with_their_labels() {
    for family in ["bert", "roberta", "distilbert"] {
        for case in ["double_seq_bn", "seq_bn", "par_bn", "scaled_par_bn", "adapter_plus"] {
            let folder = adapterhub::read(
                &golden().join("adapters").join(family).join(case).join("adapter"),
            );
            let folder = folder.unwrap();
            assert_eq!(folder.labels, ["no", "maybe", "yes"], "{family} {case}");
            assert_eq!(folder.head.unwrap().outputs, 3);
            assert!(folder.names.iter().all(|(ours, _)| folder.tensors.contains_key(ours)));
        }
    }
}

#[test]
fn what_adapterhub_has_and_we_have_not_is_refused_in_words() {
    let source = golden().join("adapters/bert/double_seq_bn/adapter");
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join("adapter_config.json");
    let json = fs::read_to_string(&path).unwrap();
    for (from, to, word) in [
        ("\"ln_before\": false", "\"ln_before\": true", "ln_before"),
        ("\"inv_adapter\": null", "\"inv_adapter\": \"nice\"", "inv_adapter"),
        ("\"mh_adapter\": true", "\"architecture\": \"reft\"", "reft"),
        ("\"model_type\": \"bert\"", "\"model_type\": \"gpt9\"", "gpt9"),
    ] {
        assert!(json.contains(from));
        fs::write(&path, json.replace(from, to)).unwrap();
        let message = adapterhub::read(dir.path()).expect_err(word).to_string();
        assert!(message.contains(word), "{message}");
    }
}
