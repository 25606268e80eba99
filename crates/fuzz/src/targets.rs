//! What is tried: everything that reads what others made.

use std::path::Path;

use budwood_base::method::MethodSpec;
use budwood_base::tokenizer::Frame;
use budwood_board::Board;
use budwood_board::submit::{Submission, submit, synchronize};
use budwood_board::token::Actor;
use budwood_formats::Weights;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, import};
use budwood_tasks::{
    ColumnChoice, DataSource, Input, LAYOUTS, Split, Tokenizer, read::ReadOptions,
};

use crate::corpus;
use crate::mutate::Files;
use crate::torch;

/// A reader and its good inputs.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) corpus: fn() -> Vec<Files>,
    /// Reads the input in a folder. Errors are what damaged input should give, so none is returned.
    pub(crate) read: fn(&Path),
}

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "adapter", corpus: adapters, read: adapter },
    Target { name: "foreign-adapter", corpus: foreign_adapters, read: foreign_adapter },
    Target { name: "base", corpus: bases, read: base },
    Target { name: "safetensors", corpus: weights, read: safetensors },
    Target { name: "torch", corpus: torch::corpus, read: torch::read },
    Target { name: "tokenizer", corpus: corpus::tokenizers, read: tokenizer },
    Target { name: "data", corpus: corpus::data, read: data },
    Target { name: "image", corpus: corpus::images, read: image },
    Target { name: "submission", corpus: corpus::submissions, read: submission },
    Target { name: "synchronisation", corpus: corpus::synchronisations, read: synchronisation },
    Target { name: "sweep", corpus: corpus::sweeps, read: sweep },
];

/// An adapter of ours, made from a reference base.
fn adapters() -> Vec<Files> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
    let made = || -> Option<Files> {
        let base = BaseModel::open(&base).ok()?;
        let meta = serde_json::json!({
            "budwood_adapter": budwood_formats::native::FORMAT, "method": MethodSpec::named("linear"),
            "base": base.id("bert"), "encoder": base.spec(),
            "head": { "kind": "classification", "outputs": 2, "pooling": "cls", "dense": null,
                      "bias": true, "dropout": 0.1 },
            "labels": ["no", "yes"],
            "task": { "name": "t", "kind": "classification", "text_columns": ["text"],
                      "label_column": "label", "max_length": 16, "metric": "accuracy" },
            "precision": "f32", "training": {}, "seed": 1, "data": [], "metrics": [],
            "parameters_trained": 66, "parameters_base": 1, "weights_sha256": "", "versions": {},
        });
        let meta = serde_json::from_value(meta).ok()?;
        let weight = vec![0.25; 2 * base.spec().hidden];
        let weight = budwood_base::tensor::Tensor::new([2, base.spec().hidden], weight);
        let bias = budwood_base::tensor::Tensor::new([2], vec![0.5, -0.5]);
        let tensors = [("weight", weight), ("bias", bias)];
        let tensors = tensors.map(|(name, tensor)| (format!("head.out.{name}"), tensor)).into();
        let dir = tempfile::tempdir().ok()?;
        let folder = dir.path().join("adapter");
        AdapterFolder { meta, tensors }.save(&folder).ok()?;
        let read = |name: &str| Some((name.to_string(), std::fs::read(folder.join(name)).ok()?));
        ["adapter.json", "adapter.safetensors"].into_iter().map(read).collect()
    };
    made().into_iter().collect()
}

fn foreign_adapters() -> Vec<Files> {
    corpus::folders("golden", "adapter_config.json")
}

fn bases() -> Vec<Files> {
    let all = corpus::folders("golden/base", "model.safetensors").into_iter();
    all.map(|mut files| {
        files.extend(corpus::tokenizers().swap_remove(0));
        files
    })
    .collect()
}

fn weights() -> Vec<Files> {
    let mut all = foreign_adapters();
    all.iter_mut().for_each(|files| files.retain(|(name, _)| name.ends_with(".safetensors")));
    all.retain(|files| !files.is_empty());
    all
}

fn adapter(folder: &Path) {
    if let Ok(adapter) = AdapterFolder::load(folder) {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
        let _ = BaseModel::open(&base).map(|base| adapter.meta.check_base(&base));
    }
}

