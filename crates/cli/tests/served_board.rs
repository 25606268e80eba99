//! Adapters and a board on one port.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use world::{World, json, reviews};

/// A server in a world, ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(world: &World, words: &str) -> Self {
        let (process, address) = world.serve(words);
        Self { process, address }
    }

    /// Status, headers and body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // Whoever refuses a body does not take it.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path, "", b"")
    }

    fn predict(&self, body: &Value, headers: &str) -> (u16, Value) {
        let (status, _, body) = self.ask("POST", "/predict", headers, body.to_string().as_bytes());
        (status, serde_json::from_str(&body).unwrap())
    }

    /// What a try on a result's page answers: labels with their shares in percent.
    fn tried(&self, result: &Value, text: &str) -> Result<Vec<(String, f64)>, String> {
        let (status, _, page) = self.get(&format!("/result/{result}/try?text={text}"));
        let between = |s: &str, a: &str, b: &str| {
            let from = s.find(a).unwrap() + a.len();
            s[from..].split(b).next().unwrap().to_owned()
        };
        if status != 200 {
            return Err(between(&page, "<p class=\"lead\">", "</p>"));
        }
        let row = |row: &str| {
            let share = between(row, "<td class=\"number\">", "</td>");
            let share = share.trim_end_matches([' ', '%', '\u{a0}']).parse().unwrap();
            (between(row, "<th scope=\"row\">", "</th>"), share)
        };
        Ok(page.split("<tr>").skip(1).map(row).collect())
    }
}

const SERVE: &str = "serve --base base --adapters adapters --threads 2";
const TEXT: &str = "a%20good%20film";

/// A world with two adapters, the second trained in int8, and a board with their results.
fn world() -> (World, [Value; 2]) {
    let world = World::new();
    world.write("held.csv", reviews(60, 77));
    world.ok("board --board b init");
    let results = ["f32", "int8"].map(|form| {
        let more =
            format!("--test-data held.csv --name {form} --store {form}.db --base-precision {form}");
        world.train(&format!("adapters/{form}"), &more);
        json(&world.ok(&format!("submit 1 --store {form}.db --board b --json")))["result"].clone()
    });
    (world, results)
}

