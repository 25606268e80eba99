//! What a store keeps, refuses and survives, on a file and on a server.
#![allow(clippy::unwrap_used)]

#[path = "../../database/tests/server/mod.rs"]
mod server;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use budwood_base::record::{BaseId, MetricValue, Prediction, RunRecord};
use budwood_database::Error as DatabaseError;
use budwood_store::{Address, Error, Filter, Store, copy};

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

fn answers(n: u64) -> Vec<Prediction> {
    (0..n)
        .map(|row| Prediction {
            row,
            expected: "a'; DROP TABLE runs; --".into(),
            predicted: "b\0\u{10FFFF} \u{1F600}".into(),
            confidence: (row != 1).then_some(0.1 * row as f32),
        })
        .collect()
}

fn address(text: &str) -> Address {
    Address::parse(OsStr::new(text)).unwrap()
}

/// A new store on each system that this machine has.
fn places(folder: &Path) -> Vec<Address> {
    let file = Address::from(folder.join("new/runs.db"));
    let server = server::shared().map(|server| address(&server.database()));
    [file].into_iter().chain(server).collect()
}

#[test]
fn a_run_is_kept_to_the_bit_and_once() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(folder.path()) {
        assert!(Store::find(&place).unwrap().is_none());
        let mut store = Store::open(&place).unwrap();
        let answers = answers(3);
        let run = RunRecord { seed: u64::MAX, ..record("abcdef01", "sst-2") };
        assert!(store.add(&run, &[("dev".into(), answers.clone())]).unwrap());
        assert!(!store.add(&run, &[("dev".into(), answers.clone())]).unwrap());
        assert!(store.add(&record("abcdef02", "rte"), &[]).unwrap());
        drop(store);
        let store = Store::find(&place).unwrap().unwrap();
        let stored = store.run("abcdef01").unwrap();
        assert_eq!(stored.record, run);
        assert_eq!(store.run(&stored.id.to_string()).unwrap(), stored);
        assert_eq!(store.predictions(stored.id, "dev").unwrap(), answers);
        assert!(store.predictions(stored.id, "test").unwrap().is_empty());
        assert!(store.has("abcdef02").unwrap() && !store.has("abcdef03").unwrap());
        assert!(!store.has("\0").unwrap());
        let of = |filter: &Filter| store.runs(filter).unwrap().len();
        assert_eq!(of(&Filter::default()), 2);
        assert_eq!(of(&Filter { task: Some("rte".into()), ..Filter::default() }), 1);
        assert_eq!(of(&Filter { method: Some("adapter[".into()), ..Filter::default() }), 2);
        assert_eq!(of(&Filter { method: Some("adapters".into()), ..Filter::default() }), 2);
        assert_eq!(of(&Filter { method: Some("lora".into()), ..Filter::default() }), 0);
        assert_eq!(of(&Filter { sweep: Some("other".into()), ..Filter::default() }), 0);
        assert!(matches!(store.run("abcdef"), Err(Error::Content { .. })), "two keys begin so");
        assert!(matches!(store.run("abc"), Err(Error::NoRun { .. })), "too little of a key");
        assert!(matches!(store.run("99"), Err(Error::NoRun { .. })));
    }
}

/// What cannot be written as a whole is not written at all.
#[test]
fn half_a_run_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(folder.path()) {
        let mut store = Store::open(&place).unwrap();
        let doubled = [answers(2), answers(1)].concat();
        assert!(store.add(&record("abcdef01", "t"), &[("dev".into(), doubled)]).is_err());
        assert!(store.runs(&Filter::default()).unwrap().is_empty(), "{place}");
        assert!(store.add(&record("abcdef01", "t"), &[("dev".into(), answers(2))]).unwrap());
        assert_eq!(store.run("abcdef01").unwrap().id, 1);
    }
}

