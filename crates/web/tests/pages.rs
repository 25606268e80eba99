//! Every page that can be reached is whole, and says what it must.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use budwood_web::{Answer as Prediction, Limits, Predictor};
use common::{World, attributes};
use serde_json::{Map, Value, json};

/// Answers with the text itself.
struct Echo;

impl Predictor for Echo {
    fn predict(&self, _: i64, text: &str) -> Result<Vec<Prediction>, String> {
        Ok(vec![Prediction { label: text.to_owned(), probability: None }])
    }
}

/// Whether a path is one of an address such as `/result/{id}/adapter`.
fn is_of(path: &str, address: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let segments = |p: &str| p.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (given, wanted) = (segments(path), segments(address));
    let same = |(g, w): (&String, &String)| g == w || w.starts_with('{') && !g.is_empty();
    given.len() == wanted.len() && given.iter().zip(&wanted).all(same)
}

/// What a form is sent with, and what a page is asked that begins the crawl: fields of all of them.
const FILLED: &str = "q=a&text=a&row=1&row=2";

/// Follows all links of the board from every page of its table, and meets every address there is.
#[tokio::test]
async fn every_page_is_visited_and_every_link_leads_somewhere() {
    let world = World::with(common::ARCHIVE, |o| {
        o.predictor = Some(Arc::new(Echo));
        let many = 1e6;
        o.limits = Limits { searches: many, writes: many, exports: many, tries: many, ..o.limits };
    });
    let (record, weights, description) = common::adapter_of("With adapter", 10);
    let body = common::parts(&[
        ("record", record.to_string().as_bytes()),
        ("weights", &weights),
        ("description", &description),
    ]);
    let authorization = format!("Token {}", world.submit);
    let headers = [("content-type", common::FORM), ("authorization", authorization.as_str())];
    let sent = world.post("/api/v1/submit/", &headers, body).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text());
    let (mut seen, mut waiting) = (BTreeSet::new(), Vec::new());
    let plain = budwood_web::addresses().filter(|a| !a.contains('{'));
    waiting.extend(plain.map(|address| format!("{address}?{FILLED}")));
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) || seen.len() > 1500 {
            continue;
        }
        let answer = world.get(&path).await;
        let good = answer.status == StatusCode::OK
            || path.starts_with("/theme") && answer.status == StatusCode::SEE_OTHER;
        assert!(good, "{path}: {}", answer.status);
        assert!(answer.header("content-security-policy").contains("base-uri 'none'"), "{path}");
        let kind = answer.header("content-type").to_owned();
        let head = world.send(Request::head(&path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.bytes.len()), (answer.status, 0), "HEAD {path}");
        assert_eq!(head.header("content-type"), kind, "HEAD {path}");
        // Addresses with the server's name: of the site map, and in texts to be copied.
        if kind.starts_with("text/html") || kind == "application/xml" {
            let text = answer.text();
            let here = text.split("http://board.test/").skip(1);
            let end = |c: char| c.is_whitespace() || "<>\"&)".contains(c);
            waiting.extend(here.filter_map(|l| Some(format!("/{}", l.split(end).next()?))));
        }
        if !kind.starts_with("text/html") {
            continue;
        }
        let page = answer.text();
        assert!(page.contains("<title>") && page.contains("lang=\"en\""), "{path}");
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        let ids = attributes(&page, "id");
        assert_eq!(
            ids.len(),
            ids.iter().collect::<BTreeSet<_>>().len(),
            "{path}: ids are unique {ids:?}"
        );
        let links = [attributes(&page, "href"), attributes(&page, "src")].concat();
        let forms = attributes(&page, "action").into_iter().map(|a| format!("{a}?{FILLED}"));
        // Choices of theme and orders multiply the pages without adding any.
        let new = links
            .into_iter()
            .chain(forms)
            .filter(|l| l.starts_with('/') && !l.starts_with("/theme") && !l.contains("order="));
        waiting.extend(new);
    }
    for address in budwood_web::addresses() {
        let visited = seen.iter().any(|path| is_of(path, address));
        assert!(visited, "no link leads to {address}, so this test does not see it");
    }
}

