//! Records of submissions and synchronisations that are almost right: no panic, no hang, no fault
//! of the server.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use common::{ARCHIVE, World};
use serde_json::{Value, json};

/// Numbers of a fixed seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn record() -> Value {
    json!({
        "external_id": "x-1", "task": "Image Classification",
        "dataset": { "name": "MNIST", "split": "test", "rows": 10_000, "sha256": "a".repeat(64) },
        "setting": "ensemble",
        "metrics": [{ "name": "Percentage error", "value": "0.31 ± 0.02", "direction": "lower", "interval": [0.2, 0.4] }, { "name": "Params", "value": "24M" }],
        "model": { "name": "Ours", "base": { "name": "tiny", "sha256": "b".repeat(64) },
            "adapter": { "method": "lora[r=8]", "sha256": "c".repeat(64), "trained": 24, "total": 2400 },
            "links": [{ "title": "m", "url": "https://example.org/m" }] },
        "paper": { "title": "On trees", "url": "https://arxiv.org/abs/1902.00751" },
        "code_links": [{ "title": "c", "url": "https://example.org/c" }], "uses_additional_data": false,
        "date": "2020-02-29", "source_url": "https://example.org/s", "notes": "two\nlines", "command": "budwood train",
        "run": { "key": "k", "seed": 1 },
    })
}

fn body() -> Value {
    json!({
        "task": "Image Classification", "dataset": "MNIST", "description": "", "mirror_url": null, "external_id": "lab",
        "metrics": [{ "name": "Percentage error", "description": "", "is_loss": true }],
        "results": [
            { "metrics": { "Percentage error": "0.17", "Params": "2m" }, "methodology": "A", "paper": "https://arxiv.org/abs/1902.00751",
              "uses_additional_data": false, "external_id": "lab-1", "evaluated_on": "2020-01-01", "external_source_url": "" },
            { "metrics": { "Percentage error": 0.18 }, "methodology": "B", "paper": "On trees", "external_id": "lab-2" },
        ],
    })
}

/// Values that break programs.
fn odd(random: &mut Random) -> Value {
    random.of(&[
        Value::Null,
        json!(true),
        json!(""),
        json!(" "),
        json!([]),
        json!({}),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-1e-320),
        json!("NaN"),
        json!("inf"),
        json!("1e999"),
        json!("±"),
        json!("1 ± ± 2"),
        json!("(1"),
        json!("1,2,3,4"),
        json!("−0"),
        json!("9".repeat(100)),
        json!("x".repeat(501)),
        json!("図".repeat(120)),
        json!("\u{1b}[2J"),
        json!("\u{0}"),
        json!("a\u{202e}b"),
        json!("e\u{301}\u{200d}"),
        json!("\u{410}ccuracy"),
        json!("2024-02-30"),
        json!("0000-00-00"),
        json!("9999-12-31"),
        json!("arXiv:9913.99999é.1234.56789"),
        json!("https://arxiv.org/abs/1902.0075"),
        json!("http://"),
        json!("javascript:alert(1)"),
        json!("'; DROP TABLE results; --"),
        json!("%s%n{}{0}"),
        json!("é[r=8]"),
        json!("[r=8]é"),
        json!("MNIST"),
        json!("Percentage error"),
        json!(["a", ["b", { "c": null }]]),
        json!([f64::MAX, f64::MIN]),
        json!([2, 1]),
    ])
}

/// Every place in a value.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(k, v)| {
                places(v, format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), all)
            });
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| places(v, format!("{at}/{i}"), all));
        }
        _ => {}
    }
    all.push(at);
}

/// One small change, of the structure or of the text.
fn mutate(value: &mut Value, random: &mut Random) {
    let mut all = Vec::new();
    places(value, String::new(), &mut all);
    let place = random.of(&all);
    let odd = odd(random);
    let Some(found) = value.pointer_mut(&place) else { return };
    match (random.below(8), found) {
        (0, Value::Object(map)) => {
            let key = random.of(&map
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .into_iter()
                .chain(["none".into()])
                .collect::<Vec<_>>());
            map.remove(&key);
        }
        (1, Value::Object(map)) => {
            let key =
                random.of(&["", "extra", "Percentage error", "é\u{202e}", "percentage  ERROR"]);
            map.insert(key.into(), odd);
        }
        (2, Value::Array(list)) if !list.is_empty() => {
            let again = random.of(list);
            list.extend(std::iter::repeat_n(again, 1 + random.below(60)));
        }
        (3, Value::String(text)) => {
            let mut chars: Vec<char> = text.chars().collect();
            let at = random.below(chars.len() + 1);
            chars.insert(
                at,
                random.of(&[
                    '\u{0}', '9', '.', '±', ' ', 'é', '\u{2028}', '"', '\\', '-', '𝟗', '\u{feff}',
                ]),
            );
            *text = chars.into_iter().collect();
        }
        (4, Value::String(text)) => {
            *text = text.chars().take(random.below(text.chars().count() + 1)).collect()
        }
        (5, Value::Number(n)) => *n = (n.as_i64().unwrap_or(1)).wrapping_mul(i64::MAX / 3).into(),
        (_, found) => *found = odd,
    }
}