/// What `budwood predict` says of the text, the likeliest first.
fn predicted(world: &World, adapter: &str) -> Vec<(String, f64)> {
    let mut command = world.command(&format!("predict --json --base base --adapter {adapter}"));
    let answer = command.arg("a good film").output().unwrap();
    let answer = json(&String::from_utf8(answer.stdout).unwrap());
    let scores = answer["scores"].as_object().unwrap().iter();
    let mut all: Vec<_> = scores.map(|(label, p)| (label.clone(), p.as_f64().unwrap())).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

#[test]
fn adapters_and_a_board_answer_on_one_port_as_each_alone() {
    let (world, [result, _]) = world();
    let both = Server::start(&world, &format!("{SERVE} --board b"));
    let adapters = Server::start(&world, SERVE);
    let board = Server::start(&world, "board --board b serve");
    let body = json!({ "inputs": ["a good film", "it was bad"], "adapter": ["f32", "int8"] });
    let answer = both.predict(&body, "");
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(answer, adapters.predict(&body, ""));
    for path in ["/try", "/openapi.json", "/info", "/health", "/adapters/none", "/models/f32"] {
        let (status, head, page) = both.get(path);
        assert!(!head.contains("frame-options"), "{path}: the board answered: {head}");
        assert_eq!((status, page), { (adapters.get(path).0, adapters.get(path).2) }, "{path}");
    }
    assert_eq!(both.get("/try").2, adapters.get("/").2);
    let page = format!("/result/{result}");
    let badge = format!("/badge/{result}.svg");
    for path in [
        "/",
        "/tasks",
        &page,
        &badge,
        "/api/v1/",
        "/api/v1/openapi.json",
        "/feed.atom",
        "/robots.txt",
        "/search?q=text",
        "/nothing/here",
        "/embed/none",
        "/api/v1/none",
    ] {
        let (one, other) = (both.get(path), board.get(path));
        let own = other.2.replace(&board.address, &both.address);
        // What differs in length alone is the address.
        assert_eq!((one.0, &one.2), (other.0, &own), "{path}");
        assert!(one.1.contains("content-security-policy: default-src"), "{path}: {}", one.1);
    }
    assert!(both.get(&page).2.contains("Try it"), "there is a box to try the adapter");
    assert!(both.get(&page).2.contains(&both.address), "links have the address of the port");
    assert_eq!(both.ask("DELETE", "/tasks", "", b"").0, 405);
}

#[test]
fn a_try_is_computed_over_the_base_that_is_served() {
    let (world, [f32, int8]) = world();
    let server = Server::start(&world, &format!("{SERVE} --board b --base-precision f32"));
    let board = Server::start(&world, "board --board b serve");
    let close = |given: &[(String, f64)], wanted: &[(String, f64)]| {
        assert_eq!(given.len(), wanted.len());
        for ((label, share), (of, p)) in given.iter().zip(wanted) {
            assert!(label == of && (share - 100.0 * p).abs() <= 0.06, "{given:?} {wanted:?}");
        }
    };
    for (result, adapter) in [(&f32, "adapters/f32"), (&int8, "adapters/int8")] {
        let given = server.tried(result, TEXT).unwrap();
        close(&given, &predicted(&world, adapter));
        assert_eq!(given, board.tried(result, TEXT).unwrap());
    }
    let two = server.tried(&f32, "good%0Abad").unwrap_err();
    assert!(two.contains("one text at a time"), "{two}");
    // Only the base in memory is left.
    fs::rename(world.path("base"), world.path("else")).unwrap();
    let given = server.tried(&f32, TEXT).unwrap();
    assert!(given[0].1 >= given[1].1 && given[0].1 > 50.0, "{given:?}");
    for (server, result) in [(&board, &f32), (&server, &int8)] {
        let error = server.tried(result, TEXT).unwrap_err();
        assert!(error.contains("base"), "{error}");
        assert!(!error.contains(&*world.dir.path().to_string_lossy()), "{error}");
    }
    // Folders of tries are gone with them.
    let left: Vec<_> = fs::read_dir(world.path("b/scratch")).unwrap().flatten().collect();
    let left = left.iter().filter(|e| e.path().is_dir()).map(|e| fs::read_dir(e.path()).unwrap());
    assert_eq!(left.map(Iterator::count).sum::<usize>(), 0);
}

/// What others submit is of a base that the board need not know: the server has it.
#[test]
fn a_row_of_others_is_tried_where_only_the_server_knows_its_base() {
    let world = World::new();
    world.train("adapters/a", "");
    world.ok("board --board b init");
    let secret = json(&world.ok("board --board b --json token add ann --role moderate"));
    let record = json!({ "task": "Reviews", "dataset": { "name": "Films" },
        "model": { "name": "m" }, "metrics": [{ "name": "Accuracy", "value": "90" }] });
    let file = |name| fs::read(world.path("adapters/a").join(name)).unwrap();
    let parts = [
        ("record", record.to_string().into_bytes()),
        ("weights", file("adapter.safetensors")),
        ("description", file("adapter.json")),
    ];
    let part = |(name, value): &(&str, Vec<u8>)| {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    let form = [&parts.iter().flat_map(part).collect::<Vec<_>>()[..], b"--x--\r\n"].concat();
    let headers = format!(
        "authorization: Token {}\r\ncontent-type: multipart/form-data; boundary=x\r\n",
        secret["secret"].as_str().unwrap()
    );
    for (words, wanted) in [(format!("{SERVE} --board b"), 2), ("board --board b serve".into(), 0)]
    {
        let server = Server::start(&world, &words);
        let (status, _, text) = server.ask("POST", "/api/v1/submit", &headers, &form);
        assert!(status == 200 || status == 201, "{status} {text}");
        match server.tried(&json(&text)["result"], TEXT) {
            Ok(given) => assert_eq!(given.len(), wanted),
            Err(error) => assert!(wanted == 0 && error.contains("is not known here"), "{error}"),
        }
    }
}

#[test]
fn each_side_keeps_its_own_guards() {
    let (world, [result, _]) = world();
    world.write("keys", "0123456789abcdef predict\n");
    let secret = json(&world.ok("board --board b --json token add ann --role submit"));
    let secret = secret["secret"].as_str().or(secret["token"].as_str()).unwrap().to_owned();
    let server = Server::start(&world, &format!("{SERVE} --board b --keys keys --searches 0.1"));
    let body = json!({ "inputs": "a good film", "adapter": "f32" });
    assert_eq!(server.predict(&body, "").0, 401);
    assert_eq!(server.get("/adapters").0, 401);
    assert_eq!(server.predict(&body, "authorization: Bearer 0123456789abcdef\r\n").0, 200);
    assert_eq!(server.get("/").0, 200);
    assert_eq!(server.tried(&result, TEXT).unwrap().len(), 2);
    // 9 MB are too many for one side alone, 66 MB for both.
    let (of_server, of_board) = (
        "authorization: Bearer 0123456789abcdef\r\n",
        format!("authorization: Token {secret}\r\n"),
    );
    let large = vec![b' '; 9 << 20];
    let (status, _, text) = server.ask("POST", "/predict", of_server, &large);
    assert!(status == 413 && text.contains("\"error_type\":\"too_large\""), "{status} {text}");
    let (status, _, text) = server.ask("POST", "/api/v1/submit", &of_board, &large);
    assert!(status == 400 && text.contains("error"), "{status} {text}");
    let huge = vec![b' '; 66 << 20];
    assert_eq!(server.ask("POST", "/api/v1/submit", &of_board, &huge).0, 413);
    assert_eq!(server.ask("POST", "/api/v1/submit", "", b"{}").0, 401);
    // Searches have their rate; requests for adapters have none.
    assert_eq!(server.get("/search?q=a").0, 200);
    assert_eq!(server.get("/search?q=a").0, 429);
    assert_eq!(server.predict(&body, of_server).0, 200);
    // Both are told that it ends.
    let mut midst = TcpStream::connect(&server.address).unwrap();
    midst.write_all(b"GET /about HTTP/1.1\r\nhost: x\r\n").unwrap();
    sleep(Duration::from_millis(300));
    let (pid, mut server) = (server.process.id().to_string(), server);
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let begin = Instant::now();
    sleep(Duration::from_millis(300));
    midst.write_all(b"\r\n").unwrap();
    let mut page = String::new();
    midst.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("</html>"), "{page}");
    assert!(server.process.wait().unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn what_is_no_board_is_refused_before_a_model_is_read() {
    let world = World::new();
    fs::create_dir(world.path("b")).unwrap();
    // The model is not there either, and not looked for.
    for place in ["b", "none", "base"] {
        let words = format!("serve --base nowhere --adapters . --port 0 --board {place}");
        world.fails(&words, &["there is no board in", "budwood board init"]);
    }
    for flag in ["--url http://a", "--tries 3", "--url http://a --behind-proxy"] {
        let output = world.run(&format!("serve --base base --adapters . {flag}"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("--board"), "{error}");
    }
}