#[test]
fn other_databases_are_refused_and_left_alone() {
    let damaged = |place: &Address| {
        let found = Store::open(place).map(drop);
        assert!(matches!(found, Err(Error::Database(DatabaseError::Damaged { .. }))), "{found:?}");
    };
    let newer = |place: &Address| {
        let found = Store::open(place).map(drop);
        let is_newer =
            matches!(found, Err(Error::Database(DatabaseError::Newer { found: 99, .. })));
        assert!(is_newer, "{found:?}");
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    std::fs::write(&path, vec![7u8; 5000]).unwrap();
    damaged(&path.as_path().into());
    assert_eq!(std::fs::read(&path).unwrap(), vec![7u8; 5000]);

    let path = folder.path().join("newer.db");
    drop(Store::open(&path.as_path().into()).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    newer(&path.as_path().into());

    let path = folder.path().join("others.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    damaged(&path.as_path().into());

    let Some(server) = server::shared() else { return };
    let place = server.database();
    drop(Store::open(&address(&place)).unwrap());
    server.sql(&place, "UPDATE budwood_runs.version SET version = 99");
    newer(&address(&place));
    server.sql(&place, "UPDATE budwood_runs.version SET application = 1");
    damaged(&address(&place));
    server.sql(&place, "DELETE FROM budwood_runs.version");
    damaged(&address(&place));
    server.sql(&place, "ALTER TABLE budwood_runs.version DROP COLUMN version");
    damaged(&address(&place));
    let place = server.database();
    server.sql(&place, "CREATE SCHEMA budwood_runs; CREATE TABLE budwood_runs.t (x int)");
    damaged(&address(&place));
    assert_eq!(server.sql(&place, "SELECT count(*) FROM budwood_runs.t"), "0");
    // An empty schema is what the owner of a database makes for somebody.
    let place = server.database();
    server.sql(&place, "CREATE SCHEMA budwood_runs; CREATE TABLE public.runs (x int)");
    Store::open(&address(&place)).unwrap().add(&record("abcdef01", "t"), &[]).unwrap();
    assert_eq!(server.sql(&place, "SELECT count(*) FROM public.runs"), "0");
}

#[test]
fn a_truncated_store_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let place = Address::from(path.as_path());
    let mut store = Store::open(&place).unwrap();
    for i in 0..200 {
        store.add(&record(&format!("key{i:04}"), "t"), &[]).unwrap();
    }
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let read = Store::open(&place).and_then(|s| s.runs(&Filter::default()));
    assert!(matches!(read, Err(Error::Database(DatabaseError::Damaged { .. }))), "{read:?}");
}

/// A file that was made by a process which was killed before it made the tables.
#[test]
fn a_store_that_was_begun_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    std::fs::write(&path, "").unwrap();
    let store = Store::find(&Address::from(path.as_path())).unwrap().unwrap();
    assert!(store.runs(&Filter::default()).unwrap().is_empty());
}

/// A store in a folder where nothing can be put beside it, such as a read-only disk.
#[cfg(unix)]
#[test]
fn a_store_is_read_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a ?#%.db");
    let place = Address::from(path.as_path());
    Store::open(&place).unwrap().add(&record("k", "t"), &[]).unwrap();
    let before = std::fs::read(&path).unwrap();
    // The file that SQLite maps for a log can be made by nobody.
    std::os::unix::fs::symlink("/nowhere/x", folder.path().join("a ?#%.db-shm")).unwrap();
    let store = Store::find(&place).unwrap().unwrap();
    assert_eq!(store.runs(&Filter::default()).unwrap().len(), 1);
    assert!(store.predictions(1, "dev").unwrap().is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Many write to one store at once, as several sweeps would.
#[test]
fn several_writers_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for place in places(folder.path()) {
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let place = &place;
                scope.spawn(move || {
                    let mut store = Store::open(place).unwrap();
                    for i in 0..25 {
                        // Every key is written by two of them.
                        let key = format!("key{:04}", (writer / 2) * 25 + i);
                        let answers = [("dev".into(), answers(5))];
                        store.add(&record(&key, "t"), &answers).unwrap();
                    }
                });
            }
        });
        let store = Store::open(&place).unwrap();
        let runs = store.runs(&Filter::default()).unwrap();
        let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
        assert_eq!(ids, (1..=100).collect::<Vec<_>>(), "{place}");
        assert!(ids.iter().all(|id| store.predictions(*id, "dev").unwrap() == answers(5)));
    }
}

/// Whoever comes while another makes the store waits, and finds it made.
#[test]
fn a_new_store_may_be_opened_by_many_at_once() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        for place in places(folder.path()) {
            std::thread::scope(|scope| {
                let all: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| Store::open(&place).map(|_| ()))).collect();
                for opened in all {
                    opened.join().unwrap().unwrap();
                }
            });
        }
    }
}

