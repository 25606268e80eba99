//! Answers that are given again: none is older than the last look.
#![allow(clippy::unwrap_used)]

mod server;
mod tables;

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use budwood_database::{Database, Row};
use server::Server;
use tables::{SCHEMA, address};

/// A server where nobody else writes, not even its own housekeeping, and a database there.
fn alone() -> Option<(Server, String)> {
    let server = Server::begin()?;
    let place = server.database();
    server.sql(&place, "ALTER SYSTEM SET autovacuum = off");
    server.sql(&place, "SELECT pg_reload_conf()");
    Some((server, place))
}

fn open(text: &str) -> Database {
    Database::open(&address(text), &SCHEMA).unwrap()
}

fn open_to_read(text: &str) -> Database {
    Database::find_to_read(&address(text), &SCHEMA).unwrap().unwrap()
}

fn add(database: &Database, id: i64) {
    let sql = "INSERT INTO t (id) VALUES (?1) ON CONFLICT DO NOTHING";
    database.write(|c| c.execute(sql, &[id.into()])).unwrap();
}

fn count(database: &Database) -> i64 {
    database.read(|c| c.one("SELECT count(*) FROM t", &[], |row| row.get(0))).unwrap()
}

/// A question whose answer is never the same twice says whether the server was asked.
#[test]
fn answers_are_given_again_while_nothing_is_written() {
    let Some((_server, place)) = alone() else { return };
    let writer = open(&place);
    let reader = open_to_read(&place);
    let of = |database: &Database, about: i64| -> String {
        let sql = "SELECT CAST(?1 + 0 AS TEXT) || clock_timestamp()";
        database.read(|c| c.one(sql, &[about.into()], |row| row.get(0))).unwrap()
    };
    // Without a look nothing is remembered.
    assert_ne!(of(&reader, 1), of(&reader, 1));
    reader.look();
    let (first, second) = (of(&reader, 1), of(&reader, 2));
    assert_ne!(first[1..], second[1..]);
    for _ in 0..3 {
        reader.look();
        assert_eq!((of(&reader, 2), of(&reader, 1)), (second.clone(), first.clone()));
    }
    let asked =
        reader.connection().ask("SELECT CAST(?1 + 0 AS TEXT) || clock_timestamp()", &[1.into()]);
    assert_eq!(asked.unwrap().one(|row| row.get::<String>(0)).unwrap(), first);
    // Together with another connection, which does not know of what came after its own look.
    let mut other = open_to_read(&place);
    other.share(&reader);
    other.look();
    assert_eq!(of(&other, 1), first);
    // Not in a transaction, which has a snapshot of its own, nor for who may write.
    let snapshot = reader.snapshot().unwrap();
    let sql = "SELECT CAST(?1 + 0 AS TEXT) || clock_timestamp()";
    assert_ne!(snapshot.one(sql, &[1.into()], |row| row.get::<String>(0)).unwrap(), first);
    drop(snapshot);
    writer.look();
    assert_ne!(of(&writer, 1), of(&writer, 1));
    // What is under way is not seen, and what is done is seen after a look.
    reader.look();
    let transaction = writer.begin().unwrap();
    transaction.execute("INSERT INTO t (id) VALUES (1)", &[]).unwrap();
    reader.look();
    let during = (count(&reader), of(&reader, 1));
    assert_eq!(during.0, 0);
    transaction.commit().unwrap();
    assert_eq!((count(&reader), of(&reader, 1)), during);
    reader.look();
    assert_eq!(count(&reader), 1);
    assert_ne!(of(&reader, 1), during.1);
    // What was asked before a look and is read after it.
    let early = reader.connection().ask("SELECT count(id) FROM t", &[]).unwrap();
    of(&reader, 3);
    add(&writer, 2);
    reader.look();
    let numbers = |row: &Row<'_>| row.get::<i64>(0);
    assert_eq!(early.one(numbers).unwrap(), 1);
    assert_eq!(reader.connection().one("SELECT count(id) FROM t", &[], numbers).unwrap(), 2);
    let (old, new) = (of(&other, 1), of(&reader, 1));
    assert!(old != first && new != old);
    other.look();
    assert_eq!(of(&other, 1), new);
    // A change that is taken back is none, but ends the snapshot all the same.
    let transaction = writer.begin().unwrap();
    transaction.execute("DELETE FROM t", &[]).unwrap();
    drop(transaction);
    reader.look();
    assert_eq!(count(&reader), 2);
}

#[test]
fn nobody_reads_what_was_before_the_last_write() {
    let Some((_server, place)) = alone() else { return };
    drop(open(&place));
    let written = AtomicI64::new(0);
    thread::scope(|scope| {
        for part in 0..2 {
            let (place, written) = (&place, &written);
            scope.spawn(move || {
                let writer = open(place);
                for i in 0..300 {
                    add(&writer, part * 1000 + i);
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = open_to_read(&place);
                loop {
                    let before = written.load(Ordering::SeqCst);
                    reader.look();
                    let found = count(&reader);
                    assert!(found >= before, "{found} rows where {before} had been written");
                    if before == 600 {
                        break;
                    }
                }
            });
        }
    });
}

/// Answers of many questions take the room that they may, and those that are asked again stay.
#[test]
fn what_is_remembered_has_a_bound() {
    let Some((_server, place)) = alone() else { return };
    drop(open(&place));
    let reader = open_to_read(&place);
    let sql = "SELECT repeat('x', ?1 + 0 * ?2), CAST(clock_timestamp() AS TEXT)";
    let ask = |bytes: i64, about: i64| -> String {
        let values = [bytes.into(), about.into()];
        reader.connection().one(sql, &values, |row| row.get(1)).unwrap()
    };
    reader.look();
    let often = ask(100, 0);
    let once = ask(100, 1);
    for i in 0..400 {
        ask(200_000, 2 + i);
        assert_eq!(ask(100, 0), often);
    }
    assert_ne!(ask(100, 1), once);
    // One that is too large is not kept.
    assert_ne!(ask(6_000_000, 0), ask(6_000_000, 0));
}