/// The text of a record, sometimes not even JSON.
fn written(value: &Value, random: &mut Random) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    match random.below(12) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        2 => {
            let at = random.below(bytes.len());
            bytes.splice(at..at, std::iter::repeat_n(b'[', 200));
        }
        _ => {}
    }
    bytes
}

/// Sends mutants of both kinds; how many of them are taken and how many refused.
async fn attack(world: &World, seed: u64, rounds: usize) -> (usize, usize) {
    let mut random = Random(seed);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..rounds {
        let (path, mut value) = match random.below(2) {
            0 => ("/api/v1/submit/", record()),
            _ => ("/api/v1/rpc/evaluation-synchronize/", body()),
        };
        // Some come with names of their own, so that not all meet the same rows.
        if random.below(2) == 0 {
            value["external_id"] = json!(format!("x-{}", random.below(50)));
        }
        for _ in 0..random.below(4) {
            mutate(&mut value, &mut random);
        }
        let text = written(&value, &mut random);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let token = if random.below(3) == 0 { &world.moderate } else { &world.submit };
        let authorization = format!("Token {token}");
        let headers =
            [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let begin = Instant::now();
        let answer = world.post(path, &headers, Body::from(text)).await;
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "seed {seed} round {round} hangs: {shown}"
        );
        assert!(
            !answer.status.is_server_error(),
            "seed {seed} round {round}, {}: {}\n{shown}",
            answer.status,
            answer.text()
        );
        if answer.status.is_success() { taken += 1 } else { refused += 1 }
    }
    (taken, refused)
}

/// What was taken can be shown.
async fn all_pages_show(world: &World) {
    let list = world.get("/api/v1/evaluations/?items_per_page=500").await.json();
    for item in list["results"].as_array().unwrap() {
        let slug = item["id"].as_str().unwrap();
        for path in ["/sota/", "/embed/", "/api/v1/evaluations/"] {
            let answer = world.get(&format!("{path}{slug}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}{slug}: {}", answer.text());
        }
        assert_eq!(
            world.get(&format!("/export/{slug}.csv")).await.status,
            StatusCode::OK,
            "{slug}"
        );
        let results = world
            .get(&format!("/api/v1/evaluations/{slug}/results/?items_per_page=500"))
            .await
            .json();
        for row in results["results"].as_array().unwrap().iter().take(40) {
            let path = format!("/result/{}", row["id"]);
            assert_eq!(world.get(&path).await.status, StatusCode::OK, "{path}");
        }
    }
    for path in ["/", "/log", "/feed.atom", "/papers", "/datasets", "/search?q=mnist"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
}

fn world() -> World {
    World::with(ARCHIVE, |o| {
        o.limits = budwood_web::Limits { searches: 1e9, writes: 1e9, exports: 1e9, ..o.limits };
    })
}

#[tokio::test]
async fn records_that_are_almost_right_do_no_harm() {
    let world = world();
    let (taken, refused) = attack(&world, 1, 1500).await;
    assert!(taken > 100 && refused > 300, "{taken} taken, {refused} refused");
    all_pages_show(&world).await;
}

/// For an hour, or as many minutes as `BUDWOOD_FUZZ_MINUTES` says: `cargo test -p budwood-web
/// --test records -- --ignored`.
#[tokio::test]
#[ignore = "takes an hour"]
async fn records_do_no_harm_for_an_hour() {
    let minutes =
        std::env::var("BUDWOOD_FUZZ_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seed = 2;
    while Instant::now() < end {
        let world = world();
        attack(&world, seed, 3000).await;
        all_pages_show(&world).await;
        seed += 1;
    }
}
