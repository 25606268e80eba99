//! Files sent to a small server that speaks the hub's interface, and is good, unlucky or hostile.
#![allow(clippy::unwrap_used)]

mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use budwood_hub::{Error, Hub, ModelName, Pushed, Settings, Upload};
use serde_json::{Value, json};
use server::{Reply, Request, Server, git_sha1, sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a hub holds, and how it answers where a test wants it otherwise.
#[derive(Default)]
struct State {
    /// Whether the repository is there, and private.
    repository: Option<bool>,
    /// Large files by their hashes.
    store: BTreeMap<String, Vec<u8>>,
    /// The last commit's files.
    files: BTreeMap<String, Vec<u8>>,
    message: String,
}

type Twist = dyn Fn(&Request, usize) -> Option<Reply> + Send + Sync;

struct World {
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    server: Server,
}

fn reply(value: Value) -> Reply {
    Reply::ok(value.to_string().into_bytes()).with("content-type", "application/json")
}

/// What a good hub answers.
fn good(request: &Request, address: &str, state: &mut State) -> Reply {
    let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path.starts_with("/store/") {
        // Another host: it must not see the token.
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-signed"), Some("yes"));
        let oid = path.strip_prefix("/store/").unwrap();
        if sha256(&request.body) != oid {
            return Reply::status("400 Bad Request");
        }
        state.store.insert(oid.into(), request.body.clone());
        return Reply::ok(Vec::new());
    }
    assert_eq!(request.header("authorization"), Some("Bearer hf_secret"), "{path}");
    match (&request.method[..], path) {
        ("GET", "/api/models/owner/tiny") => match state.repository {
            Some(private) => reply(json!({ "id": "owner/tiny", "private": private })),
            None => Reply::status("404 Not Found"),
        },
        ("POST", "/api/repos/create") => {
            let asked = request.json();
            assert_eq!((&asked["organization"], &asked["name"]), (&json!("owner"), &json!("tiny")));
            assert_eq!(asked["type"], "model");
            state.repository = Some(asked.get("private").is_some_and(|p| p.as_bool().unwrap()));
            reply(json!({ "url": "https://hub/owner/tiny" }))
        }
        ("POST", "/api/models/owner/tiny/preupload/main") => {
            let asked = request.json();
            let files = asked["files"].as_array().unwrap().iter().map(|file| {
                let path = file["path"].as_str().unwrap();
                assert!(
                    BASE64_STANDARD.decode(file["sample"].as_str().unwrap()).unwrap().len() <= 512
                );
                let mode = if path.ends_with(".safetensors") { "lfs" } else { "regular" };
                json!({ "path": path, "uploadMode": mode, "shouldIgnore": false })
            });
            reply(json!({ "files": files.collect::<Vec<_>>() }))
        }
        ("POST", "/owner/tiny.git/info/lfs/objects/batch") => {
            assert_eq!(request.header("accept"), Some("application/vnd.git-lfs+json"));
            let asked = request.json();
            assert_eq!(asked["operation"], "upload");
            let object = |object: &Value| {
                let oid = object["oid"].as_str().unwrap();
                let mut answer = json!({ "oid": oid, "size": object["size"] });
                if !state.store.contains_key(oid) {
                    let store = address.replace("127.0.0.1", "localhost");
                    answer["actions"] = json!({
                        "upload": {
                            "href": format!("{store}/store/{oid}"),
                            "header": { "x-signed": "yes" },
                        },
                        "verify": { "href": format!("{address}/verify") },
                    });
                }
                answer
            };
            let objects: Vec<Value> =
                asked["objects"].as_array().unwrap().iter().map(object).collect();
            reply(json!({ "transfer": "basic", "objects": objects }))
        }
        ("POST", "/verify") => {
            match state.store.contains_key(request.json()["oid"].as_str().unwrap()) {
                true => Reply::ok(Vec::new()),
                false => Reply::status("404 Not Found"),
            }
        }
        ("POST", "/api/models/owner/tiny/commit/main") => {
            assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
            let text = String::from_utf8(request.body.clone()).unwrap();
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let value = &line["value"];
                let path = value["path"].as_str().unwrap_or_default().to_string();
                match line["key"].as_str().unwrap() {
                    "header" => state.message = value["summary"].as_str().unwrap().into(),
                    "file" => {
                        let content = BASE64_STANDARD.decode(value["content"].as_str().unwrap());
                        state.files.insert(path, content.unwrap());
                    }
                    "lfsFile" => {
                        let bytes = state.store[value["oid"].as_str().unwrap()].clone();
                        assert_eq!(value["size"], bytes.len());
                        state.files.insert(path, bytes);
                    }
                    other => panic!("{other}"),
                }
            }
            reply(json!({ "commitUrl": "https://hub", "commitOid": COMMIT, "success": true }))
        }
        ("GET", path) if path == format!("/api/models/owner/tiny/revision/{COMMIT}") => {
            let file = |(path, bytes): (&String, &Vec<u8>)| match path.ends_with(".safetensors") {
                true => json!({
                    "rfilename": path, "blobId": "of a pointer",
                    "lfs": { "sha256": sha256(bytes), "size": bytes.len() },
                }),
                false => json!({ "rfilename": path, "blobId": git_sha1(bytes) }),
            };
            let files: Vec<Value> = state.files.iter().map(file).collect();
            reply(json!({ "sha": COMMIT, "siblings": files }))
        }
        other => panic!("{other:?} is no part of the interface"),
    }
}

