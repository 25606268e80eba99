//! A folder with a tiny BERT, its tokenizer, and adapters that hold random numbers.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;

use budwood::Base;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_engine::{Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, AdapterMeta, FORMAT, TaskMeta};

pub(crate) struct World {
    dir: tempfile::TempDir,
}

const WORDS: &str = "good fine great bad poor awful the a film was is very so and it";

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
        let world = Self { dir };
        fs::create_dir(world.path("base")).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(golden.join(file), world.path("base").join(file)).unwrap();
        }
        let special = "[PAD] [UNK] [CLS] [SEP] [MASK]";
        let vocabulary: Vec<&str> = special.split(' ').chain(WORDS.split(' ')).collect();
        fs::write(world.path("base/vocab.txt"), vocabulary.join("\n")).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn base(&self) -> Base {
        Base::open(self.path("base")).unwrap()
    }

    /// Writes a file of reviews in which the first word decides.
    pub(crate) fn reviews(&self, rows: usize) -> PathBuf {
        let words: Vec<&str> = WORDS.split(' ').collect();
        let mut text = String::from("text,label\n");
        for row in 0..rows {
            let rest = [row * 7 + 3, row * 5 + 1, row * 3].map(|i| words[6 + i % 9]).join(" ");
            let label = if row % 6 < 3 { "good" } else { "bad" };
            text += &format!("{} {rest},{label}\n", words[row % 6]);
        }
        let path = self.path("reviews.csv");
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes an adapter; its task is that of its number of texts and labels.
    pub(crate) fn adapter(&self, name: &str, method: &str, seed: u64, task: Task) -> PathBuf {
        let model = BaseModel::open(&self.path("base")).unwrap();
        let base = budwood::load(&model, Precision::F32, false).unwrap();
        let head = HeadSpec::linear(task.head, task.head.outputs(task.labels.len()), Pooling::Mean);
        let method = budwood_model::method::resolve(&method.parse().unwrap()).unwrap();
        let mut adapter = budwood_model::Adapter::new(&base, &method, head.clone(), seed).unwrap();
        let mut state = seed + 1;
        for value in &mut adapter.params.values {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *value += ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.5;
        }
        adapter.refresh(Device::cpu(), 1);
        let meta = AdapterMeta {
            budwood_adapter: FORMAT,
            method: adapter.spec().clone(),
            base: model.id("base"),
            encoder: model.spec().clone(),
            head,
            labels: task.labels.iter().map(ToString::to_string).collect(),
            task: TaskMeta {
                name: name.into(),
                kind: task.kind.into(),
                text_columns: (0..task.texts).map(|i| format!("text{i}")).collect(),
                label_column: "label".into(),
                max_length: 24,
                doc_stride: None,
                metric: task.metric.into(),
                positive: None,
                none_threshold: None,
                thresholds: None,
                masking: None,
                images: None,
            },
            precision: "f32".into(),
            training: Default::default(),
            seed,
            data: Vec::new(),
            metrics: Vec::new(),
            parameters_trained: adapter.params.len() as u64,
            parameters_base: model.spec().parameters() as u64,
            weights_sha256: String::new(),
            versions: Default::default(),
        };
        let tensors = adapter.params.to_tensors();
        let path = self.path(name);
        AdapterFolder { meta, tensors }.save(&path).unwrap();
        path
    }
}

/// What an adapter is for.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) kind: &'static str,
    pub(crate) head: HeadKind,
    pub(crate) metric: &'static str,
    pub(crate) texts: usize,
    pub(crate) labels: &'static [&'static str],
}

pub(crate) const TWO: Task = Task {
    kind: "classification",
    head: HeadKind::Classification,
    metric: "accuracy",
    texts: 1,
    labels: &["bad", "good"],
};
pub(crate) const THREE: Task = Task { texts: 2, labels: &["a", "b", "c"], ..TWO };
pub(crate) const NUMBER: Task = Task {
    kind: "regression",
    head: HeadKind::Regression,
    metric: "spearman",
    texts: 1,
    labels: &[],
};
pub(crate) const TAGS: Task = Task {
    kind: "token-classification",
    head: HeadKind::TokenClassification,
    metric: "f1",
    texts: 1,
    labels: &["O", "B-X", "I-X"],
};