fn foreign_adapter(folder: &Path) {
    let _ = import(folder);
}

fn base(folder: &Path) {
    let Ok(model) = BaseModel::open(folder) else { return };
    let _ = (model.id("x"), model.default_pooling());
    for i in 0..3 {
        let _ = model.tensor(&format!("layer.{i}.attention.query.weight"));
    }
    if let Ok(tokenizer) = Tokenizer::open(folder, model.family().frame) {
        let _ = tokenizer.check_vocabulary(1000);
    }
}

fn safetensors(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(file) = Weights::open(&entry.path()) {
            let _ = file.tensors();
            for name in file.names() {
                let _ = file.integers(name);
            }
        }
    }
}

fn tokenizer(folder: &Path) {
    let Ok(tokenizer) = Tokenizer::open(folder, Frame::BERT) else { return };
    let _ = tokenizer.check_vocabulary(1000);
    let long = "a good film, é\u{301} 电影 ".repeat(200);
    for text in ["", "a good film.", &long, &"a".repeat(5000)] {
        let _ = tokenizer.encode(&Input::texts(text, None::<String>), 128);
        let _ = tokenizer.encode(&Input::texts(text, Some("films")), 5);
    }
}

fn data(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path().display().to_string();
        let mut texts = vec![path.clone()];
        let table = [".csv", ".tsv", ".jsonl", ".parquet"].iter().any(|e| path.ends_with(e));
        if !table {
            texts.extend(LAYOUTS.iter().map(|l| format!("{}={path}", l.name)));
        }
        for text in texts {
            let source = DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default());
            let Ok(source) = source else { continue };
            let Ok(mut opened) = source.open(Split::Train, true) else { continue };
            let Ok((task, _)) = opened.settle(None) else { continue };
            let Ok(labels) = opened.labels(task) else { continue };
            if let Ok((examples, _)) = opened.examples(task, &labels) {
                let _ = examples.split(0.1, 0, "dev");
            }
        }
    }
}

fn image(folder: &Path) {
    let Ok(bytes) = std::fs::read(folder.join("x")) else { return };
    let _ = budwood_images::check(&bytes);
    let _ = budwood_images::decode(&bytes);
}

/// Hands what is in a file to a board that is empty but for its beginning.
fn on_a_board(file: &Path, put: impl FnOnce(&mut Board, &str, &Actor)) {
    let Ok(text) = std::fs::read(file) else { return };
    let Ok(dir) = tempfile::tempdir() else { return };
    let Ok(mut board) = Board::open(dir.path()) else { return };
    put(&mut board, &String::from_utf8_lossy(&text), &Actor::local("fuzz"));
}

fn submission(folder: &Path) {
    on_a_board(&folder.join("submission.json"), |board, text, actor| {
        if let Ok(submission) = serde_json::from_str::<Submission>(text) {
            let _ = submit(board, &submission, None, &[], actor);
            let _ = submit(board, &submission, None, &[], actor);
        }
    });
}

fn synchronisation(folder: &Path) {
    on_a_board(&folder.join("body.json"), |board, text, actor| {
        let _ = synchronize(board, text, actor);
        let _ = synchronize(board, text, actor);
    });
}

/// Plans a sweep with the program itself, as only it knows its flags. It stands beside this one.
#[allow(clippy::expect_used)]
fn sweep(folder: &Path) {
    let own = std::env::current_exe().expect("a program knows its place");
    let program = own.with_file_name("budwood");
    let done = std::process::Command::new(program)
        .args(["sweep", "--dry-run", "--out"])
        .arg(folder.join("out"))
        .arg(folder.join("sweep.toml"))
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("`cargo build -p budwood-cli` in the same profile makes the program");
    // 0: planned; 1: refused; 2: refused flags. A panic is 101, a signal nothing.
    let code = done.status.code();
    assert!(matches!(code, Some(0..=2)), "{code:?}: {}", String::from_utf8_lossy(&done.stderr));
    assert!(!folder.join("out").exists(), "a plan writes nothing");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_something_to_begin_with() {
        for target in TARGETS {
            let corpus = (target.corpus)();
            assert!(!corpus.is_empty(), "{}", target.name);
        }
    }
}
