//! What a store keeps, refuses and survives.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use budwood_base::record::{BaseId, MetricValue, Prediction, RunRecord};
use budwood_store::{Error, Filter, Store};

fn record(key: &str, task: &str) -> RunRecord {
    RunRecord {
        key: key.into(),
        sweep: "s".into(),
        group: "adapters".into(),
        task: task.into(),
        kind: "classification".into(),
        metric: "accuracy".into(),
        method: "adapter[width=8]".into(),
        base: BaseId {
            name: "minilm".into(),
            family: "bert".into(),
            weights_sha256: "00".into(),
            tokenizer_sha256: None,
            encoder_sha256: None,
            tokenizer_settings: None,
            int8_sha256: None,
        },
        precision: "f32".into(),
        seed: 3,
        settings: BTreeMap::new(),
        training: BTreeMap::new(),
        data: Vec::new(),
        labels: vec!["a".into(), "b".into()],
        metrics: vec![MetricValue {
            split: "dev".into(),
            name: "accuracy".into(),
            value: 0.1 + 0.2,
            primary: true,
            rows: 10,
        }],
        parameters_trained: 7,
        parameters_head: 2,
        parameters_base: 70,
        seconds: 1.5,
        peak_bytes: 9,
        weights_sha256: "11".into(),
        adapter: None,
        versions: BTreeMap::new(),
        finished_at: 1,
    }
}

#[test]
fn a_run_is_kept_to_the_bit_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/runs.db");
    let mut store = Store::open(&path).unwrap();
    let answers: Vec<_> = (0..3)
        .map(|row| Prediction {
            row,
            expected: "a'; DROP TABLE runs; --".into(),
            predicted: "b".into(),
            confidence: Some(0.1 * row as f32),
        })
        .collect();
    let run = record("abcdef01", "sst-2");
    assert!(store.add(&run, &[("dev".into(), answers.clone())]).unwrap());
    assert!(!store.add(&run, &[("dev".into(), answers.clone())]).unwrap());
    assert!(store.add(&record("abcdef02", "rte"), &[]).unwrap());
    drop(store);
    let store = Store::open(&path).unwrap();
    let stored = store.run("abcdef01").unwrap();
    assert_eq!(stored.record, run);
    assert_eq!(store.predictions(stored.id, "dev").unwrap(), answers);
    assert!(store.predictions(stored.id, "test").unwrap().is_empty());
    assert!(store.has("abcdef02").unwrap() && !store.has("abcdef03").unwrap());
    let of = |filter: &Filter| store.runs(filter).unwrap().len();
    assert_eq!(of(&Filter::default()), 2);
    assert_eq!(of(&Filter { task: Some("rte".into()), ..Filter::default() }), 1);
    assert_eq!(of(&Filter { method: Some("adapter[".into()), ..Filter::default() }), 2);
    assert_eq!(of(&Filter { method: Some("lora".into()), ..Filter::default() }), 0);
    assert_eq!(of(&Filter { sweep: Some("other".into()), ..Filter::default() }), 0);
    assert!(matches!(store.run("abcdef"), Err(Error::Content { .. })), "two keys begin so");
    assert!(matches!(store.run("99"), Err(Error::NoRun { .. })));
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    std::fs::write(&path, vec![7u8; 5000]).unwrap();
    assert!(matches!(Store::open(&path), Err(Error::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), vec![7u8; 5000]);

    let path = folder.path().join("newer.db");
    drop(Store::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    assert!(matches!(Store::open(&path), Err(Error::Newer { found: 99, .. })));

    let path = folder.path().join("others.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&path), Err(Error::Damaged { .. })));
}

#[test]
fn a_truncated_store_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = Store::open(&path).unwrap();
    for i in 0..200 {
        store.add(&record(&format!("key{i:04}"), "t"), &[]).unwrap();
    }
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let read = Store::open(&path).and_then(|s| s.runs(&Filter::default()));
    assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
}

/// Many threads write to one store at once, as several sweeps would.
#[test]
fn several_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut store = Store::open(path).unwrap();
                for i in 0..25 {
                    // Every key is written by two of them.
                    let key = format!("key{:04}", (writer / 2) * 25 + i);
                    store.add(&record(&key, "t"), &[]).unwrap();
                }
            });
        }
    });
    assert_eq!(Store::open(&path).unwrap().runs(&Filter::default()).unwrap().len(), 50);
}

/// Whoever comes while another makes the store waits, and finds it made.
#[test]
fn a_new_store_may_be_opened_by_many_at_once() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Store::open(&path).map(|_| ()))).collect();
            for opened in all {
                opened.join().unwrap().unwrap();
            }
        });
    }
}
