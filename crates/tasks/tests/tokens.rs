//! Token ids with what stands beside a tokenizer, against those of `transformers`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use budwood_base::tokenizer::Frame;
use budwood_tasks::{Input, Tokenizer};
use serde_json::{Value, json};

/// What transformers' tokenizers gave; see `tests/tokens/make_settings.py`.
fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/tokens/settings.json")).unwrap()
}

fn write(case: &Value, dir: &Path) {
    for (name, text) in case["files"].as_object().unwrap() {
        fs::write(dir.join(name), text.as_str().unwrap()).unwrap();
    }
}

fn frame(case: &Value) -> Frame {
    if case["family"] == "bert" { Frame::BERT } else { Frame::ROBERTA }
}

#[test]
fn ids_and_types_are_those_of_the_reference_library() {
    let cases = cases();
    assert_eq!(cases.len(), 18);
    for case in &cases {
        let dir = tempfile::tempdir().unwrap();
        write(case, dir.path());
        let tokenizer = Tokenizer::open(dir.path(), frame(case)).unwrap();
        // What is written as one file means the same.
        let written = tempfile::tempdir().unwrap();
        fs::write(written.path().join("tokenizer.json"), tokenizer.to_json(Some(100)).unwrap())
            .unwrap();
        let written = Tokenizer::open(written.path(), frame(case)).unwrap();
        for given in case["given"].as_array().unwrap() {
            let text = |i: usize| given["texts"][i].as_str().map(str::to_string);
            let input = match (text(0).unwrap(), text(1)) {
                (a, None) => Input::Text(a),
                (a, Some(b)) => Input::Pair(a, b),
            };
            for (tokenizer, how) in [(&tokenizer, "read"), (&written, "written")] {
                let encoded = tokenizer.encode(&input, 100).unwrap();
                let what = format!("{}, {how}: {}", case["name"], given["texts"]);
                assert_eq!(json!(encoded.ids), given["ids"], "{what}");
                assert_eq!(json!(encoded.types), given["types"], "{what}");
            }
        }
    }
}

/// A table of one type has no row for another.
#[test]
fn a_model_of_one_type_has_it_for_both_texts() {
    let case = &cases()[0];
    let dir = tempfile::tempdir().unwrap();
    write(case, dir.path());
    for (types, second) in [(1, 0), (2, 1)] {
        let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap().with_types(types);
        let pair = Input::Pair("the".into(), "cat".into());
        assert_eq!(tokenizer.encode(&pair, 9).unwrap().types, [0, 0, 0, second, second]);
    }
}

/// Of what the library would do with these, nothing exists here.
#[test]
fn other_special_tokens_around_texts_are_refused() {
    let case = &cases()[0];
    let refused = |name: &str, change: &dyn Fn(&mut Value)| {
        let dir = tempfile::tempdir().unwrap();
        write(case, dir.path());
        let path = dir.path().join(name);
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut file);
        fs::write(&path, file.to_string()).unwrap();
        if name == "tokenizer_config.json" {
            fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
        }
        let pair = Input::Pair("the".into(), "cat".into());
        let opened = Tokenizer::open(dir.path(), Frame::BERT).inspect(|tokenizer| {
            let one = tokenizer.encode(&Input::Text("the".into()), 9).unwrap();
            assert_eq!(one.ids, [2, 5, 3]);
        });
        let encoded = opened.and_then(|tokenizer| tokenizer.encode(&pair, 9));
        encoded.unwrap_err().to_string()
    };
    let none = refused("tokenizer.json", &|file| {
        for texts in ["single", "pair"] {
            let items = file["post_processor"][texts].as_array_mut().unwrap();
            items.retain(|item| item.get("Sequence").is_some());
        }
    });
    assert!(none.contains("as 'A' and 'A B' with types [0, 1]"), "{none}");
    let turned = refused("tokenizer.json", &|file| {
        let pair = file["post_processor"]["pair"].as_array_mut().unwrap();
        pair.swap(1, 3);
    });
    assert!(turned.contains("'[CLS] B [SEP] A [SEP]'"), "{turned}");
    let named = refused("tokenizer_config.json", &|file| file["sep_token"] = json!("x"));
    assert!(named.contains("'sep_token' is \"x\"") && named.contains("transformers"), "{named}");
}
