//! How fast a board's pages come to many readers at once.
//!
//! `load ADDRESS [CLIENTS REQUESTS]`, such as `load 127.0.0.1:7800 32 20000`. It follows the
//! board's own links to find up to 300 pages of each kind, then `CLIENTS` readers, each with a
//! connection of its own and no pause, ask for `REQUESTS` pages in all, kinds in turn; a page
//! counts from the first byte sent to the last one received, packed as browsers want it. Serve the
//! board with `--searches 1000000`. Only addresses of this machine are asked.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PER_KIND: usize = 300;
/// Pages whose links are followed.
const FOLLOWED: usize = 3000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(address) = args.first().and_then(|a| a.parse::<SocketAddr>().ok()) else {
        return println!("load ADDRESS [CLIENTS REQUESTS]");
    };
    assert!(address.ip().is_loopback(), "only this machine is asked");
    let number = |i: usize, default: usize| args.get(i).map_or(default, |a| a.parse().unwrap());
    let (clients, requests) = (number(1, 32), number(2, 20_000));
    let kinds = discover(address);
    for (kind, pages) in &kinds {
        println!("{kind}: {} pages", pages.len());
    }
    let kinds: Vec<(String, Vec<String>)> = kinds.into_iter().collect();
    let times: Vec<Mutex<Vec<(f64, usize)>>> = kinds.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut reader = Reader::connect(address);
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= requests {
                        return;
                    }
                    let kind = i % kinds.len();
                    let pages = &kinds[kind].1;
                    let path = &pages[(i / kinds.len()) % pages.len()];
                    let from = Instant::now();
                    let (status, body) = reader.get(path, true);
                    assert_eq!(status, 200, "{path}");
                    let time = from.elapsed().as_secs_f64() * 1e3;
                    times[kind].lock().unwrap().push((time, body.len()));
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{requests} requests of {clients} clients in {seconds:.1} s: {:.0} a second",
        requests as f64 / seconds
    );
    let mut all = Vec::new();
    for ((kind, _), times) in kinds.iter().zip(&times) {
        let times = times.lock().unwrap();
        line(kind, &times);
        all.extend_from_slice(&times);
    }
    line("all", &all);
}

fn line(kind: &str, times: &[(f64, usize)]) {
    let mut sorted: Vec<f64> = times.iter().map(|t| t.0).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let bytes = times.iter().map(|t| t.1).sum::<usize>() / times.len();
    println!(
        "{kind:<24} {:6} times   median {:7.1} ms   p99 {:7.1} ms   {bytes:7} bytes packed",
        sorted.len(),
        at(0.5),
        at(0.99)
    );
}

/// A connection that asks for one page after another.
struct Reader {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Reader {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: BufReader::new(stream), address }
    }

    fn get(&mut self, path: &str, packed: bool) -> (u16, Vec<u8>) {
        let packed = if packed { "accept-encoding: gzip\r\n" } else { "" };
        let ask = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{packed}\r\n", self.address);
        self.stream.get_mut().write_all(ask.as_bytes()).unwrap();
        let (mut status, mut length) = (0, None);
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).unwrap();
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(rest) = header.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(n) = header.strip_prefix("content-length: ") {
                length = Some(n.parse().unwrap());
            }
        }
        let length = length.unwrap_or_else(|| panic!("{path}: no content-length"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, body)
    }
}

/// Pages by kind: the first part of their address, with `?` where they have a question.
fn discover(address: SocketAddr) -> BTreeMap<String, Vec<String>> {
    let mut reader = Reader::connect(address);
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from(["/".to_owned()]));
    let mut more: Vec<String> = vec!["/search?q=te".into(), "/search?q=nothing+of+this".into()];
    more.extend(
        ["/sitemap.xml", "/feed.atom", "/api/v1/papers/", "/api/v1/tasks/", "/api/v1/methods/"]
            .map(Into::into),
    );
    queue.extend(more);
    let mut followed = 0;
    while let Some(path) = queue.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let pages = kinds.entry(kind(&path)).or_default();
        if pages.len() >= PER_KIND || followed >= FOLLOWED {
            continue;
        }
        let (status, body) = reader.get(&path, false);
        if status != 200 {
            continue;
        }
        pages.push(path.clone());
        followed += 1;
        let text = String::from_utf8_lossy(&body);
        let end = path.rsplit('/').next().unwrap_or_default();
        if path.starts_with("/sota/") && !path.contains('?') {
            queue.push_back(format!("/embed/{end}"));
        }
        if path.starts_with("/result/") && !path.contains('?') {
            queue.push_back(format!("/badge/{end}.svg"));
        }
        if path.starts_with("/paper/") {
            // Words that are there: one, and two together.
            let title = text.split(['<', '>']).skip_while(|t| *t != "title").nth(1);
            let words: Vec<&str> =
                title.unwrap_or_default().split(|c: char| !c.is_alphanumeric()).collect();
            if let [first, second, ..] = words[..] {
                queue.push_back(format!("/search?q={first}"));
                queue.push_back(format!("/search?q={first}+{second}"));
            }
        }
        for part in text.split("<loc>").skip(1) {
            let link = part.split('<').next().unwrap_or_default();
            if let Some((_, path)) = link.split_once(&address.to_string())
                && path.starts_with("/sitemap/")
            {
                queue.push_back(path.to_owned());
            }
        }
        for part in text.split("href=\"").skip(1) {
            let link = part.split(['"', '#']).next().unwrap_or_default().replace("&amp;", "&");
            let asks = link.starts_with('/')
                && !["/theme", "/static/", "/export/"].iter().any(|p| link.starts_with(p))
                && !link.contains("/files/");
            if asks && !seen.contains(&link) {
                queue.push_back(link);
            }
        }
    }
    kinds.retain(|_, pages| !pages.is_empty());
    kinds
}

fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, false), |(p, _)| (p, true));
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let shown = match parts[..] {
        [] => "/".into(),
        ["api", version, what, ..] => format!("/api/{version}/{what}"),
        [only] => format!("/{only}"),
        [first, ..] => format!("/{first}/.."),
    };
    if query { shown + "?" } else { shown }
}
