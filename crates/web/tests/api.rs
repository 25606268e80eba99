//! The interface for programs.
#![allow(clippy::unwrap_used)]

mod common;

use axum::http::StatusCode;
use budwood_board::{Board, token};
use common::{World, apart, form};
use serde_json::{Value, json};

const TABLE: &str = "/api/v1/evaluations/image-classification-on-mnist/";

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let (mut path, mut names) = ("/api/v1/tasks/?items_per_page=4".to_owned(), Vec::new());
    let count = loop {
        let page = world.get(&path).await.json();
        let results = page["results"].as_array().unwrap();
        names.extend(results.iter().map(|t| t["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = next.strip_prefix("http://board.test").unwrap().to_owned(),
            None => break page["count"].as_u64().unwrap(),
        }
        assert!(results.len() == 4 && names.len() < 1000);
    };
    assert_eq!(names.len() as u64, count);
    names.sort();
    names.dedup();
    assert_eq!(names.len() as u64, count, "no entry twice");
    let last = world.get("/api/v1/tasks/?items_per_page=4&page=2").await.json();
    assert!(last["previous"].as_str().unwrap().ends_with("page=1"));
    let beyond = world.get("/api/v1/tasks/?page=99999999999999999999").await;
    assert_eq!(beyond.status, StatusCode::OK);
}

#[tokio::test]
async fn entries_have_the_fields_of_the_archives_client() {
    let world = World::new();
    let table = world.get(TABLE).await.json();
    assert_eq!(
        (&table["id"], &table["task"]),
        (&json!("image-classification-on-mnist"), &json!("image-classification"))
    );
    let metrics = world.get(&format!("{TABLE}metrics/")).await.json();
    assert_eq!(metrics["results"][0]["name"], "Percentage error");
    assert_eq!(metrics["results"][0]["is_loss"], true);
    let results = world.get(&format!("{TABLE}results/")).await.json();
    let first = &results["results"][0];
    assert_eq!(
        (&first["best_rank"], &first["metrics"]["Percentage error"]),
        (&json!(1), &json!("0.23"))
    );
    for field in ["id", "methodology", "uses_additional_data", "paper", "evaluated_on", "state"] {
        assert!(first.get(field).is_some(), "{field}");
    }
    let paper =
        world.get("/api/v1/papers/parameter-efficient-transfer-learning-for-nlp/").await.json();
    for field in
        ["id", "arxiv_id", "url_abs", "url_pdf", "title", "abstract", "authors", "published"]
    {
        assert!(paper.get(field).is_some(), "{field}");
    }
    let code = world
        .get("/api/v1/papers/parameter-efficient-transfer-learning-for-nlp/repositories/")
        .await
        .json();
    assert_eq!(
        (&code["results"][0]["owner"], &code["results"][0]["is_official"]),
        (&json!("google-research"), &json!(true))
    );
    let found = world.get("/api/v1/search/?q=mnist").await.json();
    assert!(found["results"].as_array().unwrap().iter().any(|f| f["id"] == "mnist"));
    let missing = world.get("/api/v1/papers/none/").await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (StatusCode::NOT_FOUND, "application/json")
    );
    assert!(missing.json()["error"].as_str().unwrap().contains("none"));
}

