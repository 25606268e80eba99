//! What is tried: everything that reads what others made.

use std::path::Path;

use budwood_base::digest;
use budwood_base::tokenizer::Frame;
use budwood_formats::Weights;
use budwood_formats::{BaseModel, import};
use budwood_images::{Processor, Rgb};
use budwood_tasks::{
    ColumnChoice, DataSource, Input, LAYOUTS, Split, Tokenizer, read::ReadOptions,
};

use budwood_train::Checkpoint;
use serde_json::Value;

use crate::mutate::Files;
use crate::{adapters, boards, corpus, hub, program, torch};

/// A reader and its good inputs.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) corpus: fn() -> Vec<Files>,
    /// Reads the input in a folder. Errors are what damaged input should give, so none is returned.
    pub(crate) read: fn(&Path),
}

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "adapter", corpus: adapters::corpus, read: adapters::read },
    Target { name: "foreign-adapter", corpus: foreign_adapters, read: foreign_adapter },
    Target { name: "base", corpus: bases, read: base },
    Target { name: "safetensors", corpus: weights, read: safetensors },
    Target { name: "torch", corpus: torch::corpus, read: torch::read },
    Target { name: "tokenizer", corpus: corpus::tokenizers, read: tokenizer },
    Target { name: "data", corpus: corpus::data, read: data },
    Target { name: "image", corpus: corpus::images, read: image },
    Target { name: "processor", corpus: corpus::processors, read: processor },
    Target { name: "convert", corpus: corpus::conversions, read: convert },
    Target { name: "checkpoint", corpus: corpus::checkpoints, read: checkpoint },
    Target { name: "submission", corpus: boards::submissions, read: boards::submission },
    Target { name: "attachment", corpus: boards::attachments, read: boards::attachment },
    Target {
        name: "synchronisation",
        corpus: boards::synchronisations,
        read: boards::synchronisation,
    },
    Target { name: "archive", corpus: boards::archives, read: boards::archive },
    Target { name: "hub", corpus: hub::corpus, read: hub::read },
    Target { name: "sweep", corpus: program::sweeps, read: program::sweep },
    Target { name: "jobs", corpus: program::jobs, read: program::show_jobs },
];

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

/// Writes the base model that an ONNX file or a NumPy archive holds.
fn convert(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let out = folder.join("out");
        let done = budwood_formats::convert(&entry.path(), &out);
        assert!(done.is_ok() || !out.exists(), "something is left of what was refused");
    }
}

/// A checkpoint as it is, then with the hash of the vectors that lie there.
fn checkpoint(folder: &Path) {
    let _ = Checkpoint::load(folder);
    let place = folder.join("checkpoint/checkpoint.json");
    let state = std::fs::read(&place).ok().and_then(|b| serde_json::from_slice::<Value>(&b).ok());
    let sha256 = digest::of_file(&folder.join("checkpoint/vectors-1.safetensors"));
    let (Some(Value::Object(mut state)), Ok(sha256)) = (state, sha256) else { return };
    state.insert("vectors_sha256".into(), sha256.into());
    let _ = std::fs::write(place, Value::Object(state).to_string());
    let _ = Checkpoint::load(folder);
}

/// What prepares images is first read, then used.
fn processor(folder: &Path) {
    let Ok(processor) = Processor::open(folder, 8) else { return };
    // The pixels that a model takes are its own choice, within a limit; here few are enough.
    let few = |(height, width)| height * width < 1_000_000;
    if processor.check().is_err() || !processor.output().is_ok_and(few) {
        return;
    }
    for (width, height) in [(1, 1), (7, 30)] {
        let image = Rgb { width, height, pixels: vec![100; 3 * width * height] };
        let _ = processor.prepare(&image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole checkpoints and models are read, so that damaged ones are looked at further down.
    #[test]
    fn what_is_whole_is_read() {
        for files in corpus::conversions() {
            let dir = crate::mutate::written(&files);
            budwood_formats::convert(&dir.path().join(&files[0].0), &dir.path().join("out"))
                .unwrap();
        }
        for files in corpus::processors() {
            Processor::open(crate::mutate::written(&files).path(), 8).unwrap();
        }
        for files in corpus::checkpoints() {
            let dir = crate::mutate::written(&files);
            assert!(Checkpoint::load(dir.path()).unwrap().is_some());
        }
    }

    #[test]
    fn every_target_has_something_to_begin_with() {
        for target in TARGETS {
            let corpus = (target.corpus)();
            assert!(!corpus.is_empty(), "{}", target.name);
        }
    }
}
