//! Models fetched from a small server that is good, unlucky or hostile.
#![allow(clippy::unwrap_used)]

mod good;
mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use budwood_hub::{Error, Hub, ModelName, Settings};
use good::{COMMIT, CONFIG, VOCAB, files, good, weights};
use server::{Reply, Request, Server, git_sha1, sha256};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("hub")
    }

    fn settings(&self, server: &Server) -> Settings {
        server.settings(self.cache())
    }

    fn fetch_as(&self, server: &Server, name: &str) -> Result<PathBuf, Error> {
        let name = ModelName::parse(name).unwrap().unwrap();
        Hub::new(self.settings(server)).model(&name, &mut |_| {})
    }

    fn fetch(&self, server: &Server) -> Result<PathBuf, Error> {
        self.fetch_as(server, "owner/tiny")
    }

    /// Every path under the test's folder, links not followed.
    fn paths(&self) -> Vec<String> {
        fn walk(folder: &Path, out: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                out.push(entry.path().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), out);
                }
            }
        }
        let mut out = Vec::new();
        walk(self.dir.path(), &mut out);
        out
    }

    /// Fails unless the model was refused with these words, and nothing of it was left: no file
    /// outside the cache, no weights, no partial file, no revision.
    fn refused(&self, server: &Server, words: &str) {
        let message = match self.fetch(server) {
            Ok(path) => panic!("{words}: taken into {}", path.display()),
            Err(e) => e.to_string(),
        };
        assert!(message.contains(words), "{words:?} is not in: {message}");
        let cache = self.cache().display().to_string();
        let paths = self.paths();
        assert!(paths.iter().all(|p| p.starts_with(&cache)), "{paths:?}");
        for part in [".incomplete", "model.safetensors", "/refs/", ".tmp"] {
            let holds = |p: &String| p[cache.len()..].contains(part);
            assert!(!paths.iter().any(holds), "{part}: {paths:?}");
        }
    }
}

fn check(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, bytes) in files {
        assert_eq!(&std::fs::read(folder.join(name)).unwrap(), bytes, "{name}");
    }
}

