//! Adapters that come over the network, and who may do what there.
#![allow(clippy::unwrap_used)]

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use budwood_board::Board;
use common::{Answer, FORM, World, adapter_of, apart, parts, place, record};
use hyper::body::Frame;
use serde_json::{Value, json};

async fn by_api(world: &World, model: &str, parameters: usize) -> Answer {
    let (record, weights, description) = adapter_of(model, parameters);
    let record = record.to_string();
    let body = parts(&[
        ("record", record.as_bytes()),
        ("weights", &weights),
        ("description", &description),
    ]);
    let authorization = format!("Token {}", world.submit);
    let headers = [("content-type", FORM), ("authorization", authorization.as_str())];
    world.post("/api/v1/submit/", &headers, body).await
}

async fn by_form(world: &World, model: &str, parameters: usize) -> Answer {
    let shown = world.get("/submit").await;
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = shown.text();
    let key = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let (_, weights, description) = adapter_of(model, parameters);
    let body = parts(&[
        ("form", key.as_bytes()),
        ("token", world.submit.as_bytes()),
        ("task", b"Image Classification"),
        ("dataset", b"MNIST"),
        ("metric0", b"Percentage error"),
        ("value0", b"0.2"),
        ("model", model.as_bytes()),
        ("weights", &weights),
        ("description", &description),
    ]);
    world.post("/submit", &[("content-type", FORM), ("cookie", &cookie)], body).await
}

#[tokio::test]
async fn a_part_of_an_unknown_name_is_refused_and_nothing_is_recorded() {
    let world = World::new();
    let (record, weights, description) = adapter_of("by another name", 10);
    let record = record.to_string();
    let body = parts(&[
        ("record", record.as_bytes()),
        ("adapter.safetensors", &weights),
        ("adapter.json", &description),
    ]);
    let authorization = format!("Token {}", world.submit);
    let headers = [("content-type", FORM), ("authorization", authorization.as_str())];
    let answer = world.post("/api/v1/submit/", &headers, body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("adapter.safetensors"), "{}", answer.text());
    assert!(!world.get("/log").await.text().contains("by another name"));
}

#[tokio::test]
async fn an_adapter_of_three_megabytes_comes_in_and_one_over_the_limit_does_not() {
    let world = World::new();
    let files = || place::files(&world.place);
    let done = by_api(&world, "by API", 750_000).await;
    assert_eq!(
        (done.status, &done.json()["state"]),
        (StatusCode::CREATED, &json!("attached")),
        "{}",
        done.text()
    );
    let done = by_form(&world, "by form", 750_001).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    assert!(world.get(done.header("location")).await.text().contains("adapter.safetensors"));
    assert_eq!(files(), 4);
    for answer in
        [by_api(&world, "large", 17_000_000).await, by_form(&world, "large", 17_000_000).await]
    {
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.text().contains("65.0 MB"), "the limit is said: {}", answer.text());
    }
    assert_eq!(files(), 4);
}

