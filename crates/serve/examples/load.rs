//! Clients that ask a running server as fast as it answers, and what that took.
//!
//! `cargo run --release -p budwood-serve --example load -- PORT TEXTS N [uniform|zipf|each|base]
//! [CLIENTS] [SECONDS] [RATE]`: a file with a text on each line, `N` adapters named `a0`, `a1`, ...
//! `each` asks every adapter once, however long that takes. With a rate that many requests are due
//! in a second, whether those before are answered or not, and times count from when one is due. It
//! talks to this machine only and ends by itself.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number from 0 to 1 from a state.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// Sends a request and reads its answer; the status.
fn ask(stream: &mut BufReader<TcpStream>, path: &str, body: &str) -> u16 {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(n) = line.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).unwrap();
    status
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |i: usize| arguments.get(i).map(String::as_str);
    let [Some(port), Some(file), Some(n)] = [word(0), word(1), word(2)] else {
        println!("PORT TEXTS N [uniform|zipf|each|base] [CLIENTS] [SECONDS] [RATE]");
        return;
    };
    let (port, n): (u16, usize) = (port.parse().unwrap(), n.parse().unwrap());
    let law = word(3).unwrap_or("uniform");
    let clients: u64 = word(4).unwrap_or("64").parse().unwrap();
    let time = Duration::from_secs(word(5).unwrap_or("10").parse().unwrap());
    let rate: Option<f64> = word(6).map(|rate| rate.parse().unwrap());
    let texts = std::fs::read_to_string(file).unwrap();
    let texts: Vec<String> = texts.lines().filter(|l| !l.is_empty()).map(quoted).collect();
    // Sums of 1/rank: Zipf's law.
    let mut sums = Vec::with_capacity(n);
    let mut sum = 0.0;
    for rank in 1..=n {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    let (failed, next) = (AtomicU64::new(0), AtomicU64::new(0));
    let begin = Instant::now();
    let work = |client: u64| {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        let (mut state, mut times) = (client + 1, Vec::new());
        loop {
            let request = next.fetch_add(1, Ordering::Relaxed);
            let due = rate.map_or_else(
                || begin.elapsed(),
                |rate| Duration::from_secs_f64((request as f64 + random(&mut state)) / rate),
            );
            let over = if law == "each" { request >= n as u64 } else { due >= time };
            if over {
                return times;
            }
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            let text = &texts[(random(&mut state) * texts.len() as f64) as usize];
            let drawn = random(&mut state);
            let adapter = match law {
                "zipf" => sums.partition_point(|s| *s < drawn * sum).min(n - 1),
                "each" => request as usize,
                _ => (drawn * n as f64) as usize,
            };
            let (path, body) = match law {
                "base" => ("/embed", format!("{{\"inputs\":{text}}}")),
                _ => ("/predict", format!("{{\"inputs\":{text},\"adapter\":\"a{adapter}\"}}")),
            };
            if ask(&mut stream, path, &body) != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            times.push(begin.elapsed() - due);
        }
    };
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..clients).map(|c| scope.spawn(move || work(c))).collect();
        all.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let seconds = begin.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{law} {n} adapters, {clients} clients: {:.1} requests a second, p50 {:.1} ms, p99 {:.1} ms, \
         {} failed",
        times.len() as f64 / seconds,
        at(0.5),
        at(0.99),
        failed.into_inner()
    );
}
