//! Several processes that fetch one model into one cache at the same time.
#![allow(clippy::unwrap_used)]

mod good;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use budwood_hub::{Hub, ModelName};
use good::{files, good, weights};
use server::{Server, sha256};

const ENDPOINT: &str = "BUDWOOD_TEST_ENDPOINT";
const CACHE: &str = "BUDWOOD_TEST_CACHE";

/// What a process does that a test begins: it fetches the model, or fails.
#[test]
fn fetch() {
    let (Ok(endpoint), Some(cache)) = (std::env::var(ENDPOINT), std::env::var_os(CACHE)) else {
        return;
    };
    let mut settings = budwood_hub::Settings::from_env().unwrap();
    (settings.endpoint, settings.cache, settings.token) = (endpoint, cache.into(), None);
    let name = ModelName::parse("owner/tiny").unwrap().unwrap();
    Hub::new(settings).model(&name, &mut |_| {}).unwrap();
}

struct World {
    dir: tempfile::TempDir,
    server: Server,
}

impl World {
    /// A hub whose weights take 0.3 seconds at least.
    fn new() -> Self {
        let server = Server::start(|request| {
            let reply = good(request, &files());
            match request.method == "GET" && request.path.ends_with(".safetensors") {
                true => reply.slowly(),
                false => reply,
            }
        });
        Self { dir: tempfile::tempdir().unwrap(), server }
    }

    fn model(&self) -> PathBuf {
        self.dir.path().join("hub/models--owner--tiny")
    }

    fn begin(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fetch"])
            .env(ENDPOINT, self.server.address())
            .env(CACHE, self.dir.path().join("hub"))
            .env("HOME", self.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Waits until so many bytes of the weights are on the disk.
    fn wait_for(&self, bytes: u64) {
        let part = self.model().join("blobs").join(format!("{}.incomplete", sha256(&weights())));
        let begin = Instant::now();
        while fs::metadata(&part).map_or(0, |m| m.len()) < bytes {
            assert!(begin.elapsed() < Duration::from_secs(60), "nothing arrives");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The places from which the weights were asked for.
    fn asked(&self) -> Vec<usize> {
        let requests = self.server.requests().into_iter();
        let bodies = requests.filter(|r| r.method == "GET" && r.path.ends_with(".safetensors"));
        bodies.map(|r| r.range().unwrap_or(0)).collect()
    }

    /// The model is whole, and nothing else lies in the cache.
    fn is_whole(&self) {
        for (name, bytes) in files() {
            let path = self.model().join("snapshots").join(good::COMMIT).join(name);
            assert_eq!(fs::read(path).unwrap(), bytes, "{name}");
        }
        assert_eq!(count(&self.model().join("blobs")), 3);
        assert_eq!(count(&self.model().join("snapshots").join(good::COMMIT)), 3);
    }
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn each_file_comes_once() {
    let world = World::new();
    let mut all: Vec<_> = (0..3).map(|_| world.begin()).collect();
    assert!(all.iter_mut().all(|child| child.wait().unwrap().success()));
    assert_eq!(world.asked(), [0]);
    world.is_whole();
}

#[test]
fn where_one_is_killed_another_goes_on() {
    let world = World::new();
    let mut first = world.begin();
    world.wait_for(50_000);
    let mut second = world.begin();
    std::thread::sleep(Duration::from_millis(50));
    first.kill().unwrap();
    assert!(!first.wait().unwrap().success(), "it was killed before the end");
    assert!(second.wait().unwrap().success());
    let asked = world.asked();
    assert!(asked.len() == 2 && asked[0] == 0 && asked[1] >= 50_000, "{asked:?}");
    world.is_whole();
}

/// What a process left that was killed between making a link and giving it its name.
#[cfg(unix)]
#[test]
fn what_a_killed_process_left_is_removed() {
    let world = World::new();
    let snapshot = world.model().join("snapshots").join(good::COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    let left = snapshot.join(format!(".{}.tmp", sha256(&weights())));
    std::os::unix::fs::symlink("nowhere", left).unwrap();
    assert!(world.begin().wait().unwrap().success());
    world.is_whole();
}

/// Python's library removes a lock's file when it lets go: who waited for it holds a lock of no
/// file, and takes that of the new one.
#[cfg(unix)]
#[test]
fn a_lock_whose_file_is_removed_locks_nothing() {
    let world = World::new();
    let locks = world.dir.path().join("hub/.locks/models--owner--tiny");
    fs::create_dir_all(&locks).unwrap();
    let path = locks.join(format!("{}.lock", sha256(&weights())));
    let open = || fs::File::create(&path).unwrap();
    let old = open();
    old.lock().unwrap();
    let mut child = world.begin();
    // The small files come first; then the process waits for the weights' lock.
    let small = world.model().join("snapshots").join(good::COMMIT).join("vocab.txt");
    while !small.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(&path).unwrap();
    let new = open();
    new.lock().unwrap();
    drop(old);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.asked().len(), 0, "another process holds the lock that has a name");
    drop(new);
    assert!(child.wait().unwrap().success());
    world.is_whole();
}
