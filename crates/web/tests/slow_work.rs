//! Slow work and slow clients take nothing from pages.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use budwood_board::token::Role;
use budwood_board::{Board, Place, token};
use budwood_web::{Answer, Limits, Options, Predictor};
use common::place::{place, raw as raw_sql};
use common::{page, raw, serve};
use serde_json::json;

/// Megabytes of the adapter.
const SIZE: usize = 24;

/// A board with a result whose adapter is large; its folder, the result's number.
fn with_adapter() -> (tempfile::TempDir, Place, i64) {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let board = Board::open(&place).unwrap();
    let hash = "a".repeat(64);
    std::fs::write(board.files().join(&hash), vec![7; SIZE << 20]).unwrap();
    drop(board);
    let filled = raw_sql(&place, &format!(
        "INSERT INTO tasks (id, slug, name, name_key) VALUES (1, 't', 'T', 't');
         INSERT INTO datasets (id, slug, name, name_key) VALUES (1, 'd', 'D', 'd');
         INSERT INTO leaderboards (id, slug, task, dataset) VALUES (1, 't-on-d', 1, 1);
         INSERT INTO metrics (id, leaderboard, position, name, name_key, declared, direction, direction_source)
           VALUES (1, 1, 0, 'Accuracy', 'accuracy', 1, 'higher', 'declared');
         INSERT INTO results (id, leaderboard, position, content, model, state, at, adapter_sha256, adapter_bytes)
           VALUES (1, 1, 0, 'c', 'M', 'attached', 0, NULL, 1);
         INSERT INTO files (sha256, bytes, name, at) VALUES ('{hash}', {}, 'adapter.safetensors', 0);
         UPDATE results SET adapter_sha256 = '{hash}';
         INSERT INTO result_files (result, name, sha256) VALUES (1, 'adapter.safetensors', '{hash}');",
        SIZE << 20
    ));
    filled.unwrap();
    (folder, place, 1)
}

/// An adapter that needs long for every text.
#[derive(Default)]
struct Slow {
    at_once: AtomicUsize,
    most: AtomicUsize,
}

impl Predictor for Slow {
    fn predict(&self, _: i64, text: &str) -> Result<Vec<Answer>, String> {
        let now = 1 + self.at_once.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(3));
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Ok(vec![Answer { label: text.to_owned(), probability: None }])
    }
}

/// A connection from another address of this machine, as another client has it.
fn client(n: u8) -> String {
    format!("x-forwarded-for: 10.0.0.{n}\r\n")
}