/// Each way, and there and back again.
#[test]
fn a_copy_is_the_same_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = places(folder.path());
    all.push(folder.path().join("again.db").into());
    let mut first = Store::open(&all[0]).unwrap();
    for i in 0..7 {
        let more = [("dev".into(), answers(i)), ("test".into(), answers(40))];
        first.add(&record(&format!("key{i:04}"), "t"), &more).unwrap();
    }
    drop(first);
    // A number that is free, as after a row was deleted by hand.
    let raw = rusqlite::Connection::open(all[0].file().unwrap()).unwrap();
    for table in ["metrics WHERE run", "predictions WHERE run", "runs WHERE id"] {
        raw.execute(&format!("DELETE FROM {table} = 3"), []).unwrap();
    }
    for pair in all.windows(2) {
        let (from, mut to) = (Store::open(&pair[0]).unwrap(), Store::open(&pair[1]).unwrap());
        let mut told = 0;
        let copied = copy(&from, &mut to, || told += 1).unwrap();
        assert_eq!((copied.runs, copied.new, told), (6, 6, 6));
        let copied = copy(&from, &mut to, || ()).unwrap();
        assert_eq!((copied.runs, copied.new), (6, 0));
    }
    // Compared by other means than the copy's own.
    assert_eq!(rows_of_file(&all[0]), rows_of_file(all.last().unwrap()));
    if let [file, on_server, _] = &all[..] {
        let server = server::shared().unwrap();
        for (sql, of_file) in ROWS.iter().zip(rows_of_file(file)) {
            let database = on_server.to_string();
            assert_eq!(server.sql(&database, &format!("SELECT {}", sql.1)), of_file);
        }
    }
    // A copy in which anything was changed is none, whichever table it stands in.
    for change in [
        "predictions SET confidence = 0.5 WHERE run = 7 AND row = 2 AND split = 'test'",
        "metrics SET chosen = 0 WHERE run = 4",
        "runs SET finished_at = 2 WHERE id = 1",
        "runs SET id = 9 WHERE id = 7",
    ] {
        let changed = folder.path().join("changed.db");
        std::fs::copy(all[0].file().unwrap(), &changed).unwrap();
        let raw = rusqlite::Connection::open(&changed).unwrap();
        raw.pragma_update(None, "foreign_keys", false).unwrap();
        assert_eq!(raw.execute(&format!("UPDATE {change}"), []).unwrap(), 1, "{change}");
        drop(raw);
        let mut to = Store::open(&changed.as_path().into()).unwrap();
        let refused = copy(&Store::open(&all[0]).unwrap(), &mut to, || ()).unwrap_err();
        assert!(refused.to_string().contains("Nothing was copied"), "{change}: {refused}");
    }
    // What is in the way is refused, and nothing is written.
    let mut other = Store::open(&folder.path().join("other.db").as_path().into()).unwrap();
    other.add(&record("key0009", "t"), &[]).unwrap();
    let from = Store::open(&all[0]).unwrap();
    let refused = copy(&from, &mut other, || ()).unwrap_err().to_string();
    assert!(refused.contains("run 1") && refused.contains("other.db"), "{refused}");
    assert_eq!(other.runs(&Filter::default()).unwrap().len(), 1);
    for place in &all[1..] {
        let mut to = Store::open(place).unwrap();
        to.add(&record("key0009", "t"), &[]).unwrap();
        let refused = copy(&from, &mut to, || ()).unwrap_err().to_string();
        assert!(refused.contains("run 8"), "{refused}");
    }
}

/// Rows as texts, the same on both systems: count, and a digest of what is in each.
const ROWS: [(&str, &str); 3] = [
    (
        "group_concat(id || key || sweep || task || grouped || method || seed || finished_at \
         || record, '\n') FROM (SELECT * FROM runs ORDER BY id)",
        "string_agg(id || key || sweep || task || grouped || method || seed || finished_at \
         || record, E'\\n') FROM (SELECT * FROM budwood_runs.runs ORDER BY id) t",
    ),
    (
        "count(*) || ' ' || sum(run * \"rows\" + chosen) || ' ' || sum(value = 0.1 + 0.2) \
         FROM metrics",
        "count(*) || ' ' || sum(run * \"rows\" + chosen::int) || ' ' \
         || sum((value = 0.1::float8 + 0.2::float8)::int) FROM budwood_runs.metrics",
    ),
    (
        "count(*) || ' ' || count(confidence) || ' ' || sum(run * \"row\") || ' ' \
         || sum(length(expected)) || ' ' || sum(split = 'dev') FROM predictions",
        "count(*) || ' ' || count(confidence) || ' ' || sum(run * \"row\") || ' ' \
         || sum(length(expected)) || ' ' || sum((split = 'dev')::int) \
         FROM budwood_runs.predictions",
    ),
];

fn rows_of_file(place: &Address) -> Vec<String> {
    let raw = rusqlite::Connection::open(place.file().unwrap()).unwrap();
    let of = |sql: &str| raw.query_row(&format!("SELECT {sql}"), [], |r| r.get(0)).unwrap();
    ROWS.iter().map(|(sql, _)| of(sql)).collect()
}
