//! What the board's tests share.
#![allow(clippy::unwrap_used, dead_code)]

mod place;

use std::path::{Path, PathBuf};

use budwood_board::{Board, import};
use serde_json::{Map, Value, json};

#[allow(unused_imports)]
pub(crate) use place::{answer, on_server, place, raw};

/// A new board, with a folder that is removed at the end.
pub(crate) fn board() -> (tempfile::TempDir, Board) {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::open(place(&folder.path().join("board"))).unwrap();
    (folder, board)
}

/// Writes a JSON file.
pub(crate) fn write(folder: &Path, name: &str, value: &Value) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, serde_json::to_string(value).unwrap()).unwrap();
    path
}

pub(crate) fn import(board: &mut Board, path: &Path) -> import::Report {
    import::file(board, path, &import::Options::default(), &mut |_| ()).unwrap()
}

/// A small excerpt with everything odd that the real archive has; the content is made up.
pub(crate) fn tables() -> Value {
    json!([
        {
            "task": "Text Classification", "description": "Putting texts into *classes*.",
            "categories": ["Natural Language Processing"], "synonyms": ["Document classification"], "source_link": null,
            "datasets": [
                { "dataset": "Leaves", "description": "", "dataset_links": [{ "title": "Leaves", "url": "https://example.org/leaves" }],
                  "sota": { "metrics": ["Error", "Params"], "rows": [
                    { "model_name": "Oak", "paper_title": "Oaks for all", "paper_url": "https://arxiv.org/abs/1801.01234v3",
                      "paper_date": null, "code_links": [{ "title": "Official", "url": "https://github.com/o/oak" }], "model_links": [],
                      "metrics": { "Error": "4.91", "Params": "24M" }, "uses_additional_data": false },
                    { "model_name": "Elm", "paper_title": null, "paper_url": "", "metrics": { "error": 5.01, "Note": "one seed" } },
                    { "model_name": "Ash", "paper_title": "Ash", "paper_url": "https://example.org/ash", "paper_date": "2016-06-01",
                      "metrics": { "Error": "6.2*", "Params": "-" }, "uses_additional_data": true, "surprise": { "kept": [1, 2] } },
                    { "model_name": "Ash", "paper_title": "Ash", "paper_url": "https://example.org/ash", "paper_date": "2016-06-01",
                      "metrics": { "Error": "6.2*", "Params": "-" }, "uses_additional_data": true, "surprise": { "kept": [1, 2] } },
                    { "model_name": "Yew", "paper_title": "", "paper_url": "", "paper_date": "soon", "metrics": { "Error": "" } } ] } },
                { "dataset": "Empty", "sota": { "metrics": ["Accuracy"], "rows": [] } },
                { "dataset": "Forest", "subdatasets": [
                    { "subdataset": "Binary", "description": "Two classes.", "sota": { "metrics": ["Accuracy"], "rows": [
                        { "model_name": "Oak", "paper_title": "Oaks for all", "paper_url": "https://arxiv.org/abs/1801.01234",
                          "metrics": { "Accuracy": "0.8428 ± 0.0014" } } ] } } ] }
            ],
            "subtasks": [
                { "task": "Root Classification", "datasets": [
                    { "dataset": "Leaves", "sota": { "metrics": ["Joint"], "rows": [
                        { "model_name": "a", "metrics": { "Joint": 1 } }, { "model_name": "b", "metrics": { "Joint": 2 } },
                        { "model_name": "c", "metrics": { "Joint": 3 } } ] } } ] } ]
        },
        { "task": "Text Classification", "datasets": [ { "dataset": "Leaves", "sota": { "metrics": ["Accuracy"], "rows": [
            { "model_name": "<script>alert(1)</script>", "paper_title": "'; DROP TABLE results; --", "paper_url": "javascript:alert(1)",
              "metrics": { "Accuracy": "\u{feff}91" } } ] } } ] }
    ])
}

/// A tree of the archive in which what is missing is written as empty, so that two trees can be
/// compared.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.iter().map(normal).collect()),
        Value::Object(object) if object.contains_key("task") => filled(
            object,
            json!({ "description": "", "categories": [], "synonyms": [], "source_link": null, "datasets": [], "subtasks": [] }),
        ),
        Value::Object(object)
            if object.contains_key("dataset") || object.contains_key("subdataset") =>
        {
            filled(
                object,
                json!({ "description": "", "dataset_links": [], "dataset_citations": [], "subdatasets": [], "sota": { "metrics": [], "rows": [] } }),
            )
        }
        Value::Object(object) if object.contains_key("model_name") => filled(
            object,
            json!({ "paper_title": "", "paper_url": "", "paper_date": null, "code_links": [], "model_links": [], "metrics": {},
                "uses_additional_data": false }),
        ),
        Value::Object(object) if object.contains_key("metrics") || object.contains_key("rows") => {
            filled(object, json!({ "metrics": [], "rows": [] }))
        }
        Value::Object(object) => {
            Value::Object(sorted(object.iter().map(|(k, v)| (k.clone(), normal(v)))))
        }
        other => other.clone(),
    }
}

fn filled(object: &Map<String, Value>, defaults: Value) -> Value {
    let Value::Object(mut all) = defaults else { unreachable!() };
    for (key, value) in object {
        let empty = value.is_null() && all.contains_key(key);
        if !empty {
            all.insert(key.clone(), value.clone());
        }
    }
    // The values of a row are kept in their order and form.
    let inside = |(k, v): (String, Value)| {
        let v = if k == "metrics" { v } else { normal(&v) };
        (k, v)
    };
    Value::Object(sorted(all.into_iter().map(inside)))
}

fn sorted(pairs: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.into_iter().collect()
}
