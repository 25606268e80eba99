//! Clients that mean no good, by real connections: each is bounded, is told what is wrong where it
//! can be, and takes nothing from others.
#![allow(clippy::unwrap_used)]

#[path = "../../budwood/tests/world/mod.rs"]
mod world;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood::Base;
use budwood_serve::{Beside, Folder, Keys, Limits, Settings};
use serde_json::json;
use world::{TWO, World};

/// Limits that tests can wait for.
fn limits() -> Limits {
    let second = Duration::from_secs(1);
    Limits { arrival: 2 * second, still: 2 * second, ..Limits::default() }
}

fn settings(base: Base, world: &World, limits: Limits) -> Settings {
    Settings {
        base,
        adapters: Box::new(Folder::open(&world.path("")).unwrap()),
        cache: u64::MAX,
        threads: 2,
        keys: Keys::default(),
        limits,
        tls: None,
    }
}

/// A server on a real socket; its thread ends with the test.
fn serve(settings: Settings) -> SocketAddr {
    serve_beside(settings, None)
}

fn serve_beside(settings: Settings, beside: Option<Router>) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    std::thread::spawn(move || {
        let beside = beside.map(|router| Beside { router: Box::new(|_| Ok(router)), files: 0 });
        budwood_serve::serve(settings, beside, address, move |a| tell.send(a).unwrap()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn start(limits: Limits) -> (World, SocketAddr) {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    let address = serve(settings(world.base(), &world, limits));
    (world, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn head(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

/// What comes until the connection ends.
fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or_default()
}

fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = connect(address);
    let head = head(path, &format!("{headers}content-length: {}\r\n", body.len()));
    // Whoever is refused is let finish, so that clients that send first and read then hear why.
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    rest(&mut stream)
}

/// Others are answered, and soon.
fn lives(address: SocketAddr) {
    let begin = Instant::now();
    let body = json!({ "inputs": "good", "adapter": "a" }).to_string();
    let answer = post(address, "/predict", "", body.as_bytes());
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

/// Another service on the same port whose threads all sleep; its requests are not counted here.
#[test]
fn slow_work_of_a_service_beside_holds_up_nobody() {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    let sleep = || async {
        let slept = || std::thread::sleep(Duration::from_secs(5));
        tokio::task::spawn_blocking(slept).await.unwrap();
        "slept"
    };
    let address =
        serve_beside(settings(world.base(), &world, limits()), Some(Router::new().fallback(sleep)));
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    for stream in &mut slow {
        stream.write_all(head("/other", "content-length: 0\r\n").as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    // Reading an adapter, making tokens of a long text and listing take threads.
    lives(address);
    let begin = Instant::now();
    let long = json!({ "inputs": "good ".repeat(1000), "adapter": "a" }).to_string();
    assert_eq!(status(&post(address, "/predict", "", long.as_bytes())), 200);
    let get = |path: &str| {
        let mut stream = connect(address);
        stream.write_all(head(path, "").replace("POST", "GET").as_bytes()).unwrap();
        rest(&mut stream)
    };
    for path in ["/adapters", "/try", "/openapi.json"] {
        assert_eq!(status(&get(path)), 200, "{path}");
    }
    assert_eq!(status(&post(address, "/try", "", b"")), 405);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(get("/").ends_with("slept"), "the root is of the other service");
    assert!(slow.iter_mut().all(|stream| rest(stream).ends_with("slept")));
    let metrics = get("/metrics");
    let faults: Vec<_> = metrics.lines().filter(|l| l.starts_with("budwood_faults")).collect();
    assert_eq!(faults, ["budwood_faults_total{status=\"405\"} 1"], "{metrics}");
}

/// Tests that look at memory do so one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Megabytes that this process holds.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
}

#[test]
fn slow_requests_end_and_are_told() {
    let (_world, address) = start(limits());
    // Headers a byte at a time.
    let mut slow = connect(address);
    let begin = Instant::now();
    for byte in b"GET /health HTTP/1.1\r\nhost: a-long-name-of-a-host-that-never-ends" {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(status(&rest(&mut slow)), 0);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    // A body that stops, one a byte at a time, and pieces that never end.
    for (headers, drip) in [
        ("content-length: 1000\r\n", ""),
        ("content-length: 1000\r\n", " "),
        ("transfer-encoding: chunked\r\n", "1\r\n \r\n"),
    ] {
        let mut slow = connect(address);
        slow.write_all(head("/predict", headers).as_bytes()).unwrap();
        let begin = Instant::now();
        let mut drips = slow.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            while !drip.is_empty() && drips.write_all(drip.as_bytes()).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let answer = rest(&mut slow);
        let took = begin.elapsed();
        assert_eq!(status(&answer), 408, "{headers} {answer}");
        assert!(took > Duration::from_secs(1) && took < Duration::from_secs(6), "{took:?}");
        drop(slow);
        dripping.join().unwrap();
    }
    // A body that breaks off.
    let mut cut = connect(address);
    cut.write_all(head("/predict", "content-length: 1000\r\n").as_bytes()).unwrap();
    cut.write_all(b"{\"inputs\":").unwrap();
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    assert!([0, 400].contains(&status(&rest(&mut cut))));
    lives(address);
}

/// Announcing much takes nothing: forty clients with 8 MB each are more than all bodies may be.
#[test]
fn bodies_that_are_announced_and_do_not_come_hold_up_nobody() {
    let limits = Limits { arrival: Duration::from_secs(20), ..limits() };
    let (_world, address) = start(limits);
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(head("/predict", "content-length: 8000000\r\n").as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    lives(address);
    drop(waiting);
}

/// More clients that stop in the middle of their bodies than connections: who comes is let in.
#[test]
fn bodies_that_stop_make_room_for_others() {
    let limits = Limits { connections: 20, arrival: Duration::from_secs(60), ..limits() };
    let (_world, address) = start(limits);
    let stopped: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(head("/predict", "content-length: 9\r\n").as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1500));
    lives(address);
    drop(stopped);
}

#[test]
fn bodies_that_are_too_much_are_refused_by_name() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (world, address) = start(limits());
    let large = format!("{{\"inputs\":\"{}\"", "a".repeat(20 << 20));
    let many = |n: usize| format!("[{}0]", "0,".repeat(n));
    let inputs = |n: usize| json!({ "inputs": vec!["good"; n], "adapter": "a" }).to_string();
    let names = |names: Vec<String>, inputs: usize| {
        json!({ "inputs": vec!["good"; inputs], "adapter": names }).to_string()
    };
    // Its tokens would take 300 MB until they are cut.
    let text = json!({ "inputs": "good ".repeat(300_000), "adapter": "a" }).to_string();
    let each = |s: &str, n: usize| (0..n).map(|i| s.replace('#', &i.to_string())).collect();
    world_of_names(&world);
    for (headers, body, wanted, word) in [
        ("", large, 413, "8388608 bytes"),
        ("content-encoding: gzip\r\n", inputs(1), 415, "Content-Encoding"),
        ("", format!("{{\"inputs\":{}", "[".repeat(1_000_000)), 413, "262144 values"),
        ("", format!("{{\"inputs\":{}", "[".repeat(10_000)), 400, "recursion"),
        ("", format!("{{\"inputs\":{}}}", "{\"a\":".repeat(10_000)), 400, "recursion"),
        ("", format!("{{\"adapter\":\"a\",\"inputs\":{}}}", many(4_000_000)), 413, "262144 values"),
        ("", inputs(5_000), 413, "5000 inputs"),
        ("", names(each("n#", 100), 100), 413, "1100 inputs"),
        ("", names(each("n*", 1_000), 1), 413, "16"),
        ("", names(each("x#", 5_000), 1), 413, "5000 adapters"),
        ("", "\u{0}".repeat(1_000), 400, "not as it should be"),
        ("", text, 413, "1048576 bytes"),
        ("", String::new(), 400, "not as it should be"),
        ("content-type: application/x-www-form-urlencoded\r\n", inputs(1), 200, "label"),
    ] {
        let before = memory();
        let answer = post(address, "/predict", headers, body.as_bytes());
        let shown = answer.get(..400).unwrap_or(&answer);
        assert_eq!(status(&answer), wanted, "{word}: {shown}");
        assert!(answer.contains(word), "{word}: {shown}");
        assert!(memory() < before + 150, "{word}: {} to {}", before, memory());
        lives(address);
    }
    // Pieces without end, as fast as they are taken.
    let mut endless = connect(address);
    endless.write_all(head("/predict", "transfer-encoding: chunked\r\n").as_bytes()).unwrap();
    let piece = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let mut sending = endless.try_clone().unwrap();
    let sent = std::thread::spawn(move || while sending.write_all(piece.as_bytes()).is_ok() {});
    assert_eq!(status(&rest(&mut endless)), 413);
    drop(endless);
    sent.join().unwrap();
    // Headers that are too long.
    let mut long = connect(address);
    let _ = long.write_all(head("/predict", &format!("x: {}\r\n", "a".repeat(1 << 20))).as_bytes());
    assert_eq!(status(&rest(&mut long)), 431);
    // A text of 1 MB is cut as any long one, and others do not wait for it.
    let text = json!({ "inputs": "good ".repeat(200_000), "adapter": "a" }).to_string();
    let long: Vec<_> = (0..4)
        .map(|_| {
            let text = text.clone();
            std::thread::spawn(move || post(address, "/predict", "", text.as_bytes()))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    lives(address);
    for long in long {
        let answer = long.join().unwrap();
        assert!(status(&answer) == 200 && answer.contains("x-cut-inputs: 1"), "{answer}");
    }
}

/// A hundred more adapters.
fn world_of_names(world: &World) {
    for i in 0..100 {
        world.adapter(&format!("n{i}"), "bitfit", i, TWO);
    }
}

/// Answers that nobody reads take little memory, are cut, and others are answered meanwhile.
#[test]
fn unread_answers_are_bounded_and_end() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = Limits { time: Duration::from_secs(5), ..limits() };
    let (_world, address) = start(limits);
    lives(address);
    // All are different: what is alike is computed once.
    let words = ["good", "fine", "bad", "poor", "film", "was", "very", "so", "and", "it", "a"];
    let word = |i: usize| words[i % words.len()];
    let text = |i: usize| format!("{} {} {}", word(i), word(i / 11), word(i / 121));
    let body = json!({ "inputs": (0..1024).map(text).collect::<Vec<_>>() }).to_string();
    let whole = post(address, "/embed", "", body.as_bytes());
    assert_eq!(status(&whole), 200);
    let before = memory();
    let ask = head("/embed", &format!("content-length: {}\r\n", body.len())) + &body;
    let mut unread: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    let more = memory().saturating_sub(before);
    let all = (400 * whole.len()) >> 20;
    assert!(all > 200 && more < 250, "{more} MB of {all} MB");
    // All of it is cut at some time.
    std::thread::sleep(Duration::from_secs(8));
    lives(address);
    let cut = unread.iter_mut().map(rest).filter(|got| got.len() < whole.len()).count();
    assert!(cut > 40, "{cut} of 400 were cut");
}

/// Requests one after the other without waiting for answers.
#[test]
fn pipelines_are_answered_in_order_or_cut() {
    let (_world, address) = start(limits());
    let mut stream = connect(address);
    let mut ask = String::new();
    for i in 0..300 {
        let body = json!({ "inputs": vec!["good"; i % 3 + 1], "adapter": "a" }).to_string();
        let length = body.len();
        ask +=
            &format!("POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    }
    ask += "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut sending = stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || sending.write_all(ask.as_bytes()).unwrap());
    let answers = rest(&mut stream);
    sent.join().unwrap();
    let counts: Vec<usize> =
        answers.split("HTTP/1.1 200").skip(1).map(|a| a.matches("good\"").count()).collect();
    let wanted: Vec<usize> = (0..300).map(|i| i % 3 + 1).chain([0]).collect();
    assert_eq!(counts, wanted);
    // Without end, and nothing is read.
    let mut flood = connect(address);
    flood.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    let begin = Instant::now();
    let end = loop {
        match flood.write(&ask) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => lives(address),
            Err(e) => break e,
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "it goes on");
    };
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&end.kind()), "{end}");
}

/// The header of a PNG, and nothing more.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    image.extend(width.to_be_bytes());
    image.extend(height.to_be_bytes());
    image.extend([8, 2, 0, 0, 0]);
    let crc = image[12..].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xedb8_8320 * (c & 1)))
    });
    image.extend((!crc).to_be_bytes());
    image.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    image
}

/// Images that are small as files and large as pixels.
#[test]
fn images_are_bounded_by_what_they_declare() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let base = Base::open(golden.join("golden/base/vit")).unwrap();
    let address = serve(settings(base, &world, limits()));
    let embed = |images: &[&[u8]]| {
        let inputs: Vec<String> = images.iter().map(|i| STANDARD.encode(i)).collect();
        post(address, "/embed", "", json!({ "inputs": inputs }).to_string().as_bytes())
    };
    let small = std::fs::read(golden.join("images/rgb.png")).unwrap();
    let wanted = embed(&[&small]);
    assert_eq!(status(&wanted), 200, "{wanted}");
    let before = memory();
    for (images, code, word) in [
        (vec![png(60_000, 60_000)], 422, "pixels"),
        (vec![png(u32::MAX, u32::MAX)], 422, ""),
        (vec![png(0, 0)], 422, ""),
        (vec![png(8_000, 8_000)], 413, "50 million pixels"),
        (vec![small.clone(), png(5_000, 9_990), small.clone()], 422, ""),
        (vec![png(5_000, 5_000), png(5_000, 5_001)], 422, ""),
        (vec![b"GIF89a".to_vec()], 422, ""),
    ] {
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let answer = embed(&images);
        assert_eq!(status(&answer), code, "{word}: {answer}");
        assert!(answer.contains(word), "{answer}");
    }
    // Each is small enough, all together are not.
    let pixels = 50_000_000 / image_size(&small) + 1;
    let many: Vec<&[u8]> = (0..pixels.min(1024)).map(|_| &small[..]).collect();
    let answer = embed(&many);
    assert!([200, 413, 429, 504].contains(&status(&answer)), "{answer}");
    assert!(memory() < before + 400, "{} to {}", before, memory());
    assert_eq!(embed(&[&small]).split("\r\n\r\n").nth(1), wanted.split("\r\n\r\n").nth(1));
}

fn image_size(png: &[u8]) -> usize {
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    side(16) * side(20)
}