#[test]
fn a_model_comes_once_and_lies_where_python_looks() {
    let world = World::new();
    let server = Server::start(|r| good(r, &files()));
    let folder = world.fetch(&server).unwrap();
    check(&folder, &files());
    let root = world.cache().join("models--owner--tiny");
    assert_eq!(folder, root.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(std::fs::read(root.join("blobs").join(sha256(&weights()))).unwrap(), weights());
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(folder.join("config.json")).unwrap(),
        Path::new("../../blobs").join(git_sha1(CONFIG))
    );
    let asked = server.requests();
    assert!(asked.iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
    assert_eq!(world.fetch(&server).unwrap(), folder);
    assert_eq!(server.requests().len(), asked.len(), "nothing is asked for twice");
    let mut settings = world.settings(&server);
    settings.offline = true;
    let offline = Hub::new(settings);
    let name = |text: &str| ModelName::parse(text).unwrap().unwrap();
    assert_eq!(offline.model(&name("owner/tiny"), &mut |_| {}).unwrap(), folder);
    let by_commit = name(&format!("owner/tiny@{COMMIT}"));
    assert_eq!(offline.model(&by_commit, &mut |_| {}).unwrap(), folder);
    assert!(matches!(offline.model(&name("owner/tiny@v2"), &mut |_| {}), Err(Error::Offline(_))));
}

/// Python's programs fetch the files that they open. One that decides about answers may be missing.
#[test]
fn a_part_that_another_program_fetched_is_completed() {
    const SETTINGS: &[u8] = br#"{"do_lower_case": false}"#;
    let all = || [files(), vec![("tokenizer_config.json", SETTINGS.to_vec())]].concat();
    let world = World::new();
    let server = Server::start(move |r| match r.path.ends_with("/revision/main") {
        // The branch has moved; what is in the cache stays that of its commit.
        true => Reply::status("500 Moved"),
        false => good(r, &all()),
    });
    let root = world.cache().join("models--owner--tiny");
    let folder = root.join("snapshots").join(COMMIT);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(root.join("refs")).unwrap();
    std::fs::write(root.join("refs/main"), COMMIT).unwrap();
    files().iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
    let settings = folder.join("tokenizer_config.json");
    // Without the network the part is used: nothing says that more is there.
    let name = ModelName::parse("owner/tiny").unwrap().unwrap();
    let offline = Settings { offline: true, ..world.settings(&server) };
    let busy =
        Server::start(|_| Reply::status("429 Too Many Requests").with("retry-after", "3600"));
    let failing = Server::start(|_| Reply::status("503 Unavailable"));
    let silent = Server::start(|_| Reply::silent());
    let unreachable = [
        (offline, "HF_HUB_OFFLINE is set"),
        (world.settings(&busy), "429"),
        (world.settings(&failing), "503"),
        (world.settings(&silent), "cannot fetch"),
    ];
    for (hub, why) in unreachable {
        let mut told = Vec::new();
        let found = Hub::new(hub).model(&name, &mut |notice| told.extend(notice.warning()));
        assert_eq!(found.unwrap(), folder);
        let [told] = &told[..] else { panic!("told {told:?}") };
        for words in ["owner/tiny", "tokenizer_config.json", why] {
            assert!(told.contains(words), "{words:?} is not in: {told}");
        }
        assert!(!told.contains("config.json, vocab.txt"), "what is here: {told}");
    }
    // A hub that answers, and does not show it or cannot be trusted, is believed.
    for (status, words) in
        [("401 Unauthorized", "HF_TOKEN"), ("404 Not Found", "has no"), ("418 Teapot", "trusted")]
    {
        let server = Server::start(move |_| Reply::status(status));
        let message = world.fetch(&server).expect_err(status).to_string();
        assert!(message.contains(words) && message.contains("HF_HUB_OFFLINE=1"), "{message}");
    }
    let other = Server::start(move |r| {
        let answer = good(r, &all());
        Reply::ok(String::from_utf8_lossy(&answer.body).replace(COMMIT, &"f".repeat(40)).into())
    });
    let message = world.fetch(&other).expect_err("another commit").to_string();
    assert!(message.contains("another commit"), "{message}");
    assert!(!settings.exists());
    assert_eq!(world.fetch(&server).unwrap(), folder);
    assert_eq!(std::fs::read(&settings).unwrap(), SETTINGS);
    let asked = server.requests().len();
    assert_eq!(world.fetch(&server).unwrap(), folder);
    assert_eq!(server.requests().len(), asked, "what is whole is not asked for again");
    // Python's library looks here for files that there are not.
    let absent = root.join(".no_exist").join(COMMIT);
    assert!(absent.join("merges.txt").is_file() && !absent.join("vocab.txt").exists());
    // A file that is there and does not come is an error: answers could be others without it.
    std::fs::remove_file(&settings).unwrap();
    let broken = Server::start(move |r| match r.path.ends_with("tokenizer_config.json") {
        true => Reply::status("503 Unavailable"),
        false => good(r, &all()),
    });
    let message = world.fetch(&broken).unwrap_err().to_string();
    assert!(message.contains("tokenizer_config.json"), "{message}");
}

#[test]
fn a_revision_is_asked_for_by_its_name() {
    let world = World::new();
    let server = Server::start(|r| good(r, &files()));
    world.fetch_as(&server, "owner/tiny@refs/pr/1").unwrap();
    assert_eq!(server.requests()[0].path, "/api/models/owner/tiny/revision/refs%2Fpr%2F1");
    let noted = world.cache().join("models--owner--tiny/refs/refs/pr/1");
    assert_eq!(std::fs::read_to_string(noted).unwrap(), COMMIT);
    // The hub answers with another commit than was asked for.
    let other = format!("owner/tiny@{}", "f".repeat(40));
    assert!(world.fetch_as(&server, &other).unwrap_err().to_string().contains("another commit"));
}

#[test]
fn shards_are_those_of_the_index() {
    let index = |shard: &str| {
        serde_json::json!({ "weight_map": { "a": "model-00001-of-00002.safetensors", "b": shard } })
            .to_string()
            .into_bytes()
    };
    let model = move |shard: &str| {
        vec![
            ("config.json", CONFIG.to_vec()),
            ("vocab.txt", VOCAB.to_vec()),
            ("model.safetensors.index.json", index(shard)),
            ("model-00001-of-00002.safetensors", weights()),
            ("model-00002-of-00002.safetensors", weights()[1..].to_vec()),
        ]
    };
    let world = World::new();
    let all = model("model-00002-of-00002.safetensors");
    let files = all.clone();
    let server = Server::start(move |r| good(r, &files));
    let folder = world.fetch(&server).unwrap();
    check(&folder, &all);
    // A folder that lacks a shard is fetched again, not used.
    std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap();
    check(&world.fetch(&server).unwrap(), &all);
    for bad in ["../../../../evil", "/etc/passwd", "a\\..\\b", "model-00002-of-00002.bin", ""] {
        let world = World::new();
        let files = model(bad);
        let server = Server::start(move |r| good(r, &files));
        let message = world.fetch(&server).unwrap_err().to_string();
        assert!(message.contains("not a shard's name"), "{bad}: {message}");
    }
}

#[test]
fn the_token_is_not_sent_to_where_files_lie() {
    let world = World::new();
    let cdn = Server::start(|r| Reply::file(r, &weights()));
    let elsewhere = cdn.address();
    let server = Server::start(move |r| {
        let reply = good(r, &files());
        if !r.path.ends_with("model.safetensors") {
            return reply;
        }
        Reply::status("302 Found")
            .with("location", &format!("{elsewhere}/blob?signed"))
            .with("x-linked-etag", &format!("\"{}\"", sha256(&weights())))
            .with("x-linked-size", "300000")
    });
    check(&world.fetch(&server).unwrap(), &files());
    let asked = cdn.requests();
    assert!(!asked.is_empty() && asked.iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn a_cut_connection_is_taken_up() {
    let world = World::new();
    let cuts = AtomicUsize::new(0);
    let server = Server::start(move |r| {
        let reply = good(r, &files());
        let weights = r.method == "GET" && r.path.ends_with("model.safetensors");
        match weights && cuts.fetch_add(1, Ordering::SeqCst) < 3 {
            true => reply.cut(70_000),
            false => reply,
        }
    });
    check(&world.fetch(&server).unwrap(), &files());
    let ranges: Vec<_> = server.requests().iter().filter_map(|r| r.range()).collect();
    assert_eq!(ranges, [70_000, 140_000, 210_000]);
}

#[test]
fn what_was_left_is_taken_up_or_thrown_away() {
    for (left, ranges) in [
        (weights()[..100_000].to_vec(), vec![100_000]),
        // Damaged: found by the hash, and fetched again.
        (vec![9; 100_000], vec![100_000]),
        (vec![9; 400_000], vec![]),
        (weights(), vec![]),
    ] {
        let world = World::new();
        let server = Server::start(|r| good(r, &files()));
        let blobs = world.cache().join("models--owner--tiny/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        let part = blobs.join(format!("{}.incomplete", sha256(&weights())));
        std::fs::write(part, left).unwrap();
        check(&world.fetch(&server).unwrap(), &files());
        let asked: Vec<_> = server.requests().iter().filter_map(|r| r.range()).collect();
        assert_eq!(asked, ranges);
    }
}

#[test]
fn a_server_without_ranges_is_read_from_the_beginning() {
    let world = World::new();
    let cut = AtomicUsize::new(0);
    let server = Server::start(move |r| {
        let plain = Request { headers: Vec::new(), ..r.clone() };
        let reply = good(&plain, &files());
        let weights = r.method == "GET" && r.path.ends_with("model.safetensors");
        match weights && cut.fetch_add(1, Ordering::SeqCst) == 0 {
            true => reply.cut(70_000),
            false => reply,
        }
    });
    check(&world.fetch(&server).unwrap(), &files());
}

#[test]
fn refusals_name_the_remedy() {
    for (status, words) in [
        ("401 Unauthorized", "HF_TOKEN"),
        ("403 Forbidden", "gated"),
        ("404 Not Found", "the hub has no model 'owner/tiny'"),
        ("418 Teapot", "status 418"),
        ("500 Oops", "status 500"),
    ] {
        let server = Server::start(move |_| Reply::status(status));
        World::new().refused(&server, words);
        let tries = if status.starts_with('5') { 3 } else { 1 };
        assert_eq!(server.requests().len(), tries, "{status}");
    }
    let server = Server::start(|r| match r.path.ends_with("vocab.txt") {
        true => Reply::status("404 Not Found"),
        false => good(r, &files()),
    });
    World::new().refused(&server, "the hub has no vocab.txt of 'owner/tiny'");
}

#[test]
fn a_busy_hub_is_waited_for() {
    let busy = AtomicUsize::new(0);
    let server = Server::start(move |r| match busy.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status("429 Too Many Requests").with("retry-after", "1"),
        1 => Reply::status("503 Unavailable"),
        _ => good(r, &files()),
    });
    let begin = Instant::now();
    check(&World::new().fetch(&server).unwrap(), &files());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    let server =
        Server::start(|_| Reply::status("429 Too Many Requests").with("retry-after", "3600"));
    World::new().refused(&server, "try again in 3600 seconds");
    assert_eq!(server.requests().len(), 1, "an hour is not waited for");
}

/// A hub whose answers for the weights are changed.
fn hostile(change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |r| {
        let reply = good(r, &files());
        match r.path.ends_with("model.safetensors") {
            true => change(r, reply),
            false => reply,
        }
    })
}

#[test]
fn hashes_that_are_none_are_refused() {
    for etag in [
        "../../../../../evil",
        "/tmp/evil",
        "",
        "d41d8cd98f00b204e9800998ecf8427e",
        "0123456789ABCDEF0123456789ABCDEF01234567",
    ] {
        let server = hostile(move |_, reply| reply.with("etag", etag));
        World::new().refused(&server, "its ETag is neither");
    }
}

#[test]
fn what_is_not_as_promised_is_refused() {
    let other = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => Reply::ok(vec![1; 300_000]),
    });
    World::new().refused(&other, "its hash is");
    let short = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => Reply::ok(weights()[..1000].to_vec()),
    });
    World::new().refused(&short, "its length is not the promised one");
    let page = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => Reply::ok(b"<html>log in".to_vec()).with("content-type", "text/html; charset=utf-8"),
    });
    World::new().refused(&page, "it is a web page");
    let bomb = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => reply.with("content-encoding", "gzip"),
    });
    World::new().refused(&bomb, "it is compressed");
    let place = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => Reply { status: "206 Partial Content".into(), ..Reply::ok(weights()) }
            .with("content-range", "bytes 5-300004/300005"),
    });
    let message = World::new().fetch(&place).unwrap_err().to_string();
    assert!(message.contains("it begins at byte 5, not 0"), "{message}");
    let commit = hostile(|_, reply| reply.with("x-repo-commit", &"a".repeat(40)));
    World::new().refused(&commit, "another commit");
}

