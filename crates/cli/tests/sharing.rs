//! Adapters on their way out: graphs of ONNX, and what is sent to the hub.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use budwood_base::head::HeadKind;
use budwood_formats::native::AdapterFolder;
use serde_json::{Value, json};

fn golden(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    root.join(path).to_string_lossy().into_owned()
}

/// Runs the program without the hub, as nothing here may leave the machine.
fn budwood(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_budwood"))
        .args(words)
        .current_dir(folder)
        .env("HF_HOME", folder.join("hub"))
        .env_remove("HF_TOKEN")
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn ok(folder: &Path, words: &[&str]) -> (String, String) {
    let out = budwood(folder, words, &[]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{words:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn refused(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> String {
    let out = budwood(folder, words, variables);
    assert!(!out.status.success(), "{words:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A folder with an adapter `ours` of BERT, and its base with a vocabulary.
fn world() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    fs::create_dir(&base).unwrap();
    for name in ["config.json", "model.safetensors"] {
        let from = Path::new(&golden("peft/bert/base")).join(name);
        fs::copy(from, base.join(name)).unwrap();
    }
    fs::write(base.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\ngood\n").unwrap();
    let base = base.to_string_lossy().into_owned();
    let lora = golden("peft/bert/lora/adapter");
    ok(dir.path(), &["import", &lora, "--base", &base, "--out", "ours"]);
    (dir, base)
}

#[test]
fn a_graph_lies_beside_its_tokenizer_and_the_names_of_its_classes() {
    let (dir, base) = world();
    let dir = dir.path();
    let words = ["export", "ours", "out", "--to", "onnx", "--precision", "f32,int8,f32", "--json"];
    let (out, _) = ok(dir, &words);
    let out: Value = serde_json::from_str(&out).unwrap();
    for name in out["files"].as_array().unwrap() {
        assert!(dir.join("out").join(name.as_str().unwrap()).is_file(), "{name}");
    }
    let size = |name: &str| fs::metadata(dir.join("out/onnx").join(name)).unwrap().len();
    assert!(size("model_quantized.onnx") < size("model.onnx"));
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.join("out").join(name)).unwrap()).unwrap()
    };
    let config = read("config.json");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert!(config["id2label"]["0"].is_string());
    assert_eq!(config["budwood"]["max_length"], read("tokenizer_config.json")["model_max_length"]);
    let tokenizer = read("tokenizer.json");
    assert_eq!(tokenizer["truncation"]["max_length"], config["budwood"]["max_length"]);
    assert_eq!(tokenizer["model"]["vocab"]["film"], 4);
    let single = tokenizer["post_processor"]["single"].to_string();
    assert!(single.contains("[CLS]") && single.contains("[SEP]"), "{single}");
    // Written again only when that is said, and what others put there stays.
    fs::write(dir.join("out/onnx/mine.txt"), "mine").unwrap();
    let words = ["export", "ours", "out", "--to", "onnx"];
    assert!(refused(dir, &words, &[]).contains("--overwrite"));
    ok(dir, &[&words[..], &["--overwrite"]].concat());
    assert!(dir.join("out/onnx.kept/mine.txt").exists());
    assert!(!dir.join("out/onnx/model_quantized.onnx").exists());
    for (words, said) in [
        (vec!["export", "ours", "x", "--to", "peft", "--precision", "int8"], "--precision is for"),
        (vec!["export", "ours", "x", "--to", "onnx", "--norms"], "--norms is for"),
        (
            vec!["export", "ours", "x", "--to", "onnx", "--base", &golden("base/roberta")],
            "another base",
        ),
        (vec!["export", "ours", &format!("{base}/x"), "--to", "onnx"], "inside"),
    ] {
        let message = refused(dir, &words, &[]);
        assert!(message.contains(said), "{words:?}: {message}");
        assert!(!dir.join("x").exists() && !Path::new(&base).join("x").exists());
    }
}

/// Who reads `tokenizer.json` alone cuts texts as the adapter does, whatever the base's own says.
#[test]
fn a_tokenizer_beside_a_graph_cuts_as_the_adapter_does() {
    let (dir, base) = world();
    let dir = dir.path();
    ok(dir, &["export", "ours", "first", "--to", "onnx"]);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
    };
    let mut tokenizer = read("first/tokenizer.json");
    tokenizer["truncation"]["max_length"] = json!(3);
    tokenizer["padding"] = json!({
        "strategy": { "Fixed": 3 }, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "[PAD]",
    });
    fs::write(Path::new(&base).join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let names = json!({ "model_input_names": ["input_ids"] });
    fs::write(Path::new(&base).join("tokenizer_config.json"), names.to_string()).unwrap();
    let lora = golden("peft/bert/lora/adapter");
    ok(dir, &["import", &lora, "--base", &base, "--out", "again", "--max-length", "9"]);
    ok(dir, &["export", "again", "second", "--to", "onnx"]);
    let written = read("second/tokenizer.json");
    assert_eq!(written["truncation"]["max_length"], 9);
    assert_eq!(written["padding"], Value::Null);
    assert_eq!(written["post_processor"], tokenizer["post_processor"]);
    let names = &read("second/tokenizer_config.json")["model_input_names"];
    assert_eq!(*names, json!(["input_ids", "attention_mask", "token_type_ids"]));
}

/// A folder of another library says neither which columns hold question and text nor how long texts
/// are read: both are as in training here.
#[test]
fn an_imported_head_for_questions_reads_questions() {
    let (dir, base) = world();
    let dir = dir.path();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(&golden("base/bert")).join(name), Path::new(&base).join(name)).unwrap();
    }
    let asked = golden("adapters/bert/question_answering/adapter");
    ok(dir, &["import", &asked, "--base", &base, "--out", "asked"]);
    fs::write(dir.join("q.jsonl"), r#"{"question": "good", "context": "good film film"}"#).unwrap();
    let (said, _) = ok(dir, &["predict", "--adapter", "asked", "--input", "q.jsonl"]);
    assert!(said.contains("\"answer\""), "{said}");
    ok(dir, &["export", "asked", "out", "--to", "onnx"]);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.join("out").join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("config.json")["budwood"]["doc_stride"], 128);
    assert_eq!(read("tokenizer.json")["truncation"], Value::Null);
}

#[test]
fn thresholds_that_a_form_does_not_keep_are_told() {
    let (dir, _) = world();
    let dir = dir.path();
    let mut folder = AdapterFolder::load(&dir.join("ours")).unwrap();
    let labels = folder.meta.labels.clone();
    folder.meta.head.kind = HeadKind::MultiLabel;
    folder.meta.task.kind = "multilabel".into();
    folder.meta.task.thresholds = Some(vec![0.25; labels.len()]);
    folder.save(&dir.join("several")).unwrap();
    let export = |to: &str| ok(dir, &["export", "several", to, "--to", to]).1;
    for to in ["adapterhub", "peft", "transformers"] {
        assert!(export(to).contains(&format!("{} 0.25", labels[0])), "{to}");
    }
    assert!(!export("onnx").contains("0.25"));
}

#[test]
fn many_graphs_refer_to_one_base() {
    let (dir, base) = world();
    let dir = dir.path();
    let lora = golden("peft/bert/lora/adapter");
    ok(dir, &["import", &lora, "--base", &base, "--out", "scales"]);
    let words = ["export", "ours", "all", "--to", "onnx", "--shared-base", "--also", "scales"];
    let (out, _) = ok(dir, &[&words[..], &["--json"]].concat());
    let out: Value = serde_json::from_str(&out).unwrap();
    for name in out["files"].as_array().unwrap() {
        assert!(dir.join("all").join(name.as_str().unwrap()).is_file(), "{name}");
    }
    let size = |name: &str| fs::metadata(dir.join("all").join(name)).unwrap().len();
    let weights = size("onnx/base.onnx_data");
    assert!(size("onnx/ours.onnx") + size("onnx/scales.onnx") < weights);
    assert!(size("ours/config.json") > 0 && size("scales/tokenizer.json") > 0);
    fs::create_dir(dir.join("other")).unwrap();
    ok(dir, &["import", &lora, "--base", &base, "--out", "other/ours"]);
    ok(dir, &["import", &lora, "--base", &base, "--out", "onnx"]);
    for (words, said) in [
        (vec!["--to", "onnx", "--shared-base", "--also", "other/ours"], "is there twice"),
        (vec!["--to", "onnx", "--shared-base", "--also", "onnx"], "folder of graphs"),
        (vec!["--to", "onnx", "--shared-base", "--also", "none"], "none"),
        (vec!["--to", "onnx", "--also", "scales"], "--shared-base"),
        (vec!["--to", "peft", "--shared-base"], "--shared-base is for onnx"),
        (vec!["--to", "onnx", "--shared-base", "--precision", "int8"], "in f32"),
    ] {
        let message = refused(dir, &[&["export", "ours", "x"][..], &words].concat(), &[]);
        assert!(message.contains(said), "{words:?}: {message}");
        assert!(!dir.join("x").exists());
    }
}

#[test]
fn a_card_is_filled_in_from_the_record() {
    let (dir, _) = world();
    let dir = dir.path();
    let words = ["push", "ours", "me/reviews", "--dry-run", "--license", "apache-2.0", "--json"];
    let words = [&words[..], &["--base-name", "google-bert/bert-base-uncased"]].concat();
    let (out, said) = ok(dir, &words);
    let out: Value = serde_json::from_str(&out).unwrap();
    let files: Vec<&str> =
        out["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert_eq!(files[0], "README.md");
    assert!(files.contains(&"adapter.json") && files.contains(&"adapter.safetensors"));
    let card = out["card"].as_str().unwrap();
    for line in [
        "license: \"apache-2.0\"",
        "base_model: \"google-bert/bert-base-uncased\"",
        "base_model_relation: \"adapter\"",
        "library_name: \"budwood\"",
        "pipeline_tag: \"text-classification\"",
        "- \"lora\"",
        "budwood predict --adapter me/reviews",
    ] {
        assert!(card.contains(line), "{line} is not in:\n{card}");
    }
    assert!(said.contains("names places of this machine"), "{said}");
    // The card itself says no path.
    assert!(!card.contains(&dir.to_string_lossy()[..]), "{card}");
    let weights = fs::read(dir.join("ours/adapter.safetensors")).unwrap();
    let mut sent = out["files"].as_array().unwrap().iter();
    let sent = sent.find(|f| f["path"] == "adapter.safetensors").unwrap();
    assert_eq!(sent["sha256"], budwood_base::digest::of_bytes(&weights));
    for form in ["peft", "transformers", "onnx"] {
        let words = ["push", "ours", "me/reviews", "--dry-run", "--license", "mit", "--form", form];
        let (out, _) = ok(dir, &words);
        assert!(out.contains("would send to me/reviews"), "{form}: {out}");
    }
    // A card of one's own goes before ours.
    fs::write(dir.join("ours/README.md"), "# My words\n").unwrap();
    let (out, _) = ok(dir, &words);
    let out: Value = serde_json::from_str(&out).unwrap();
    let card = out["card"].as_str().unwrap();
    assert!(card.starts_with("---\nlicense: \"apache-2.0\"") && card.ends_with("# My words\n"));
    fs::write(dir.join("ours/README.md"), "---\nlicense: mit\n---\n# My words\n").unwrap();
    let (out, _) = ok(dir, &["push", "ours", "me/reviews", "--dry-run"]);
    assert!(out.contains("license: mit"), "{out}");
    // Metadata of one's own name the licence; a line across the page is no metadata.
    for (card, said) in [
        ("---\ntags: [x]\n---\n# My words\n", "name no licence"),
        ("---\n# My words\nlicense: mit\n", "--license"),
    ] {
        fs::write(dir.join("ours/README.md"), card).unwrap();
        let why = refused(dir, &["push", "ours", "me/reviews", "--dry-run"], &[]);
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn scores_of_a_card_are_those_of_the_adapter() {
    let (dir, base) = world();
    let dir = dir.path();
    let rows: String =
        (0..40).map(|i| format!("film {i},{}\n", ["no", "yes: \u{e9}"][i % 2])).collect();
    fs::write(dir.join("train.csv"), format!("text,label\n{rows}")).unwrap();
    let words = ["train", "--base", &base, "--data", "train.csv", "--method", "linear"];
    let more = ["--out", "trained", "--recipe", "paper", "--epochs", "1", "--dev-share", "0.25"];
    ok(dir, &[&words[..], &more].concat());
    let described = fs::read(dir.join("trained/adapter.json")).unwrap();
    let described: Value = serde_json::from_slice(&described).unwrap();
    let (out, _) = ok(dir, &["push", "trained", "me/x", "--dry-run", "--license", "mit", "--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    let card = out["card"].as_str().unwrap();
    assert!(card.contains("model-index:\n- name: \"x\"\n  results:\n"), "{card}");
    let metrics = described["metrics"].as_array().unwrap();
    assert!(!metrics.is_empty());
    for metric in metrics {
        let line = format!("    - type: {}\n      value: {}\n", metric["name"], metric["value"]);
        let whole = line.replace(".0\n", "\n");
        assert!(card.contains(&line) || card.contains(&whole), "{line} is not in:\n{card}");
    }
    let digest = described["data"].as_array().unwrap().iter().find(|d| d["split"] == "dev");
    assert!(card.contains(digest.unwrap()["sha256"].as_str().unwrap()));
    let files = out["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["path"] == ".eval_results/budwood.yaml"));
    assert!(card.contains("`yes: \u{e9}`"), "{card}");
}

#[test]
fn nothing_is_sent_without_what_it_needs() {
    let (dir, _) = world();
    let dir = dir.path();
    let push = ["push", "ours", "me/reviews", "--license", "mit"];
    for (words, variables, said) in [
        (&["push", "ours", "me/reviews"][..], &[][..], "--license"),
        (&["push", "ours", "reviews", "--license", "mit"], &[], "OWNER/NAME"),
        (&["push", "ours", "me/reviews@v2", "--license", "mit"], &[], "OWNER/NAME"),
        (&["push", "ours", "../x/y", "--license", "mit"], &[], "OWNER/NAME"),
        (&["push", "ours", "me/x", "--license", "My Own"], &[], "none of the hub's names"),
        (&["push", "none", "me/x", "--license", "mit"], &[], "none"),
        (&["push", "ours", "me/x", "--license", "mit", "--base-name", "/etc"], &[], "--base-name"),
        (&push, &[("HF_HUB_OFFLINE", "1"), ("HF_TOKEN", "hf_x")], "HF_HUB_OFFLINE"),
        (&push, &[], "HF_TOKEN"),
    ] {
        let message = refused(dir, words, variables);
        assert!(message.contains(said), "{words:?}: {message}");
    }
}
