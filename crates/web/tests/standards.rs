//! What the standards of the web ask for: RFC 9110, 9112 and 6265.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read as _;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use budwood_web::{Limits, Options};
use common::{ARCHIVE, Answer, World, live, page, place, raw};

async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn each_form_of_a_page_has_its_own_tag() {
    let world = World::new();
    for path in
        ["/sota/image-classification-on-mnist", "/export/image-classification-on-mnist.json"]
    {
        let plain = get(&world, path, &[]).await;
        let packed = get(&world, path, &[("accept-encoding", "gzip")]).await;
        let refused = get(&world, path, &[("accept-encoding", "gzip;q=0, identity")]).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert_eq!(refused.header("content-encoding"), "", "{path}: q=0 means never");
        assert!(packed.header("vary").contains("accept-encoding"), "{path}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.bytes[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.bytes && refused.bytes == plain.bytes, "{path}");
        // Other bytes, another strong tag; the same bytes, the same.
        let (a, b) = (plain.header("etag"), packed.header("etag"));
        assert!(a.starts_with('"') && b.starts_with('"') && a != b, "{path}: {a} {b}");
        assert_eq!(refused.header("etag"), a, "{path}");
        for (tag, coding, status) in [
            (a, "identity", 304),
            (b, "gzip", 304),
            (a, "gzip", 200),
            (b, "identity", 200),
            ("*", "gzip", 304),
            (&format!("W/{a}"), "identity", 304),
            (&format!("\"x\", {b}"), "gzip", 304),
            ("\"x\"", "gzip", 200),
        ] {
            let headers = [("if-none-match", tag), ("accept-encoding", coding)];
            let answer = get(&world, path, &headers).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {tag} {coding}");
            assert_eq!(answer.bytes.is_empty(), status == 304, "{path} {tag} {coding}");
        }
    }
}

/// A HEAD request is answered as a GET request, without the content.
#[tokio::test]
async fn a_head_request_tells_the_length() {
    let world = World::new();
    for path in ["/about", "/export/image-classification-on-mnist.csv"] {
        let whole = get(&world, path, &[]).await;
        let head = Request::head(path).body(Body::empty()).unwrap();
        let head = world.send(head).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("content-length"), whole.bytes.len().to_string(), "{path}");
        assert_eq!((head.header("etag"), head.bytes.len()), (whole.header("etag"), 0), "{path}");
    }
}

/// What an address does not do is answered with what it does, as a page or for programs.
#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let world = World::new();
    for address in budwood_web::addresses() {
        let path = address.replace("{id}", "1").replace("{slug}", "x").replace("{name}", "x");
        for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "FOO"] {
            let request = Request::builder().method(method).uri(&path).body(Body::empty());
            let answer = world.send(request.unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allow = if path == "/submit" { "GET,HEAD,POST" } else { "GET,HEAD" };
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
            assert!(answer.text().contains("<h1>"), "{method} {path}");
        }
    }
    for path in ["/api/v1/submit/", "/api/v1/rpc/retract"] {
        let answer = get(&world, path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{path}");
        assert!(answer.json()["error"].as_str().unwrap().starts_with("GET"), "{path}");
    }
}

#[test]
fn a_request_names_one_host_and_it_is_not_repeated() {
    let (address, _folder) = live(Limits::default());
    let status = |headers: &str, version: &str| {
        let request = format!("GET /about HTTP/{version}\r\n{headers}connection: close\r\n\r\n");
        raw(address, &request)[9..12].to_owned()
    };
    assert_eq!(status("host: a\r\n", "1.1"), "200");
    for (headers, version) in [
        ("host: a\r\nhost: a\r\n", "1.1"),
        ("host: a\r\nhost: evil.example\r\n", "1.1"),
        ("", "1.1"),
        ("host: a b\r\n", "1.1"),
        ("host: evil.example/x?\r\n", "1.1"),
        ("host: a\r\nhost: b\r\n", "1.0"),
    ] {
        assert_eq!(status(headers, version), "400", "{headers:?}");
    }
    assert_eq!(status("", "1.0"), "200");
    for path in
        ["/feed.atom", "/sitemap.xml", "/robots.txt", "/api/v1/", "/api/v1/openapi.json", "/"]
    {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        let text = raw(address, &request);
        assert!(text.starts_with("HTTP/1.1 200") && !text.contains("evil"), "{path}: {text}");
        let absolute = format!("http://{address}/");
        let links = !["/", "/sitemap.xml"].contains(&path);
        assert_eq!(text.contains(&absolute), links, "{path}: {text}");
    }
}

#[tokio::test]
async fn cookies_are_secure_where_readers_come_by_tls() {
    let cookies = async |world: &World, headers: &[(&str, &str)]| {
        let mut all = Vec::new();
        for path in ["/submit", "/theme?to=dark"] {
            let answer = get(world, path, headers).await;
            all.push(answer.header("set-cookie").to_owned());
        }
        all
    };
    let tls = World::with(ARCHIVE, |o| o.url = Some("https://board.test".into()));
    let plain = World::new();
    let proxied = World::with(ARCHIVE, |o| o.behind_proxy = true);
    for cookie in cookies(&tls, &[]).await {
        assert!(cookie.ends_with("; Secure"), "{cookie}");
        assert!(cookie.contains("; HttpOnly") && cookie.contains("SameSite="), "{cookie}");
    }
    let https = [("x-forwarded-proto", "https")];
    let forged = [("x-forwarded-proto", "https, http")];
    for (world, headers, secure) in
        [(&plain, &https[..], false), (&proxied, &https, true), (&proxied, &forged, false)]
    {
        for cookie in cookies(world, headers).await {
            assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
        }
    }
}

/// Where the server listens on all addresses and was told none, links hold no server's name at all.
#[test]
fn without_a_known_address_links_are_relative() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(place::place(folder.path()));
    let (tell, told) = std::sync::mpsc::channel();
    let any = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    std::thread::spawn(move || budwood_web::serve(options, any, move |a| tell.send(a).unwrap()));
    let port = told.recv().unwrap().port();
    let (feed, _) = page(([127, 0, 0, 1], port).into(), "/feed.atom");
    assert!(feed.contains("<id>/feed.atom</id>"), "{feed}");
}
