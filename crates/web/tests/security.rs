//! Hostile texts, addresses and clients.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use budwood_web::Limits;
use common::{World, attributes, form, live, place};
use serde_json::{Value, json};

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
const ADDRESS: &str = "javascript:alert(document.cookie)//https://x";

/// An archive with something hostile in every field of text and every address.
fn hostile() -> String {
    let link = json!([{ "title": SCRIPT, "url": ADDRESS }]);
    let row = |model: &str, value: Value| {
        json!({
            "model_name": format!("{model} {SCRIPT}"), "paper_title": SCRIPT, "paper_url": ADDRESS, "paper_date": "2020-01-01",
            "code_links": link, "model_links": link, "metrics": { format!("M {SCRIPT}"): value }, "uses_additional_data": true,
        })
    };
    json!([{
        "task": format!("T {SCRIPT}"), "description": format!("{SCRIPT} [x]({ADDRESS}) ![y]({ADDRESS}) <{ADDRESS}>"),
        "categories": [SCRIPT], "synonyms": [SCRIPT], "source_link": { "title": SCRIPT, "url": ADDRESS },
        "datasets": [{
            "dataset": format!("D {SCRIPT}"), "description": SCRIPT, "dataset_links": link, "dataset_citations": link,
            "sota": { "metrics": [format!("M {SCRIPT}")], "rows": [row("a", json!(SCRIPT)), row("b", json!("1.0")), row("c", json!("2.0"))] },
        }],
        "subtasks": [{ "task": format!("S {SCRIPT}"), "description": SCRIPT, "datasets": [] }],
    }])
    .to_string()
}

fn harmless(path: &str, page: &str) {
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}");
    for name in ["href", "src", "action", "formaction", "data"] {
        for value in attributes(page, name) {
            let value = value.trim().to_ascii_lowercase();
            assert!(
                !value.starts_with("javascript:") && !value.starts_with("data:"),
                "{path}: {value}"
            );
        }
    }
    // The policy forbids these; a page that holds one is broken as well as dangerous.
    let inline =
        page.split("<script").skip(1).filter(|s| !s.trim_start().starts_with("src=")).count();
    assert_eq!((inline, page.matches(" style=\"").count()), (0, 0), "{path}");
    assert!(!page.contains(" onerror=\"") && !page.contains(" onclick="), "{path}");
}

#[tokio::test]
async fn stored_scripts_are_text_on_every_page() {
    let world =
        World::with(&hostile(), |o| o.limits = Limits { searches: 1e6, writes: 1e6, ..o.limits });
    let submission = json!({
        "task": format!("T {SCRIPT}"), "dataset": { "name": format!("D {SCRIPT}"), "split": SCRIPT },
        "setting": SCRIPT, "metrics": [{ "name": format!("M {SCRIPT}"), "value": "3.0" }],
        "model": { "name": SCRIPT, "base": { "name": SCRIPT }, "adapter": { "method": SCRIPT }, "links": [{ "title": SCRIPT, "url": "https://example.org/" }] },
        "paper": { "title": SCRIPT, "url": "https://example.org/p" }, "code_links": [{ "title": SCRIPT, "url": "https://example.org/c" }],
        "notes": SCRIPT, "command": SCRIPT, "run": { SCRIPT: SCRIPT }, "external_id": SCRIPT,
    });
    let done = world.post_json("/api/v1/submit/", &world.moderate, &submission).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text());
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["/".to_owned()]);
    let mut hostile_pages = 0;
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) || seen.len() > 1500 {
            continue;
        }
        let answer = world.get(&path).await;
        let kind = answer.header("content-type").to_owned();
        assert!(!kind.is_empty() && answer.header("x-content-type-options") == "nosniff", "{path}");
        // What is not a page is never taken for one: its type is fixed, and kept by `nosniff`.
        if kind.starts_with("application/atom") || kind.starts_with("image/svg") {
            assert!(!answer.text().contains("<script"), "{path}");
        }
        if !kind.starts_with("text/html") {
            continue;
        }
        let page = answer.text();
        harmless(&path, &page);
        hostile_pages += usize::from(page.contains("&lt;script&gt;alert(1)"));
        let links = attributes(&page, "href");
        waiting.extend(
            links.into_iter().filter(|l| {
                l.starts_with('/') && !l.starts_with("/theme") && !l.contains("order=")
            }),
        );
    }
    assert!(hostile_pages > 12, "{hostile_pages} of {} pages show the hostile texts", seen.len());
}