#[tokio::test]
async fn what_does_not_go_with_the_board_is_a_conflict() {
    let world = World::new();
    let mut first = record("one");
    first["external_id"] = json!("mine");
    assert_eq!(
        world.post_json("/api/v1/submit/", &world.submit, &first).await.status,
        StatusCode::CREATED
    );
    let mut other = first.clone();
    other["dataset"]["name"] = json!("Another");
    let answer = world.post_json("/api/v1/submit/", &world.submit, &other).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    assert!(answer.json()["error"].as_str().unwrap().contains("image-classification-on-mnist"));
    let body = json!({ "task": "Image Classification", "dataset": "Third",
        "results": [{ "methodology": "x", "external_id": "mine", "metrics": { "Percentage error": "1" } }] });
    let answer = world.post_json("/api/v1/rpc/evaluation-synchronize/", &world.submit, &body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
}

#[tokio::test]
async fn data_are_named_and_results_taken_back_by_those_who_may() {
    let world = World::new();
    let slug = "image-classification-on-mnist";
    let sha256 = "a".repeat(64);
    let path = "/api/v1/rpc/leaderboard-data/";
    let named =
        json!({ "leaderboard": slug, "sha256": sha256, "split": "Test", "reason": "official" });
    assert_eq!(world.post_json(path, &world.submit, &named).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.post_json(path, "bw_no", &named).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        world
            .post_json(path, &world.moderate, &json!({ "leaderboard": slug, "split": "test" }))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.post_json(path, &world.moderate, &json!({ "leaderboard": "none" })).await.status,
        StatusCode::NOT_FOUND
    );
    assert!(world.get(&format!("/sota/{slug}")).await.text().contains("names no data"));
    let done = world.post_json(path, &world.moderate, &named).await;
    assert_eq!(
        (done.status, &done.json()["results_moved"]),
        (StatusCode::OK, &json!(0)),
        "{}",
        done.text()
    );
    let page = world.get(&format!("/sota/{slug}")).await.text();
    assert!(page.contains(&sha256) && page.contains("Measured on"));
    let entry = world.get(&format!("/api/v1/evaluations/{slug}/")).await.json();
    assert_eq!(entry["data"], json!({ "sha256": sha256, "split": "test" }));
    assert_eq!(world.get("/api/v1/log/").await.json()["results"][0]["action"], "name data");

    // A row that says other data is shown as such, and holds no rank even among claims.
    let mut toy = record("toy");
    toy["dataset"]["sha256"] = json!("c".repeat(64));
    toy["metrics"][0]["value"] = json!("0.0");
    let toy =
        world.post_json("/api/v1/submit/", &world.submit, &toy).await.json()["result"].clone();
    let page = world.get(&format!("/sota/{slug}?rank=claims")).await.text();
    let row = page
        .split(&format!("data-result=\"{toy}\""))
        .nth(1)
        .unwrap()
        .split("</tr>")
        .next()
        .unwrap();
    assert!(
        row.contains("other data") && row.contains("cccccccc") && row.contains("class=\"none\""),
        "{row}"
    );
    let results =
        world.get(&format!("/api/v1/evaluations/{slug}/results/?rank=claims")).await.json();
    let found =
        results["results"].as_array().unwrap().iter().find(|r| r["id"] == toy).unwrap().clone();
    assert_eq!((&found["elsewhere"], &found["rank"]), (&json!(true), &Value::Null));

    let path = "/api/v1/rpc/retract/";
    let back = |id: &Value| json!({ "result": id, "reason": "wrong data" });
    let first = json!(1);
    assert_eq!(
        world.post_json(path, &world.submit, &back(&first)).await.status,
        StatusCode::FORBIDDEN,
        "not theirs"
    );
    assert_eq!(
        world.post_json(path, &world.submit, &json!({ "result": toy, "reason": " " })).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(world.post_json(path, &world.submit, &back(&toy)).await.status, StatusCode::OK);
    assert_eq!(
        world.post_json(path, &world.moderate, &back(&toy)).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        world.get(&format!("/api/v1/results/{toy}/")).await.json()["row"]["state"],
        "retracted"
    );
    assert!(world.get(&format!("/badge/{toy}.svg")).await.text().contains("retracted"));
}

/// A row whose ranking value nobody measured: pages, interface, badge and files say the same of it.
#[tokio::test]
async fn a_value_that_was_not_measured_is_a_claim_everywhere() {
    let world = World::new();
    let slug = "image-classification-on-mnist";
    let mut two = record("sly");
    two["dataset"] = json!({ "name": "MNIST", "sha256": "a".repeat(64), "split": "test" });
    two["metrics"] = json!([{ "name": "Percentage error", "value": "0.0" }, { "name": "Accuracy", "value": 90 }]);
    let id = world.post_json("/api/v1/submit/", &world.submit, &two).await.json()["result"]
        .as_i64()
        .unwrap();
    let named = json!({ "leaderboard": slug, "sha256": "a".repeat(64), "split": "test" });
    world.post_json("/api/v1/rpc/leaderboard-data/", &world.moderate, &named).await;
    // As a check would leave it.
    let sql = format!(
        "UPDATE results SET state = 're-evaluated' WHERE id = {id};
         UPDATE scores SET measured = 90, confirmed = 1 WHERE result = {id} AND name = 'Accuracy'"
    );
    place::raw(&world.place, &sql).unwrap();
    // Another write brings the counts up to date.
    apart(|| drop(Board::open(&world.place).unwrap()));
    world.post_json("/api/v1/submit/", &world.submit, &record("later")).await;
    let page = world.get(&format!("/sota/{slug}?rank=checked")).await.text();
    let row = page
        .split(&format!("data-result=\"{id}\""))
        .nth(1)
        .unwrap()
        .split("</tr>")
        .next()
        .unwrap()
        .to_owned();
    assert!(
        row.contains(">claimed<") && row.contains("not measured") && row.contains("class=\"none\""),
        "{row}"
    );
    let by_accuracy = world.get(&format!("/sota/{slug}?rank=checked&metric=Accuracy")).await.text();
    let row = by_accuracy
        .split(&format!("data-result=\"{id}\""))
        .nth(1)
        .unwrap()
        .split("</tr>")
        .next()
        .unwrap()
        .to_owned();
    assert!(row.contains(">re-evaluated<") && row.contains("rank\">1<"), "{row}");
    assert!(world.get(&format!("/badge/{id}.svg")).await.text().contains("#1 claimed"));
    let entry = world.get(&format!("/api/v1/results/{id}/")).await.json();
    let states: Vec<_> = entry["row"]["scores"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| !s.is_null())
        .map(|s| s["state"].clone())
        .collect();
    assert_eq!(states, [json!("claimed"), json!("re-evaluated")]);
    assert_eq!(entry["row"]["rank"], Value::Null);
    let csv = world.get(&format!("/export/{slug}.csv")).await.text();
    let line = csv.lines().find(|l| l.contains("sly") && l.contains("Percentage error")).unwrap();
    assert!(line.contains(",claimed,"), "{line}");
    let item = world.get(&format!("/api/v1/evaluations/{slug}/")).await.json();
    assert_eq!((&item["best_verified"], &item["best"]["state"]), (&Value::Null, &json!("claimed")));
    let front = world.get("/task/image-classification").await.text();
    assert!(!front.contains("data-state=\"re-evaluated\""), "no list calls it re-evaluated");
}

/// A body that comes in pieces of 16 kB and counts what is taken of it.
struct Counted {
    pieces: std::vec::IntoIter<Bytes>,
    taken: Arc<AtomicUsize>,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.pieces.next();
        self.taken.fetch_add(piece.as_ref().map_or(0, Bytes::len), Ordering::SeqCst);
        Poll::Ready(piece.map(|p| Ok(Frame::data(p))))
    }
}

fn counted(body: &[u8]) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let pieces: Vec<Bytes> = body.chunks(16 << 10).map(Bytes::copy_from_slice).collect();
    (Body::new(Counted { pieces: pieces.into_iter(), taken: Arc::clone(&taken) }), taken)
}