#[tokio::test]
async fn a_leaderboard_shows_ranks_ties_direction_and_its_source() {
    let world = World::new();
    let page = world.get("/sota/image-classification-on-mnist").await.text();
    assert!(page.contains("lower is better (known from the metric's name)"), "{page}");
    assert!(page.contains("No row here has been re-evaluated yet"));
    assert_eq!(page.matches("<td class=\"number rank\">1</td>").count(), 2, "ties share a rank");
    assert!(page.contains("CC-BY-SA-4.0") && page.contains("Papers with Code archive"));
    assert!(page.contains("about 1 %"), "raw values are kept");
    assert!(page.contains("arXiv number"), "derived dates say so");
    let checked = world.get("/sota/image-classification-on-mnist?rank=checked").await.text();
    assert!(!checked.contains("<td class=\"number rank\">1</td>"));
    let few = world.get("/sota/image-classification-on-mnist?model=dEEp").await.text();
    assert!(few.contains("1 of 4 rows") && few.contains(">Deeper<") && !few.contains(">LeNet<"));
    let nothing = world.get("/sota/image-classification-on-mnist?base=none").await.text();
    assert!(nothing.contains("No row fits these filters."));
    let reversed =
        world.get("/sota/image-classification-on-mnist?sort=model&order=reverse").await.text();
    assert!(reversed.find(">Same<").unwrap() < reversed.find(">Deeper<").unwrap());
    assert!(reversed.contains("aria-sort=\"descending\""));
}