#[tokio::test]
async fn reflected_scripts_are_text() {
    let world = World::new();
    let word: String = form_urlencoded::byte_serialize(SCRIPT.as_bytes()).collect();
    for path in [
        "/search?q=",
        "/search?kind=",
        "/sota/image-classification-on-mnist?model=",
        "/sota/image-classification-on-mnist?base=",
        "/sota/image-classification-on-mnist?metric=",
        "/sota/image-classification-on-mnist?trained=",
        "/papers?page=",
        "/compare?row=",
        "/task/",
        "/paper/",
        "/result/",
        "/sota/",
        "/nothing/",
        "/log?subject=",
        "/theme?back=",
        "/submit?leaderboard=",
        "/export/",
        "/badge/",
    ] {
        let path = format!("{path}{}", word.replace('+', "%20"));
        let answer = world.get(&path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        if answer.header("content-type").starts_with("text/html") {
            harmless(&path, &answer.text());
        }
    }
}

#[tokio::test]
async fn query_languages_are_not_spoken_to_clients() {
    let world = World::new();
    for words in [
        "'; DROP TABLE papers; --",
        "\" OR 1=1 --",
        "a NEAR/2 b",
        "title:x",
        "x*",
        "*",
        "(",
        "\"",
        "AND",
        "NOT a",
        "^a",
        "{a b}: c",
        "a\u{0}b",
        "-mnist",
        "%",
        "_",
        "a + b",
        "\\",
        "''''",
        "1 UNION SELECT sha256 FROM tokens",
    ] {
        let word: String = form_urlencoded::byte_serialize(words.as_bytes()).collect();
        for path in [
            "/search?q=",
            "/api/v1/search/?q=",
            "/sota/image-classification-on-mnist?model=",
            "/log?subject=",
        ] {
            let answer = world.get(&format!("{path}{word}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}{words}: {}", answer.text());
            assert!(!answer.text().to_lowercase().contains("sql"), "{path}{words}");
        }
        for path in ["/task/", "/paper/", "/sota/", "/dataset/", "/method/", "/area/"] {
            let segment = word.replace('+', "%20");
            assert_eq!(
                world.get(&format!("{path}{segment}")).await.status,
                StatusCode::NOT_FOUND,
                "{path}{words}"
            );
        }
    }
    assert!(
        world.get("/papers").await.text().contains("Parameter-Efficient"),
        "nothing was dropped"
    );
}

#[tokio::test]
async fn paths_lead_to_nothing_but_the_boards_own() {
    let world = World::new();
    std::fs::write(world.folder.path().join("secret.txt"), "secret").unwrap();
    for path in [
        "/static/../board.db",
        "/static/..%2fboard.db",
        "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static/board.css",
        "/result/1/files/..%2f..%2fboard.db",
        "/result/1/files/%2fetc%2fpasswd",
        "/result/1/files/board.db",
        "/result/1/adapter",
        "/export/..%2fboard.db",
        "/export/..%2f..%2fetc%2fpasswd.csv",
        "/files/x",
        "/board.db",
        "/secret.txt",
        "/%00",
        "/sitemap/..%2f..%2fx.xml",
        "/badge/..%2f1.svg",
        "//etc/passwd",
        "/result/-1",
        "/result/99999999999999999999",
        "/result/1%20OR%201",
    ] {
        let answer = world.get(path).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            !text.contains("SQLite format") && !text.contains("root:") && text != "secret",
            "{path}"
        );
    }
    let bad = world.get("/task/%ff").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let world = World::new();
    let shown = world.get("/submit?leaderboard=image-classification-on-mnist").await;
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(
        shown.header("set-cookie").contains("SameSite=Strict")
            && shown.header("set-cookie").contains("HttpOnly")
    );
    let page = shown.text();
    let key =
        page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let filled = |key: &str| {
        form(&[
            ("form", key),
            ("task", "Image Classification"),
            ("dataset", "MNIST"),
            ("metric0", "Percentage error"),
            ("value0", "0.2"),
            ("model", "By form"),
            ("token", &world.submit),
        ])
    };
    let other = World::new();
    let foreign =
        other.get("/submit").await.header("set-cookie").split(';').next().unwrap().to_owned();
    for (cookie, key) in
        [("", key.as_str()), (&cookie, ""), (&cookie, "0"), (&foreign, &key), ("forms=", "")]
    {
        let (kind, body) = filled(key);
        let answer =
            world.post("/submit", &[("content-type", &kind), ("cookie", cookie)], body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{cookie} {key}");
        assert!(answer.text().contains("value=\"By form\""), "what was filled in is not lost");
        assert!(!answer.text().contains(&world.submit), "but the token is not sent back");
    }
    let results = "/api/v1/evaluations/image-classification-on-mnist/results/";
    assert_eq!(world.get(results).await.json()["count"], 4);
    let (kind, body) = filled(&key);
    let answer = world.post("/submit", &[("content-type", &kind), ("cookie", &cookie)], body).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(world.get(answer.header("location")).await.text().contains("By form"));
    assert_eq!(world.get(results).await.json()["count"], 5);
}

#[tokio::test]
async fn one_client_may_not_ask_for_too_much() {
    let limits = Limits { searches: 1.0, writes: 2.0, ..Limits::default() };
    let world = World::with(common::ARCHIVE, |o| o.limits = limits);
    let mut refused = None;
    for i in 0..20 {
        let answer = world.get("/search?q=mnist").await;
        if answer.status != StatusCode::OK {
            assert!(i >= 10, "a burst of ten is allowed");
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("searches are limited");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, "1")
    );
    assert_eq!(world.get("/tasks").await.status, StatusCode::OK, "pages are not");
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(world.post_json("/api/v1/submit/", "wrong", &json!({})).await.status.as_u16());
    }
    assert_eq!(codes, [401, 401, 429, 429], "guessing tokens is slow");
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let limits = Limits { upload: 1 << 20, writes: 1e6, ..Limits::default() };
    let world = World::with(common::ARCHIVE, |o| o.limits = limits);
    let large = "x".repeat((1 << 20) + 1);
    let stated = (1u64 << 40).to_string();
    let token = format!("Token {}", world.submit);
    let plain = [("content-type", "application/json"), ("authorization", token.as_str())];
    let headers = [plain[0], plain[1], ("content-length", stated.as_str())];
    assert_eq!(
        world.post("/api/v1/submit/", &headers, "{}").await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        world.post("/api/v1/submit/", &plain, large).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let many: Vec<(String, String)> = (0..100).map(|i| (format!("p{i}"), "x".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let (kind, body) = form(&many);
    assert_eq!(
        world.post("/submit", &[("content-type", &kind)], body).await.status,
        StatusCode::BAD_REQUEST
    );
    for broken in [
        "",
        "--xyz\r\n",
        "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end",
        "\r\n\r\n--xyz--",
    ] {
        let answer = world
            .post("/submit", &[("content-type", "multipart/form-data; boundary=xyz")], broken)
            .await;
        assert!(answer.status.is_client_error(), "{broken:?}: {}", answer.status);
    }
}

/// A body that says it is packed is not unpacked: 40 kB that would be 40 MB stay 40 kB.
#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    let world = World::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 40 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 50_000);
    let authorization = format!("Token {}", world.submit);
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("authorization", authorization.as_str()),
    ];
    for path in ["/api/v1/submit/", "/api/v1/rpc/evaluation-synchronize/"] {
        assert_eq!(
            world.post(path, &headers, bomb.clone()).await.status,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}

#[tokio::test]
async fn errors_show_no_internals() {
    let world = World::new();
    // The database loses a table under the server.
    place::raw(&world.place, "ALTER TABLE results RENAME TO gone").unwrap();
    for path in ["/", "/result/1", "/api/v1/results/1/", "/sota/image-classification-on-mnist"] {
        let answer = world.get(path).await;
        let text = answer.text();
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        let folder = world.folder.path().display().to_string();
        for inner in ["results", "SELECT", "no such table", "sqlite", "src/", &folder] {
            assert!(!text.contains(inner), "{path} shows '{inner}': {text}");
        }
    }
}

#[test]
fn slow_clients_are_let_go_and_do_not_keep_others_waiting() {
    let (address, _folder) = live(Limits { seconds: 1, ..Limits::default() });
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(b"POST /submit HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
                .unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    let mut quick = TcpStream::connect(address).unwrap();
    quick.write_all(b"GET /about HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    quick.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && start.elapsed() < Duration::from_secs(5), "{page}");
    for mut stream in slow {
        let mut answer = [0; 64];
        let n = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(text.starts_with("HTTP/1.1 408") || text.starts_with("HTTP/1.1 429"), "{text}");
    }
}