#[test]
fn sizes_have_bounds() {
    let huge = hostile(|_, reply| reply.with("x-linked-size", "99999999999999"));
    World::new().refused(&huge, "at most 50000000000 are read");
    let none = hostile(|_, reply| reply.with("content-length", "many"));
    assert!(World::new().fetch(&none).is_err());
    // A body without an end is read as far as was promised.
    let endless = hostile(|r, reply| match r.method.as_str() {
        "HEAD" => reply,
        _ => Reply::ok(Vec::new()).endless(),
    });
    World::new().refused(&endless, "its hash is");
    let info = Server::start(|_| Reply::ok(Vec::new()).endless());
    World::new().refused(&info, "it is longer than");
}

#[test]
fn weights_in_a_pickle_come_where_there_are_no_others() {
    let index = serde_json::json!({ "weight_map": { "a": "pytorch_model-00001-of-00001.bin" } });
    for (more, wanted) in [
        (vec![("pytorch_model.bin", weights())], "pytorch_model.bin"),
        (
            vec![
                ("pytorch_model.bin.index.json", index.to_string().into_bytes()),
                ("pytorch_model-00001-of-00001.bin", weights()),
            ],
            "pytorch_model-00001-of-00001.bin",
        ),
    ] {
        let mut all = files();
        all.extend(more.clone());
        let server = Server::start(move |r| good(r, &all));
        let folder = World::new().fetch(&server).unwrap();
        assert!(!folder.join(wanted).exists(), "safetensors go first");
        let mut only = files();
        only.retain(|f| f.0 != "model.safetensors");
        only.extend(more);
        let server = Server::start(move |r| good(r, &only));
        let world = World::new();
        let folder = world.fetch(&server).unwrap();
        assert_eq!(std::fs::read(folder.join(wanted)).unwrap(), weights());
        // Whole: the hub is not asked again.
        let asked = server.requests().len();
        assert_eq!(world.fetch(&server).unwrap(), folder);
        assert_eq!(server.requests().len(), asked);
    }
}