#[test]
fn tries_take_no_page_with_them() {
    let (_folder, place, id) = with_adapter();
    let slow = Arc::new(Slow::default());
    let address = serve(Options {
        predictor: Some(Arc::clone(&slow) as Arc<dyn Predictor>),
        behind_proxy: true,
        ..Options::new(place)
    });
    let ask = |n: u8| {
        format!(
            "GET /result/{id}/try?text=a HTTP/1.1\r\nhost: x\r\n{}connection: close\r\n\r\n",
            client(n)
        )
    };
    // Sixty from many clients, and two more from one that already waits.
    let tries: Vec<_> = (0..60)
        .map(|n| {
            let ask = ask(n % 58);
            std::thread::spawn(move || raw(address, &ask))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..20 {
        let (text, time) = page(address, "/");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(time < Duration::from_secs(1), "a page took {time:?}");
    }
    let mut counts = std::collections::BTreeMap::new();
    for answer in tries {
        let answer = answer.join().unwrap();
        let status: u16 = answer[9..12].parse().unwrap();
        assert_eq!(status != 200, answer.contains("retry-after: "), "{answer}");
        *counts.entry(status).or_insert(0) += 1;
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 2, "two at one time");
    // Two places and a queue of eight; whoever comes beyond is told to come again.
    assert!(counts[&200] >= 8 && counts[&200] <= 12, "{counts:?}");
    assert_eq!(counts.values().sum::<usize>(), 60, "{counts:?}");
    assert!(counts.keys().all(|s| [200, 429, 503].contains(s)), "{counts:?}");
}

/// Memory that this process holds, in MB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
}

/// Downloads that nobody reads cost a little memory each, and are cut; others come in meanwhile.
#[test]
#[cfg(target_os = "linux")]
fn unread_downloads_are_small_and_end() {
    let (_folder, place, id) = with_adapter();
    let limits = Limits { still: 3, ..Limits::default() };
    let address = serve(Options { limits, behind_proxy: true, ..Options::new(place) });
    page(address, "/");
    let before = memory();
    let unread: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream = TcpStream::connect(address).unwrap();
            let ask = format!("GET /result/{id}/adapter HTTP/1.1\r\nhost: x\r\n{}\r\n", client(n));
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    // All of them together would be 2.4 GB.
    let more = memory().saturating_sub(before);
    assert!(more < 100, "{more} MB for 100 downloads");
    let (text, time) = page(address, "/");
    assert!(text.starts_with("HTTP/1.1 200") && time < Duration::from_secs(1), "{time:?}");
    // Whole, where it is read.
    let (whole, _) = page(address, &format!("/result/{id}/adapter"));
    assert!(
        whole.len() > SIZE << 20 && whole.contains(&format!("content-length: {}\r\n", SIZE << 20))
    );
    std::thread::sleep(Duration::from_secs(4));
    for mut stream in unread {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (mut got, mut piece) = (0, vec![0; 1 << 20]);
        while let Ok(n) = stream.read(&mut piece) {
            got += n;
            if n == 0 {
                break;
            }
        }
        assert!(got < SIZE << 20, "a download that nobody read for 5 s went on");
    }
}

/// More connections than the server takes, all of them silent: pages still come, and those that are
/// silent the longest leave.
#[test]
fn silent_connections_do_not_shut_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let limits = Limits { connections: 40, connections_each: 40, still: 60, ..Limits::default() };
    let address = serve(Options { limits, ..Options::new(place) });
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    let start = Instant::now();
    let answered =
        (0..10).filter(|_| page(address, "/about").0.starts_with("HTTP/1.1 200")).count();
    assert!(answered == 10 && start.elapsed() < Duration::from_secs(5), "{answered} of 10");
    drop(silent);
}

/// A synchronisation of many rows lets others write in between.
#[test]
fn a_large_synchronisation_lets_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let mut board = Board::open(&place).unwrap();
    let secret = token::add(&mut board, "mo", Role::Moderate, "test").unwrap();
    drop(board);
    let limits = Limits { writes: 1e6, ..Limits::default() };
    let address = serve(Options { limits, ..Options::new(place) });
    let post = move |path: &str, body: String| {
        let start = Instant::now();
        let answer = raw(
            address,
            &format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Token {secret}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ),
        );
        (answer, start.elapsed())
    };
    let results: Vec<_> = (0..10_000)
        .map(|i| {
            json!({ "metrics": { "Accuracy": format!("{}", i % 97) }, "methodology": format!("m{i}"),
                "paper": format!("Paper {i}"), "external_id": format!("e{i}") })
        })
        .collect();
    let body = json!({ "task": "T", "dataset": "D", "metrics": [{ "name": "Accuracy", "is_loss": false }], "results": results });
    let large = std::thread::spawn({
        let post = post.clone();
        move || post("/api/v1/rpc/evaluation-synchronize/", body.to_string())
    });
    let (mut slowest, mut others) = (Duration::ZERO, 0);
    while !large.is_finished() {
        let record = json!({ "task": "Other", "dataset": { "name": "X" }, "metrics": [{ "name": "F1", "value": "1.0" }],
            "model": { "name": format!("o{others}") } });
        let (answer, time) = post("/api/v1/submit/", record.to_string());
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        slowest = slowest.max(time);
        others += 1;
    }
    let (answer, all) = large.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"added\": 10000"), "{answer}");
    println!("10,000 rows in {all:?}; {others} others wrote, the slowest in {slowest:?}");
    assert!(others > 3 && slowest < Duration::from_secs(1), "{others} others, {slowest:?}");
}