fn weights() -> Vec<u8> {
    (0..300_000u32).map(|i| (i * 7 % 251) as u8).collect()
}

impl World {
    /// A hub that answers as `twist` says, given the number of earlier requests of the same path,
    /// and else as a good one.
    fn new(twist: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("README.md"), "# A card\n").unwrap();
        std::fs::write(dir.path().join("adapter.safetensors"), weights()).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (held, twist) = (Arc::clone(&state), Box::new(twist) as Box<Twist>);
        let counts = Mutex::new(BTreeMap::<String, usize>::new());
        let address = Arc::new(Mutex::new(String::new()));
        let own = Arc::clone(&address);
        let server = Server::start(move |request| {
            let key = format!("{} {}", request.method, request.path);
            let before = {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(key).or_default();
                *count += 1;
                *count - 1
            };
            let twisted = twist(request, before);
            twisted.unwrap_or_else(|| {
                let address = own.lock().unwrap().clone();
                good(request, &address, &mut held.lock().unwrap())
            })
        });
        *address.lock().unwrap() = server.address();
        Self { dir, state, server }
    }

    fn settings(&self) -> Settings {
        self.server.settings(self.dir.path().join("cache"))
    }

    fn files(&self) -> Vec<Upload> {
        let file = |name: &str| Upload { path: name.into(), file: self.dir.path().join(name) };
        vec![file("README.md"), file("adapter.safetensors")]
    }

    fn push_with(&self, settings: Settings, name: &str, private: bool) -> Result<Pushed, Error> {
        let name = ModelName::parse(name).unwrap().unwrap();
        Hub::new(settings).push(&name, private, "An adapter", &self.files(), &mut |_| {})
    }

    fn push(&self) -> Result<Pushed, Error> {
        self.push_with(self.settings(), "owner/tiny", false)
    }

    /// Fails unless the push is refused with these words, and no file is in the repository.
    fn refused(&self, words: &str) {
        let message = self.push().unwrap_err().to_string();
        assert!(message.contains(words), "{words:?} is not in: {message}");
        assert!(!message.contains("hf_secret"));
        assert!(self.state.lock().unwrap().files.is_empty(), "{words}");
    }
}

#[test]
fn files_appear_as_they_were_sent_and_large_ones_once() {
    let world = World::new(|_, _| None);
    let pushed = world.push().unwrap();
    assert_eq!(pushed.commit, COMMIT);
    assert!(pushed.created && pushed.address.ends_with("/owner/tiny"));
    {
        let state = world.state.lock().unwrap();
        assert_eq!(state.repository, Some(false));
        assert_eq!(state.message, "An adapter");
        assert_eq!(state.files["README.md"], b"# A card\n");
        assert_eq!(state.files["adapter.safetensors"], weights());
    }
    let puts = || world.server.requests().iter().filter(|r| r.method == "PUT").count();
    assert_eq!(puts(), 1);
    // Again: the repository is there, and so is the large file.
    assert!(!world.push().unwrap().created);
    assert_eq!(puts(), 1);
    let made = world.server.requests();
    assert_eq!(made.iter().filter(|r| r.path == "/api/repos/create").count(), 1);
}

#[test]
fn what_is_to_be_private_is_never_public() {
    let world = World::new(|_, _| None);
    world.push_with(world.settings(), "owner/tiny", true).unwrap();
    assert_eq!(world.state.lock().unwrap().repository, Some(true));
    world.push_with(world.settings(), "owner/tiny", true).unwrap();
    let public = World::new(|_, _| None);
    public.state.lock().unwrap().repository = Some(false);
    let refused = public.push_with(public.settings(), "owner/tiny", true).unwrap_err();
    assert!(refused.to_string().contains("public"));
    assert_eq!(public.server.requests().len(), 1);
}

#[test]
fn nothing_is_asked_without_a_token_or_offline_or_at_another_place() {
    let world = World::new(|_, _| None);
    let message =
        |settings, name: &str| world.push_with(settings, name, false).unwrap_err().to_string();
    let none = Settings { token: None, ..world.settings() };
    assert!(message(none, "owner/tiny").contains("HF_TOKEN"));
    let offline = Settings { offline: true, ..world.settings() };
    assert!(message(offline, "owner/tiny").contains("HF_HUB_OFFLINE"));
    assert!(message(world.settings(), "owner/tiny@v2").contains("OWNER/NAME"));
    assert!(message(world.settings(), "hf:tiny").contains("OWNER/NAME"));
    assert!(world.server.requests().is_empty());
}

