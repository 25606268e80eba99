//! Several programs on one board at a time, as several servers are.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/trust.rs"]
mod world;

use budwood_board::query::{self, LogFilter, Part};
use budwood_board::submit::submit;
use budwood_board::verify::{Evaluation, Evaluator, Job, Worker};
use budwood_board::{Board, Error};
use common::board;
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
    let numbers: std::collections::BTreeSet<_> = table.rows.iter().map(|r| r.result).collect();
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