/// The description names every address, and each answers.
#[tokio::test]
async fn the_description_is_true() {
    let world = World::new();
    let description = world.get("/api/v1/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 25);
    let example = |path: &str| {
        let id = match path.split('/').nth(1).unwrap() {
            "areas" => "computer-vision",
            "tasks" => "image-classification",
            "datasets" => "mnist",
            "methods" => "adapter",
            "papers" => "parameter-efficient-transfer-learning-for-nlp",
            "evaluations" => "image-classification-on-mnist",
            _ => "1",
        };
        path.replace("{id}", id)
    };
    for (path, methods) in paths {
        if methods.get("get").is_some() {
            let path = format!("/api/v1{}", example(path));
            let answer = world.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        }
    }
}

fn record(value: &str) -> Value {
    json!({
        "task": "Image Classification", "dataset": { "name": "MNIST" },
        "metrics": [{ "name": "Percentage error", "value": value }],
        "model": { "name": "Ours" }, "external_id": format!("ours-{value}"),
    })
}

#[tokio::test]
async fn a_result_is_submitted_once() {
    let world = World::new();
    let first = world.post_json("/api/v1/submit/", &world.submit, &record("0.2")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    let again = world.post_json("/api/v1/submit", &world.submit, &record("0.2")).await;
    assert_eq!(
        (again.status, again.json()["result"].clone()),
        (StatusCode::OK, first.json()["result"].clone())
    );
    let (kind, body) = form(&[("record", &record("0.19").to_string())]);
    let authorization = format!("Bearer {}", world.submit);
    let by_form = world
        .post(
            "/api/v1/submit/",
            &[("content-type", &kind), ("authorization", &authorization)],
            body,
        )
        .await;
    assert_eq!(by_form.status, StatusCode::CREATED, "{}", by_form.text());
    let page = world.get("/sota/image-classification-on-mnist").await.text();
    assert_eq!(page.matches(">Ours<").count(), 2);
}

#[tokio::test]
async fn bad_submissions_are_refused_with_their_place() {
    let world = World::new();
    let mut cases =
        vec![(json!([1]), "record"), (json!({ "tusk": "x" }), "tusk"), (json!({}), "task")];
    let mut no_value = record("1");
    no_value["metrics"] = json!([]);
    cases.push((no_value, "metrics"));
    let mut bad_date = record("1");
    bad_date["date"] = json!("yesterday");
    cases.push((bad_date, "date"));
    for (body, place) in cases {
        let answer = world.post_json("/api/v1/submit/", &world.submit, &body).await;
        let message = answer.text();
        assert!(
            answer.status == StatusCode::BAD_REQUEST && message.contains(place),
            "{body}: {message}"
        );
    }
    let (kind, body) = form(&[
        ("record", &record("3").to_string()),
        ("weights", "not tensors"),
        ("description", "{}"),
    ]);
    let authorization = format!("Token {}", world.submit);
    let headers = [("content-type", kind.as_str()), ("authorization", authorization.as_str())];
    let answer = world.post("/api/v1/submit/", &headers, body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    let (_, body) = form(&[("record", &record("3").to_string()), ("weights", "half an adapter")]);
    assert!(world.post("/api/v1/submit/", &headers, body).await.text().contains("adapter.json"));
    let mut new_task = record("1");
    new_task["task"] = json!("A new task");
    let refused = world.post_json("/api/v1/submit/", &world.submit, &new_task).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let taken = world.post_json("/api/v1/submit/", &world.moderate, &new_task).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text());
}

#[tokio::test]
async fn evaluation_synchronize_changes_nothing_the_second_time() {
    let world = World::new();
    let body = json!({
        "task": "Image Classification", "dataset": "MNIST", "external_id": "lab-mnist", "description": "",
        "metrics": [{ "name": "Percentage error", "description": "", "is_loss": true }],
        "results": [{ "metrics": { "Percentage error": "0.17" }, "methodology": "Synchronized", "uses_additional_data": false,
                      "external_id": "lab-1", "evaluated_on": "2020-01-01" }],
    });
    let path = "/api/v1/rpc/evaluation-synchronize/";
    let first = world.post_json(path, &world.submit, &body).await;
    assert_eq!(
        (first.status, &first.json()["added"]),
        (StatusCode::OK, &json!(1)),
        "{}",
        first.text()
    );
    let again = world.post_json(path, &world.submit, &body).await.json();
    assert_eq!(
        (&again["added"], &again["changed"], &again["unchanged"]),
        (&json!(0), &json!(0), &json!(1))
    );
    let mut better = body.clone();
    better["results"][0]["metrics"]["Percentage error"] = json!("0.16");
    assert_eq!(world.post_json(path, &world.submit, &better).await.json()["changed"], 1);
    let results = world.get(&format!("{TABLE}results/")).await.json();
    assert_eq!(results["results"][0]["metrics"]["Percentage error"], "0.16");
}

#[tokio::test]
async fn writing_needs_a_good_token() {
    let world = World::new();
    for path in ["/api/v1/submit/", "/api/v1/rpc/evaluation-synchronize/"] {
        let none = world
            .post(path, &[("content-type", "application/json")], record("1").to_string())
            .await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED, "{path}");
        let wrong = world.post_json(path, "bw_0000", &record("1")).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let read = apart(|| {
        let mut board = Board::open(&world.place).unwrap();
        token::add(&mut board, "rita", token::Role::Read, "test").unwrap()
    });
    assert_eq!(
        world.post_json("/api/v1/submit/", &read, &record("1")).await.status,
        StatusCode::FORBIDDEN
    );
    apart(|| {
        let mut board = Board::open(&world.place).unwrap();
        token::revoke(&mut board, "sam", "test").unwrap();
    });
    let revoked = world.post_json("/api/v1/submit/", &world.submit, &record("1")).await;
    assert_eq!(revoked.status, StatusCode::UNAUTHORIZED);
}