/// Nobody whose token is not good makes the board hold an adapter of theirs.
#[tokio::test]
async fn a_sender_is_known_before_the_body_is_taken() {
    let world = World::new();
    let (record, weights, description) = adapter_of("big", 750_000);
    let record = record.to_string();
    let body = parts(&[
        ("record", record.as_bytes()),
        ("weights", &weights),
        ("description", &description),
    ]);
    let good = format!("Token {}", world.submit);
    for path in [
        "/api/v1/submit/",
        "/api/v1/rpc/evaluation-synchronize/",
        "/api/v1/rpc/leaderboard-data",
        "/api/v1/rpc/retract/",
    ] {
        for token in [None, Some("Token bw_0"), Some("Basic eDp5"), Some("Token ")] {
            let (body, taken) = counted(&body);
            let mut headers = vec![("content-type", FORM)];
            headers.extend(token.map(|t| ("authorization", t)));
            let answer = world.post(path, &headers, body).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {token:?}");
            assert_eq!(answer.header("www-authenticate"), "Token", "{path} {token:?}");
            assert_eq!(taken.load(Ordering::SeqCst), 0, "{path} {token:?}");
        }
    }
    let shown = world.get("/submit").await;
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = shown.text();
    let (token, file) = (page.find("name=\"token\""), page.find("type=\"file\""));
    assert!(token < file, "browsers send fields in the order of the page");
    let key = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = |key: &str, token: &str| {
        let mut fields = vec![("form", key.as_bytes()), ("token", token.as_bytes())];
        fields.extend([("weights", &weights[..]), ("description", &description)]);
        counted(&parts(&fields))
    };
    for (cookie, key, token, status) in [
        (cookie.as_str(), key, "bw_0", 401),
        (&cookie, key, "", 401),
        (&cookie, "x", &world.submit, 403),
        ("forms=00000000000000000000000000000000", key, &world.submit, 403),
    ] {
        let (body, taken) = form(key, token);
        let headers = [("content-type", FORM), ("cookie", cookie)];
        let answer = world.post("/submit", &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(taken.load(Ordering::SeqCst) <= 96 << 10, "{taken:?} bytes were taken");
    }
    // The token after the files is too late.
    let late =
        parts(&[("form", key.as_bytes()), ("weights", &weights), ("token", good.as_bytes())]);
    let (late, taken) = counted(&late);
    let headers = [("content-type", FORM), ("cookie", cookie.as_str())];
    assert_eq!(world.post("/submit", &headers, late).await.status, StatusCode::UNAUTHORIZED);
    assert!(taken.load(Ordering::SeqCst) <= 96 << 10);
}