#[test]
fn adapters_of_each_library_come_with_their_heads() {
    let some = || b"{}".to_vec();
    for files in [
        vec![("adapter.json", some()), ("adapter.safetensors", weights())],
        vec![("adapter_config.json", some()), ("adapter_model.safetensors", weights())],
        vec![("adapter_config.json", some()), ("adapter_model.bin", weights())],
        vec![
            ("adapter_config.json", some()),
            ("pytorch_adapter.bin", weights()),
            ("head_config.json", some()),
            ("pytorch_model_head.bin", some()),
        ],
        // A model that is tuned for a task.
        files(),
    ] {
        let mut there = files.clone();
        there.extend([("training_args.bin", vec![1]), ("optimizer.pt", vec![1])]);
        let server = Server::start(move |r| good(r, &there));
        let world = World::new();
        let name = ModelName::parse("owner/tiny").unwrap().unwrap();
        let fetch = || Hub::new(world.settings(&server)).adapter(&name, &mut |_| {});
        let folder = fetch().unwrap();
        let mut found: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut wanted: Vec<_> = files.iter().map(|f| f.0).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        let asked = server.requests().len();
        assert_eq!(fetch().unwrap(), folder);
        assert_eq!(server.requests().len(), asked);
    }
    // A description without weights is not an adapter.
    let bare = vec![("adapter_config.json", some())];
    let server = Server::start(move |r| good(r, &bare));
    let name = ModelName::parse("owner/tiny").unwrap().unwrap();
    let world = World::new();
    let message = Hub::new(world.settings(&server)).adapter(&name, &mut |_| {}).unwrap_err();
    assert!(message.to_string().contains("the adapter 'owner/tiny' has none of"), "{message}");
}

