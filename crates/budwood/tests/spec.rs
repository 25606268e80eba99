//! Specifications: keys of older records stay, names are strict, JSON comes back.
#![allow(clippy::unwrap_used)]

use budwood::spec::BasePrecision;
use budwood::{DataSpec, RunSpec};
use budwood_train::ClassWeights;
use serde_json::{Map, Value, json};

/// Settings and keys that version 0.1 wrote, from `tests/run_keys.json`.
fn recorded() -> Vec<(String, String, Map<String, Value>)> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("run_keys.json")).unwrap();
    let text = |case: &Value, name: &str| case[name].as_str().unwrap().to_string();
    let case =
        |c: &Value| (text(c, "flags"), text(c, "key"), c["settings"].as_object().unwrap().clone());
    cases.iter().map(case).collect()
}

#[test]
fn keys_of_older_records_are_kept() {
    for (flags, key, settings) in recorded() {
        let spec = RunSpec::from_settings(&settings).unwrap();
        assert_eq!(spec.key(), key, "{flags}");
        let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&spec.settings()), names(&settings), "{flags}");
        assert_eq!(RunSpec::from_settings(&spec.settings()).unwrap(), spec, "{flags}");
    }
}

#[test]
fn a_specification_comes_back_from_json() {
    for (flags, _, settings) in recorded() {
        let spec = RunSpec::from_settings(&settings).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<RunSpec>(&text).unwrap(), spec, "{flags}");
        let data = DataSpec::from_settings(&settings).unwrap();
        assert_eq!(data, spec.data, "{flags}");
    }
}

#[test]
fn unknown_settings_are_refused_by_name() {
    let fault = |json: Value| serde_json::from_value::<RunSpec>(json).unwrap_err().to_string();
    assert!(fault(json!({ "data": "a.csv", "epoch": 3 })).contains("no setting 'epoch'"));
    // Names of parts are no settings, and neither are the names of Rust's fields.
    assert!(fault(json!({ "columns": {} })).contains("'columns'"));
    assert!(fault(json!({ "batch_size": 3 })).contains("'batch_size'"));
    assert!(fault(json!({ "epochs": "many" })).contains("many"));
    let data = serde_json::from_value::<DataSpec>(json!({ "data": "a.csv", "lr": 1.0 }));
    assert!(data.unwrap_err().to_string().contains("no setting 'lr'"));
}

#[test]
fn what_is_not_said_is_the_default() {
    let spec: RunSpec = serde_json::from_value(json!({ "data": "a.csv", "lr": 2e-4 })).unwrap();
    let data = DataSpec { data: "a.csv".into(), ..DataSpec::default() };
    assert_eq!(spec, RunSpec { data, lr: Some(2e-4), ..RunSpec::default() });
}

#[test]
fn every_setting_changes_the_key() {
    let Value::Object(usual) = serde_json::to_value(RunSpec::default()).unwrap() else { panic!() };
    let key = RunSpec::default().key();
    let mut seen = vec![key];
    for (name, value) in &usual {
        let others = [json!(true), json!(7), json!(0.25), json!("x"), json!(["x"])];
        let named = ["int8", "f32", "cls", "latin-1", "cosine", "adamw", "off", "paper", "drop"]
            .map(|n| json!(n));
        let changed = others.into_iter().chain(named).filter(|other| other != value);
        let mut keys = changed.filter_map(|other| {
            let mut settings = usual.clone();
            settings.insert(name.clone(), other);
            let spec: RunSpec = serde_json::from_value(Value::Object(settings)).ok()?;
            Some(spec.key()).filter(|key| !seen.contains(key))
        });
        let key = keys.next().unwrap_or_else(|| panic!("'{name}' is in no key"));
        drop(keys);
        seen.push(key);
    }
}

/// Specifications that no flag parser has seen are held to the same bounds.
#[test]
fn numbers_have_bounds_however_they_are_given() {
    for (name, value) in [
        ("dev-share", json!(1.5)),
        ("test-share", json!(-0.1)),
        ("dropout", json!(1.0)),
        ("drop-path", json!(-0.5)),
        ("label-smoothing", json!(1.0)),
        ("train-rows", json!(0)),
        ("doc-stride", json!(0)),
        ("image-size", json!(5000)),
    ] {
        let spec: RunSpec = serde_json::from_value(json!({ "data": "a", name: value })).unwrap();
        let fault = spec.check().unwrap_err().to_string();
        assert!(fault.starts_with(name) && fault.contains(" not a "), "{fault}");
    }
    let both = json!({ "data": "a", "batch-size": 2, "batch-tokens": 64 });
    assert!(serde_json::from_value::<RunSpec>(both).unwrap().check().is_err());
    let both = json!({ "data": "a", "balanced": true, "class-weights": ["a=2"] });
    assert!(serde_json::from_value::<RunSpec>(both).unwrap().check().is_err());
    RunSpec::default().check().unwrap();
}

#[test]
fn the_papers_defaults_are_in_the_key_and_those_of_the_recipe_are_not() {
    let paper = |more: Value| {
        let mut json = json!({ "data": "a.csv", "recipe": "paper" });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<RunSpec>(json).unwrap()
    };
    let said = json!({
        "epochs": 3, "batch-size": 32, "lr": 0.001, "optimizer": "bert", "dev-share": 0.1,
        "encoding": "utf-8",
    });
    assert_eq!(paper(json!({})).key(), paper(said).key());
    assert!(!paper(json!({})).settings().contains_key("recipe"));
    let auto = serde_json::from_value::<RunSpec>(json!({ "data": "a.csv" })).unwrap();
    assert_eq!(auto.settings()["recipe"], "auto");
    assert_ne!(auto.key(), paper(json!({})).key());
}

#[test]
fn weights_of_classes_are_by_name_and_need_not_be_given() {
    let labels = ["ham".to_string(), "spam".to_string()];
    let weights = |json: Value| {
        let spec: RunSpec = serde_json::from_value(json).unwrap();
        spec.weights_of(&labels).map_err(|e| e.to_string())
    };
    assert_eq!(weights(json!({})), Ok(ClassWeights::Equal));
    assert_eq!(weights(json!({ "balanced": true })), Ok(ClassWeights::Balanced));
    let given = weights(json!({ "class-weights": ["spam=2.5"] }));
    assert_eq!(given, Ok(ClassWeights::Given(vec![1.0, 2.5])));
    let unknown = weights(json!({ "class-weights": ["egg=2"] })).unwrap_err();
    assert!(unknown.contains("'egg'") && unknown.contains("ham, spam"), "{unknown}");
}

#[test]
fn forms_of_weights_are_named_or_left_to_the_machine() {
    let read =
        |text: &str| serde_json::from_str::<RunSpec>(text).map(|s| s.precision.base_precision);
    for text in ["{}", r#"{"base-precision": null}"#, r#"{"base-precision": "auto"}"#] {
        assert_eq!(read(text).unwrap(), BasePrecision::Auto, "{text}");
    }
    assert_eq!(read(r#"{"base-precision": "int8"}"#).unwrap(), BasePrecision::Int8);
    let refused = read(r#"{"base-precision": "int4"}"#).unwrap_err().to_string();
    assert!(refused.contains("'int4' is no base-precision: auto, f32 and int8 are"), "{refused}");
    // As in records from before the choice had a name.
    let written = serde_json::to_value(RunSpec::default()).unwrap();
    assert!(written["base-precision"].is_null());
}
