//! What decides an answer beside the weights: edited after training, it is named or makes no
//! difference.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_base::head::Pooling;
use budwood_formats::Weights;
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;
use budwood_formats::{BaseModel, quantized};
use serde_json::{Value, json};

fn golden(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base").join(family)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A BERT with a vocabulary of WordPiece.
fn base(dir: &Path) -> PathBuf {
    let base = dir.join("base");
    copy(&golden("bert"), &base);
    let _ = fs::remove_file(base.join("tokenizer.json"));
    fs::write(base.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad").unwrap();
    base
}

fn example(base: &BaseModel) -> AdapterFolder {
    common::example(base, Pooling::Mean)
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json =
        fs::read_to_string(path).map_or(json!({}), |t| serde_json::from_str(&t).unwrap());
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

/// Sets the value at a pointer, which is there.
fn set(json: &mut Value, pointer: &str, value: Value) {
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
}

/// The folder as an older Budwood wrote it: no digest, no more of the base than two hashes.
fn of_old(path: &Path) {
    let file = Weights::open(&path.join("adapter.safetensors")).unwrap();
    let bytes = to_bytes(path, &file.tensors().unwrap()).unwrap();
    fs::write(path.join("adapter.safetensors"), &bytes).unwrap();
    edit(&path.join("adapter.json"), |json| {
        let base = json["base"].as_object_mut().unwrap();
        base.retain(|field, _| {
            ["name", "family", "weights_sha256", "tokenizer_sha256"].contains(&field.as_str())
        });
        json["weights_sha256"] = digest::of_bytes(&bytes).into();
    });
}

/// Edits of a base's files after training, and what the message must name. All leave the weights as
/// they are.
#[test]
fn an_edited_base_is_refused_and_what_differs_is_named() {
    type Edit = (&'static str, Value, &'static [&'static str]);
    let config: &[Edit] = &[
        ("num_attention_heads", json!(2), &["heads is 4 in the adapter and 2 here"]),
        ("hidden_act", json!("relu"), &["activation is gelu in the adapter and relu here"]),
        ("layer_norm_eps", json!(0.1), &["norm_eps is 1e-12", "0.1 here"]),
        ("num_hidden_layers", json!(1), &["layers is 2 in the adapter and 1 here"]),
    ];
    let tokenizer: &[Edit] = &[
        (
            "do_lower_case",
            json!(false),
            &["tokenizer's do_lower_case is true in the adapter and false here"],
        ),
        ("strip_accents", json!(false), &["strip_accents is none in the adapter and false here"]),
        ("tokenize_chinese_chars", json!(false), &["tokenize_chinese_chars"]),
    ];
    let files = [("config.json", config, true), ("tokenizer_config.json", tokenizer, false)];
    for (file, edits, known_of_old) in files {
        for (field, value, words) in edits {
            let dir = tempfile::tempdir().unwrap();
            let path = base(dir.path());
            let adapter = dir.path().join("adapter");
            example(&BaseModel::open(&path).unwrap()).save(&adapter).unwrap();
            edit(&path.join(file), |json| json[*field] = value.clone());
            let edited = BaseModel::open(&path).unwrap();
            let check = || AdapterFolder::load(&adapter).unwrap().meta.check_base(&edited);
            let message = check().expect_err(field).to_string();
            assert!(words.iter().all(|w| message.contains(w)), "{field}: {message}");
            of_old(&adapter);
            match known_of_old {
                true => assert_eq!(check().expect_err(field).to_string(), message),
                false => assert!(check().unwrap()[0].contains("tokenizer_config.json"), "{field}"),
            }
        }
    }
}

#[test]
fn edits_that_change_no_answer_change_no_identity() {
    let dir = tempfile::tempdir().unwrap();
    let path = base(dir.path());
    let before = BaseModel::open(&path).unwrap().id("");
    edit(&path.join("config.json"), |json| {
        json["_name_or_path"] = json!("elsewhere");
        json["hidden_dropout_prob"] = json!(0.5);
        json["architectures"] = json!(["BertModel"]);
    });
    edit(&path.join("tokenizer_config.json"), |json| {
        json["do_lower_case"] = json!(true);
        json["model_max_length"] = json!(77);
    });
    assert_eq!(BaseModel::open(&path).unwrap().id(""), before);
    // Beside a tokenizer.json with other rules, BERT's settings do not count.
    fs::write(path.join("tokenizer.json"), "{}").unwrap();
    let before = BaseModel::open(&path).unwrap().id("");
    edit(&path.join("tokenizer_config.json"), |json| json["do_lower_case"] = json!(false));
    assert_eq!(BaseModel::open(&path).unwrap().id(""), before);
}

#[test]
fn settings_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = base(dir.path());
    for (text, word) in
        [("{", "not JSON"), ("[]", "not an object"), (r#"{"do_lower_case": 1}"#, "do_lower_case")]
    {
        fs::write(path.join("tokenizer_config.json"), text).unwrap();
        let message = BaseModel::open(&path).expect_err(word).to_string();
        assert!(message.contains(word) && message.contains("tokenizer_config.json"), "{message}");
    }
}

/// Every edit of a description is seen by its digest; of an older adapter, which has none, whatever
/// does not fit the tensors is.
#[test]
fn an_edited_description_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = BaseModel::open(&base(dir.path())).unwrap();
    let path = dir.path().join("adapter");
    let many: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let edits = [
        // Where it stands, the value, and what an older adapter's refusal says; none where nothing
        // can be known.
        ("/labels", json!(["yes", "no"]), None),
        ("/labels", json!(["no", "no"]), Some("twice")),
        ("/labels", json!(["no"]), Some("1 labels for 2 outputs")),
        ("/labels", json!(["no", "yes", "maybe"]), Some("3 labels for 2 outputs")),
        ("/labels", json!(many), Some("10000 labels")),
        ("/labels", json!(["no", "\u{1b}[2Jyes"]), Some("control character")),
        ("/labels", json!(["no", "y".repeat(1 << 20)]), Some("1048576 bytes")),
        ("/head/pooling", json!("cls"), None),
        ("/head/pooling", json!("cls_mean"), Some("'head.out.weight' of shape [2, 64]")),
        ("/head/dense", json!("tanh"), Some("'head.dense.weight'")),
        ("/head/bias", json!(false), Some("'head.out.bias' absent")),
        ("/head/kind", json!("regression"), Some("cannot have 2 outputs")),
        ("/head/kind", json!("question_answering"), Some("2 labels")),
        ("/head/kind", json!("multi_label"), None),
        ("/head/outputs", json!(1_000_000_000), Some("'head.out.weight'")),
        ("/head/outputs", json!(1u64 << 63), Some("'head.out.weight'")),
        ("/head/outputs", json!(0), Some("0 outputs")),
        ("/head/dropout", json!(1e300), Some("probability")),
        ("/head/dropout", json!(-0.5), Some("probability")),
        ("/encoder/hidden", json!(1u64 << 63), Some("'head.out.weight'")),
        ("/encoder/heads", json!(0), None),
        ("/task/max_length", json!(0), Some("max_length is 0")),
        ("/task/max_length", json!(1u64 << 40), None),
        ("/precision", json!("fp4"), Some("precision")),
        ("/parameters_trained", json!(67), Some("66 elements")),
        ("/base/weights_sha256", json!("x"), Some("SHA-256")),
        ("/base/tokenizer_sha256", json!("\u{1b}]0;x\u{7}"), Some("SHA-256")),
        ("/seed", json!(2), None),
    ];
    for (pointer, value, old) in edits {
        example(&model).save(&path).unwrap();
        let json = path.join("adapter.json");
        edit(&json, |json| set(json, pointer, value.clone()));
        match (pointer, AdapterFolder::load(&path).map_err(|e| e.to_string())) {
            // No answer depends on it.
            ("/seed", Ok(folder)) => assert!(folder.meta.check_base(&model).unwrap().is_empty()),
            ("/parameters_trained", Err(e)) => assert!(e.contains("elements"), "{e}"),
            (_, Err(e)) => assert!(e.contains("digest"), "{pointer}: {e}"),
            (_, Ok(_)) => panic!("{pointer} is taken"),
        }
        example(&model).save(&path).unwrap();
        of_old(&path);
        edit(&json, |json| set(json, pointer, value));
        let loaded = AdapterFolder::load(&path).map_err(|e| e.to_string());
        match (old, loaded) {
            (Some(word), Err(e)) => {
                assert!(e.contains(word) && !e.contains('\u{1b}'), "{pointer}: {e}")
            }
            (None, Ok(folder)) => {
                // What no tensor shows may be seen beside the base, and is said to be unknown
                // otherwise.
                match folder.meta.check_base(&model) {
                    Ok(notes) => assert!(notes[0].contains("older Budwood"), "{notes:?}"),
                    Err(e) => {
                        assert!(["/encoder/heads", "/task/max_length"].contains(&pointer), "{e}")
                    }
                }
            }
            (expected, found) => panic!("{pointer}: {expected:?} was expected, not {found:?}"),
        }
    }
}

#[test]
fn places_may_be_edited_and_the_digest_cannot_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let model = BaseModel::open(&base(dir.path())).unwrap();
    let path = dir.path().join("adapter");
    example(&model).save(&path).unwrap();
    edit(&path.join("adapter.json"), |json| json["base"]["name"] = json!("moved"));
    assert!(AdapterFolder::load(&path).unwrap().meta.check_base(&model).unwrap().is_empty());
    // Weights written again without metadata, and their new hash in the description.
    let file = Weights::open(&path.join("adapter.safetensors")).unwrap();
    let bytes = to_bytes(&path, &file.tensors().unwrap()).unwrap();
    fs::write(path.join("adapter.safetensors"), &bytes).unwrap();
    edit(&path.join("adapter.json"), |json| {
        json["weights_sha256"] = digest::of_bytes(&bytes).into()
    });
    let message = AdapterFolder::load(&path).expect_err("no digest").to_string();
    assert!(message.contains("lacks the description's digest"), "{message}");
}

#[test]
fn sizes_beyond_the_file_are_refused_at_once() {
    for family in ["bert", "roberta", "distilbert", "vit", "deit", "dinov2"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden(family), dir.path());
        let config = fs::read_to_string(dir.path().join("config.json")).unwrap();
        let fields: Value = serde_json::from_str(&config).unwrap();
        for (field, value) in fields.as_object().unwrap() {
            if !value.is_number() {
                continue;
            }
            for hostile in
                [json!(1_000_000_000), json!(1u64 << 63), json!(-1), json!(1e300), json!(0)]
            {
                edit(&dir.path().join("config.json"), |json| json[field] = hostile.clone());
                let begin = std::time::Instant::now();
                // Some fields mean nothing here; none may cost time, and what is opened can be
                // described.
                if let Ok(model) = BaseModel::open(dir.path()) {
                    let _ = (model.spec().parameters(), model.id(""));
                    let sizes =
                        ["_layers", "hidden_size", "heads", "inter", "vocab", "max_pos", "eps"];
                    let none = field.contains("eps") && hostile == json!(0);
                    assert!(
                        none || sizes.iter().all(|s| !field.contains(s)),
                        "{family} {field} {hostile}"
                    );
                }
                assert!(begin.elapsed().as_secs() < 2, "{family} {field} {hostile}");
            }
            fs::write(dir.path().join("config.json"), &config).unwrap();
        }
    }
}

/// Signed bytes and a scale of 1 for each row.
fn in_bytes(weight: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    (weight.iter().map(|x| (x * 100.0) as i8).collect(), vec![1.0; weight.len() / columns])
}

#[test]
fn a_quantised_model_has_bytes_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let original = BaseModel::open(&base(dir.path())).unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    quantized::write(&original, original.id("base"), &a, in_bytes).unwrap();
    let other = |w: &[f32], columns: usize| {
        let (bytes, scales) = in_bytes(w, columns);
        (bytes.into_iter().map(|b| b / 2).collect(), scales)
    };
    quantized::write(&original, original.id("base"), &b, other).unwrap();
    let (a_model, b_model) = (BaseModel::open(&a).unwrap(), BaseModel::open(&b).unwrap());
    assert_eq!(a_model.id("").weights_sha256, original.id("").weights_sha256);
    // Trained on the original: taken, and said that nothing was compared.
    let notes = example(&original).meta.check_base(&a_model).unwrap();
    assert!(notes[0].contains("not checked"), "{notes:?}");
    // Trained on the bytes: fits these and the original, no other bytes.
    let mut trained = example(&original).meta;
    trained.base = a_model.id("a");
    assert!(trained.check_base(&a_model).unwrap().is_empty());
    trained.check_base(&original).unwrap();
    let message = trained.check_base(&b_model).expect_err("other bytes").to_string();
    assert!(message.contains("int8"), "{message}");
}

#[test]
fn what_a_quantised_model_says_of_its_original_must_fit() {
    let dir = tempfile::tempdir().unwrap();
    let original = BaseModel::open(&base(dir.path())).unwrap();
    let path = dir.path().join("int8");
    quantized::write(&original, original.id("base"), &path, in_bytes).unwrap();
    let manifest = fs::read_to_string(path.join("budwood.json")).unwrap();
    edit(&path.join("budwood.json"), |json| {
        json["made_from"]["weights_sha256"] = json!("\u{1b}[31m")
    });
    assert!(BaseModel::open(&path).expect_err("no hash").to_string().contains("SHA-256"));
    fs::write(path.join("budwood.json"), manifest).unwrap();
    edit(&path.join("config.json"), |json| json["num_attention_heads"] = json!(2));
    let message = BaseModel::open(&path).expect_err("other heads").to_string();
    assert!(message.contains("encoder's specification"), "{message}");
}

/// What stands beside a `tokenizer.json` goes before it, so it is part of the base, but only where
/// it says something else.
#[test]
fn settings_that_change_a_tokenizer_are_of_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let base = base(dir.path());
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "post_processor": null, "decoder": null,
        "added_tokens": [{ "id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": { "[PAD]": 0 } },
    });
    fs::write(base.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let hash = |settings: Option<Value>| {
        let path = base.join("tokenizer_config.json");
        let _ = fs::remove_file(&path);
        if let Some(settings) = settings {
            fs::write(&path, settings.to_string()).unwrap();
        }
        BaseModel::open(&base).unwrap().id("").tokenizer_sha256.unwrap()
    };
    let alone = hash(None);
    assert_eq!(alone, digest::of_bytes(tokenizer.to_string().as_bytes()));
    let token = |content: &str| json!({ "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
    for same in [
        json!({ "do_lower_case": true, "strip_accents": null, "tokenize_chinese_chars": true, "add_prefix_space": false }),
        json!({ "added_tokens_decoder": { "2": token("[CLS]") }, "cls_token": "[CLS]", "sep_token": "[SEP]" }),
        json!({ "added_tokens_decoder": { "2": { "content": "[CLS]", "special": true, "lstrip": true } } }),
        json!({ "do_lower_case": false, "tokenizer_class": "PreTrainedTokenizerFast" }),
        json!({ "model_max_length": 20 }),
    ] {
        assert_eq!(hash(Some(same.clone())), alone, "{same}");
    }
    let mut seen = vec![alone];
    for other in [
        json!({ "do_lower_case": false }),
        json!({ "strip_accents": false }),
        json!({ "tokenize_chinese_chars": false }),
        json!({ "add_prefix_space": true }),
        json!({ "added_tokens_decoder": { "7": token("new") } }),
    ] {
        let hash = hash(Some(other.clone()));
        assert!(!seen.contains(&hash), "{other}");
        seen.push(hash);
    }
    fs::write(base.join("added_tokens.json"), r#"{ "older": 7 }"#).unwrap();
    assert!(!seen.contains(&hash(None)));
}