#[test]
fn descriptions_are_checked() {
    for sha in ["../../../evil", "", "main", "0123", &"A".repeat(40)] {
        let body = serde_json::json!({ "sha": sha, "siblings": [] }).to_string().into_bytes();
        let server = Server::start(move |_| Reply::ok(body.clone()));
        World::new().refused(&server, "its commit is not 40 hexadecimal digits");
    }
    let server = Server::start(|_| Reply::ok(b"<html>".to_vec()));
    World::new().refused(&server, "it is not the description of a repository");
    let bare = vec![("config.json", CONFIG.to_vec()), ("flax_model.msgpack", weights())];
    let server = Server::start(move |r| good(r, &bare));
    World::new().refused(&server, "has none of model.safetensors");
    // Names beside ours are not asked for.
    let mut strange = files();
    strange.extend([("../../evil", vec![1]), ("/etc/evil", vec![1]), ("run.sh", vec![1])]);
    let server = Server::start(move |r| good(r, &strange));
    World::new().fetch(&server).unwrap();
    let asked = server.requests();
    assert!(!asked.iter().any(|r| r.path.contains("evil") || r.path.contains("run.sh")));
}

#[test]
fn redirects_end() {
    let count = Server::start(|_| Reply::status("302 Found").with("location", "/again"));
    World::new().refused(&count, "redirected more than");
    for bad in ["file:///etc/passwd", "gopher://x/", "http://user@host/", ""] {
        let server = Server::start(move |_| Reply::status("302 Found").with("location", bad));
        let message = World::new().fetch(&server).unwrap_err().to_string();
        assert!(message.contains("to no https or http address") || bad.is_empty(), "{message}");
    }
}

#[test]
fn a_server_that_says_nothing_or_little_is_left() {
    for reply in [Reply::silent as fn() -> Reply, Reply::silent_body, Reply::drip] {
        let server = hostile(move |r, good| match r.method.as_str() {
            "HEAD" => good,
            _ => reply(),
        });
        let begin = Instant::now();
        let message = World::new().fetch(&server).unwrap_err().to_string();
        assert!(message.contains("cannot fetch model.safetensors of 'owner/tiny'"), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
    let nobody = Server::start(|_| Reply::silent());
    World::new().refused(&nobody, "cannot fetch model 'owner/tiny'");
}

#[test]
fn many_at_once_fetch_each_file_once() {
    let world = World::new();
    let server = Server::start(|r| good(r, &files()));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| world.fetch(&server).unwrap())).collect();
        all.into_iter().for_each(|t| check(&t.join().unwrap(), &files()));
    });
    let bodies = server.requests();
    let bodies = bodies.iter().filter(|r| r.method == "GET" && r.path.ends_with(".safetensors"));
    assert_eq!(bodies.count(), 1);
}

/// `/dev/full` is a disk without room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing() {
    let world = World::new();
    let server = Server::start(|r| good(r, &files()));
    let blobs = world.cache().join("models--owner--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.incomplete", sha256(&weights())));
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    world.refused(&server, "No space left");
}