#[test]
fn refusals_are_told_with_the_remedy() {
    let at = |place: &'static str, status: &'static str| {
        move |request: &Request, _: usize| {
            let body = json!({ "error": "because\u{1b}[31m" }).to_string().into_bytes();
            let reply = Reply { status: status.into(), ..Reply::ok(body) };
            request.path.contains(place).then_some(reply)
        }
    };
    for (place, status, words) in [
        ("/api/repos/create", "401 Unauthorized", "HF_TOKEN"),
        ("/api/repos/create", "403 Forbidden", "HF_TOKEN"),
        ("/preupload/", "404 Not Found", "no such repository"),
        ("/preupload/", "403 Forbidden", "because [31m"),
        ("/objects/batch", "422 Unprocessable Entity", "status 422"),
        ("/store/", "403 Forbidden", "status 403"),
        ("/commit/", "409 Conflict", "at the same time"),
        ("/commit/", "412 Precondition Failed", "at the same time"),
        ("/commit/", "308 Permanent Redirect", "moved"),
    ] {
        World::new(at(place, status)).refused(words);
    }
    // Somebody made the repository in between.
    World::new(at("/api/repos/create", "409 Conflict")).push().unwrap();
}

#[test]
fn a_hub_that_limits_or_fails_for_a_while_is_waited_for() {
    for place in
        ["/api/repos/create", "/preupload/", "/objects/batch", "/store/", "/commit/", "/revision/"]
    {
        for reply in [
            Reply::status("429 Too Many Requests").with("retry-after", "0"),
            Reply::status("503 Service Unavailable"),
            Reply::ok(vec![b'x'; 100]).cut(10),
        ] {
            // What the store answers has no content that counts.
            if place == "/store/" && reply.status.starts_with("200") {
                continue;
            }
            let world = World::new(move |request, before| {
                (request.path.contains(place) && before == 0).then(|| reply.clone())
            });
            world.push().unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(world.state.lock().unwrap().files["adapter.safetensors"], weights());
        }
    }
}

#[test]
fn what_lasts_is_told() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let world = World::new(move |request, _| {
        request.path.contains("/commit/").then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Reply::silent()
        })
    });
    world.refused("cannot send");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    World::new(|request, _| {
        let busy = Reply::status("429 Too Many Requests").with("retry-after", "3600");
        request.path.contains("/preupload/").then_some(busy)
    })
    .refused("in 3600 seconds");
}

#[test]
fn a_hub_that_cannot_be_trusted_is_refused() {
    for (place, answer, words) in [
        ("/preupload/", json!({ "files": [] }), "says nothing of README.md"),
        (
            "/preupload/",
            json!({ "files": [{ "path": "README.md", "uploadMode": "elsewhere" }] }),
            "elsewhere",
        ),
        ("/preupload/", json!([1]), "does not say how files are sent"),
        ("/objects/batch", json!({ "objects": [] }), "says nothing of adapter.safetensors"),
        ("/objects/batch", json!(7), "does not say where files go"),
        (
            "/objects/batch",
            json!({ "objects": [{ "oid": sha256(&weights()), "size": 1,
                "actions": { "upload": { "href": "file:///etc/passwd" } } }] }),
            "not an address",
        ),
        (
            "/objects/batch",
            json!({ "objects": [{ "oid": sha256(&weights()), "size": 1,
                "error": { "code": 507, "message": "the store is full" } }] }),
            "the store is full",
        ),
        ("/commit/", json!({ "commitOid": "../../main" }), "the hub's answer does not name it"),
    ] {
        World::new(move |request, _| request.path.contains(place).then(|| reply(answer.clone())))
            .refused(words);
    }
}

#[test]
fn a_file_that_arrived_as_another_is_noticed() {
    for (path, hash) in [("README.md", "sha1"), ("adapter.safetensors", "sha256"), ("", "")] {
        let world = World::new(move |request, _| {
            request.path.contains("/revision/").then(|| {
                let small = git_sha1(if hash == "sha1" { b"other" } else { b"# A card\n" });
                let large = sha256(if hash == "sha256" { b"other" } else { b"" });
                let large = if hash == "sha256" { large } else { sha256(&weights()) };
                let mut files = vec![
                    json!({ "rfilename": "README.md", "blobId": small }),
                    json!({ "rfilename": "adapter.safetensors", "lfs": { "sha256": large } }),
                ];
                if path.is_empty() {
                    files.remove(0);
                }
                reply(json!({ "sha": COMMIT, "siblings": files }))
            })
        });
        let message = world.push().unwrap_err().to_string();
        let named = if path.is_empty() { "README.md" } else { path };
        assert!(message.contains(&format!("does not hold {named}")), "{message}");
    }
}