#[tokio::test]
async fn only_the_table_to_embed_may_be_framed() {
    let world = World::new();
    let embed = world.get("/embed/image-classification-on-mnist").await;
    assert!(embed.header("content-security-policy").contains("frame-ancestors *"));
    assert!(embed.text().contains("CC-BY-SA-4.0"));
    for path in ["/", "/submit", "/sota/image-classification-on-mnist"] {
        let page = world.get(path).await;
        assert!(
            page.header("content-security-policy").contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(page.header("x-frame-options"), "DENY");
    }
}

#[tokio::test]
async fn pages_are_packed_and_known_ones_are_not_sent_again() {
    let world = World::new();
    let ask = |name: &str, value: &str| {
        Request::get("/tasks").header(name, value).body(Body::empty()).unwrap()
    };
    let plain = world.get("/tasks").await;
    let packed = world.send(ask("accept-encoding", "br, gzip")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(packed.bytes.as_slice()),
        &mut text,
    )
    .unwrap();
    assert_eq!(text.len(), plain.bytes.len());
    let tag = packed.header("etag").to_owned();
    let mut known = ask("if-none-match", &tag);
    known.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let again = world.send(known).await;
    assert_eq!((again.status, again.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    let style =
        attributes(&plain.text(), "href").into_iter().find(|h| h.ends_with(".css")).unwrap();
    assert!(world.get(&style).await.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn the_theme_is_kept_in_a_cookie() {
    let world = World::new();
    let answer = world.get("/theme?to=dark&back=%2Ftasks").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/tasks"));
    assert!(answer.header("set-cookie").starts_with("theme=dark;"));
    let request =
        Request::get("/tasks").header("cookie", "a=b; theme=dark").body(Body::empty()).unwrap();
    assert!(world.send(request).await.text().contains("data-theme=\"dark\""));
    for bad in ["//evil.example", "https:%2F%2Fevil.example", "%2F%5Cevil.example"] {
        assert_eq!(world.get(&format!("/theme?to=dark&back={bad}")).await.header("location"), "/");
    }
}

#[tokio::test]
async fn feeds_maps_and_badges_are_whole() {
    let world = World::new();
    let feed = world.get("/feed.atom").await.text();
    assert!(
        feed.starts_with("<?xml") && feed.contains("<id>http://board.test/feed.atom</id>"),
        "{feed}"
    );
    assert!(feed.contains("<entry>") && feed.trim_end().ends_with("</feed>"));
    let map = world.get("/sitemap.xml").await.text();
    assert!(map.contains("<loc>http://board.test/sitemap/sota-0.xml</loc>"), "{map}");
    let list = world.get("/sitemap/sota-0.xml").await.text();
    assert!(list.contains("<loc>http://board.test/sota/image-classification-on-mnist</loc>"));
    assert_eq!(world.get("/sitemap/sota-99999999999.xml").await.status, StatusCode::NOT_FOUND);
    assert!(
        world.get("/robots.txt").await.text().contains("Sitemap: http://board.test/sitemap.xml")
    );
    let badge = world.get("/badge/1.svg").await;
    assert_eq!(badge.header("content-type"), "image/svg+xml");
    assert!(badge.text().contains("claimed"));
    let exported = world.get("/export/image-classification-on-mnist.json").await.json();
    let sota = &exported[0]["datasets"][0]["sota"];
    assert_eq!(sota["metrics"][0], "Percentage error");
    let odd = sota["rows"].as_array().unwrap().iter().find(|r| r["model_name"] == "Odd").unwrap();
    assert_eq!(odd["metrics"]["Percentage error"], "about 1 %");
}

#[tokio::test]
async fn two_rows_are_compared() {
    let world = World::new();
    let rows = world.get("/api/v1/evaluations/image-classification-on-mnist/results/").await.json();
    let id = |i: usize| rows["results"][i]["id"].as_i64().unwrap();
    let page = world.get(&format!("/compare?row={}&row={}", id(0), id(1))).await.text();
    assert!(page.contains("0.23") && page.contains("predictions of both"));
    for bad in ["", "?row=1", "?row=1&row=2&row=3", "?row=x&row=y"] {
        assert_eq!(
            world.get(&format!("/compare{bad}")).await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    assert_eq!(world.get("/compare?row=1&row=999999").await.status, StatusCode::NOT_FOUND);
}

/// An archive's names may hold anything. All links of a leaderboard lead somewhere, and to what
/// they name.
#[tokio::test]
async fn odd_names_of_an_archive_have_pages() {
    let metrics = ["mAP", " blank", "tail ", "\u{b}odd"];
    let values: Map<String, Value> =
        metrics.iter().enumerate().map(|(i, m)| ((*m).into(), json!(i.to_string()))).collect();
    let row = json!({ "model_name": "a\u{8}b\u{ffff}", "metrics": values, "code_links": [], "model_links": [],
        "paper_title": "x\u{c}y", "paper_url": "", "paper_date": null, "uses_additional_data": false });
    let archive = json!([{ "task": "c\u{8}d", "categories": ["A/B & C's (\u{e9}) ", "D  e"], "description": "",
        "subtasks": [], "source_link": null, "synonyms": [], "datasets": [{ "dataset": "e\u{1}f",
            "dataset_links": [], "dataset_citations": [], "subdatasets": [], "description": "",
            "sota": { "metrics": metrics, "rows": [row] } }] }]);
    let world = World::with(&archive.to_string(), |_| ());
    let slug = "c-d-on-e-f";
    let page = world.get(&format!("/sota/{slug}")).await.text();
    for link in attributes(&page, "href")
        .iter()
        .filter(|l| l.starts_with("/area/") || l.contains("metric="))
    {
        assert_eq!(world.get(link).await.status, StatusCode::OK, "{link}");
    }
    for (i, metric) in metrics.iter().enumerate() {
        let encoded: String = form_urlencoded::byte_serialize(metric.as_bytes()).collect();
        let path = format!("/api/v1/evaluations/{slug}/results/?metric={encoded}");
        let found = &world.get(&path).await.json()["results"][0];
        assert_eq!(
            (&found["best_metric"], &found["metrics"][metric]),
            (&json!(metric), &json!(i.to_string()))
        );
    }
    let path = format!("/api/v1/evaluations/{slug}/results/");
    let id = world.get(&path).await.json()["results"][0]["id"].clone();
    for path in ["/feed.atom".to_owned(), format!("/badge/{id}.svg")] {
        let text = world.get(&path).await.text();
        let fits = |c: char| c == '\n' || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
        assert!(text.chars().all(fits), "{path}: {text:?}");
    }
}
