//! Several programs on one board at a time, as several servers are.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/trust.rs"]
mod world;

use std::collections::BTreeSet;
use std::io::{self, Write};

use budwood_board::export;
use budwood_board::query::{self, LogFilter, Part};
use budwood_board::submit::{Submission, submit};
use budwood_board::verify::{Evaluation, Evaluator, Job, Worker};
use budwood_board::{Board, Error, moderate};
use common::{board, import, tables, write};
use serde_json::{Value, json};
use world::*;

#[test]
fn eight_writers_lose_nothing() {
    const EACH: i64 = 12;
    let (_folder, first) = board();
    let place = first.place();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                let mut board = Board::open(place).unwrap();
                for i in 0..EACH {
                    let value = accuracy(f64::from(writer));
                    let claim = record(&format!("{writer} {i}"), "test", "test", value);
                    assert!(submit(&mut board, &claim, None, &[], &owner()).unwrap().new);
                }
            });
        }
    });
    // What another wrote is seen at once by whoever was there before.
    let table = table(&first, true);
    assert_eq!((table.rows.len() as i64, table.item.results as i64), (8 * EACH, 8 * EACH));
    let numbers: BTreeSet<_> = table.rows.iter().map(|r| r.result).collect();
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&(8 * EACH))));
    let log = query::log(&first, &LogFilter::default(), Part::default()).unwrap();
    let submissions = log.items.iter().filter(|e| e.action == "submit").count();
    assert!(submissions > 40, "{submissions} of the newest 50 entries");
}

struct Nothing;

impl Evaluator for Nothing {
    fn evaluate(&mut self, _: &Job) -> Result<Evaluation, String> {
        Err("not run".into())
    }
}

#[test]
fn one_worker_at_a_time_does_the_checks() {
    let (_folder, mut first) = board();
    know(&mut first);
    put(&mut first, &record("a", "test", "test", accuracy(80.0)), 1, &owner());
    let mut second = Board::open(first.place()).unwrap();
    let mut worker = Worker::begin(&mut first).unwrap();
    assert!(matches!(Worker::begin(&mut second), Err(Error::Refused(_))));
    // The adapter came through the first, and its files with it.
    let adapter = budwood_board::verify::adapter(&second, 1).unwrap().unwrap();
    assert!(adapter.weights.exists() && adapter.description.exists());
    assert!(worker.next(&mut first, &mut Nothing, None).unwrap().is_some());
    drop((worker, first));
    // The end of a connection takes a moment.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut taken = Worker::begin(&mut second);
    while taken.is_err() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
        taken = Worker::begin(&mut second);
    }
    assert!(taken.unwrap().next(&mut second, &mut Nothing, None).unwrap().is_none());
}

/// The record of a model that is named by a number, on one of several data sets.
fn numbered(number: usize, dataset: usize) -> Submission {
    let record = json!({ "task": "News", "dataset": { "name": format!("Leaves {dataset}") },
        "model": { "name": number.to_string() }, "metrics": accuracy(number as f64) });
    serde_json::from_value(record).unwrap()
}

type Export<'a> = dyn Fn(&mut Meanwhile<'_>) -> Result<(), Error> + 'a;

/// Where an export goes, with what is done when its first bytes come.
struct Meanwhile<'a> {
    out: Vec<u8>,
    work: Option<&'a mut dyn FnMut()>,
}

impl Write for Meanwhile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(work) = self.work.take() {
            work();
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written after the first bytes came does not come in, neither a row that is taken back
/// nor new ones of a table that is still to be read.
#[test]
fn a_list_is_of_one_state() {
    let (_folder, mut board) = board();
    let mut next = 0;
    while next < 160 {
        submit(&mut board, &numbered(next, next % 2), None, &[], &owner()).unwrap();
        next += 1;
    }
    let mut other = Board::open(board.place()).unwrap();
    let mut change = || {
        for dataset in 0..2 {
            let new = submit(&mut other, &numbered(next, dataset), None, &[], &owner()).unwrap();
            moderate::retract(&mut other, new.result - 2, "why", &owner()).unwrap();
            next += 1;
        }
    };
    let table = |out: &mut Meanwhile<'_>| export::table(&board, "news-on-leaves-1", out);
    let json = |out: &mut Meanwhile<'_>| export::json(&board, None, out);
    let csv = |out: &mut Meanwhile<'_>| export::csv(&board, None, out);
    let exports: [&Export; 3] = [&table, &json, &csv];
    for (i, export) in exports.iter().enumerate() {
        let write = |work| {
            let mut out = Meanwhile { out: Vec::new(), work };
            export(&mut out).unwrap();
            out.out
        };
        let before = write(None);
        let during = write(Some(&mut change));
        let after = write(None);
        assert!(before == during, "form {i} is of two states");
        assert!(before != after, "form {i} does not show what was done");
    }
}

/// The archive's files, too, while a writer goes on. The n-th result is the n-th model: of one
/// state there are all up to the last.
#[test]
fn an_archive_is_of_one_state() {
    const TABLES: usize = 8;
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    for i in 0..200 {
        submit(&mut board, &numbered(i, i % TABLES), None, &[], &owner()).unwrap();
    }
    let (place, out) = (board.place().clone(), folder.path().join("out"));
    let mut next = 200;
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let exports = scope.spawn(|| {
            let reader = Board::open_to_read(&place).unwrap();
            let count = || {
                export::archive(&reader, &out).unwrap();
                let own = std::fs::read(out.join("board.json")).unwrap();
                let tasks: Value = serde_json::from_slice(&own).unwrap();
                let tables = tasks[0]["datasets"].as_array().unwrap();
                let rows = tables.iter().flat_map(|t| t["sota"]["rows"].as_array().unwrap());
                let model = |row: &Value| row["model_name"].as_str().unwrap().parse().unwrap();
                let models: BTreeSet<usize> = rows.map(model).collect();
                assert_eq!(models.last(), Some(&(models.len() - 1)), "a model is left out");
                models.len()
            };
            (0..20).map(|_| count()).collect()
        });
        while !exports.is_finished() {
            submit(&mut board, &numbered(next, next % TABLES), None, &[], &owner()).unwrap();
            next += 1;
        }
        exports.join().unwrap()
    });
    assert!(counts.last() > counts.first(), "nothing was written meanwhile: {counts:?}");
}
