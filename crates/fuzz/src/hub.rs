//! Answers of a hub: heads, descriptions and files, given by a server in this process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use budwood_base::digest;
use budwood_hub::{Hub, ModelName, Patience, Settings, Upload};
use serde_json::json;

use crate::mutate::Files;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n";
/// What is sent.
const SENT: &str = "a.txt";
/// Where the answers of this case lie.
static ANSWERS: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A head, in which `{LENGTH}` and `{HASH}` are those of the body, and a body for each of: the
/// description of a repository, a file, what is asked before files are sent, and the end.
pub(crate) fn corpus() -> Vec<Files> {
    let info = |names: &[&str]| {
        let mut files: Vec<_> = names.iter().map(|name| json!({ "rfilename": name })).collect();
        // Git's name of what is sent.
        let blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        files.push(json!({ "rfilename": SENT, "blobId": blob }));
        json!({ "sha": COMMIT, "private": false, "siblings": files }).to_string()
    };
    let index = json!({ "weight_map": { "a": "model-00001-of-00001.safetensors" } }).to_string();
    let sorted = json!({
        "files": [{ "path": SENT, "uploadMode": "regular", "shouldIgnore": false }],
        "commitOid": COMMIT, "objects": [],
    });
    let one = |names: &[&str], file: &str, more: &str| -> Files {
        let head = format!("{OK}etag: \"{{HASH}}\"\r\nx-repo-commit: {COMMIT}\r\n{more}\r\n");
        let files = [
            ("info.head", format!("{OK}content-type: application/json\r\n\r\n")),
            ("info.json", info(names)),
            ("file.head", head),
            ("file.json", file.to_string()),
            ("post.head", format!("{OK}\r\n")),
            ("post.json", sorted.to_string()),
            (SENT, "hello\n".into()),
        ];
        files.map(|(name, text)| (name.into(), text.into_bytes())).to_vec()
    };
    let whole = ["config.json", "vocab.txt", "model.safetensors"];
    let shards = ["vocab.txt", "model.safetensors.index.json"];
    vec![
        one(&whole, "{\"model_type\": \"bert\"}", ""),
        one(&shards, &index, "accept-ranges: bytes\r\n"),
        one(&whole, "{}", "x-linked-etag: {HASH}\r\nx-linked-size: {LENGTH}\r\nlocation: /a\r\n"),
    ]
}

/// The address of a server that answers from [`ANSWERS`].
fn address() -> Option<&'static str> {
    static ADDRESS: OnceLock<Option<String>> = OnceLock::new();
    let started = ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = format!("http://{}", listener.local_addr().ok()?);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        Some(address)
    });
    started.as_deref()
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let which = match first.split(' ').collect::<Vec<_>>()[..] {
        ["POST" | "PUT", ..] => "post",
        [_, path, ..] if path.starts_with("/api/") => "info",
        _ => "file",
    };
    let folder = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let read = |ending: &str| {
        let folder = folder.as_ref()?;
        std::fs::read(folder.join(format!("{which}.{ending}"))).ok()
    };
    let (head, body) = (read("head").unwrap_or_default(), read("json").unwrap_or_default());
    let head = String::from_utf8_lossy(&head)
        .replace("{LENGTH}", &body.len().to_string())
        .replace("{HASH}", &digest::of_bytes(&body));
    let _ = stream.write_all(head.as_bytes());
    if !first.starts_with("HEAD") {
        let _ = stream.write_all(&body);
    }
}

/// Fetches a model, and sends a file. Only what is whole is fetched, and only into the cache.
pub(crate) fn read(folder: &Path) {
    ask(folder);
}

/// Whether a model was fetched, and a file sent.
fn ask(folder: &Path) -> [bool; 2] {
    let Some(endpoint) = address() else { return [false; 2] };
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.into());
    let (cache, wait) = (folder.join("cache"), Duration::from_millis(200));
    let patience = Patience { answer: wait, stall: wait, tries: 2, pause: Duration::ZERO };
    let (endpoint, token) = (endpoint.to_string(), Some("hf_secret".to_string()));
    let hub = Hub::new(Settings {
        endpoint,
        cache: cache.clone(),
        token,
        offline: false,
        certificates: None,
        patience,
    });
    let Ok(Some(name)) = ModelName::parse("owner/tiny") else { return [false; 2] };
    let fetched = hub.model(&name, &mut |_| {});
    let upload = Upload { path: SENT.into(), file: folder.join(SENT) };
    let sent = hub.push(&name, false, "a message", &[upload], &mut |_| {});
    check(&cache, fetched.is_ok());
    [fetched.is_ok(), sent.is_ok()]
}

/// Only the cache holds anything new, and what it holds is as its name promises.
fn check(cache: &Path, fetched: bool) {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    };
    let known = ["models--owner--tiny", ".locks"];
    let beside = names(cache).into_iter().find(|name| !known.contains(&name.as_str()));
    assert_eq!(beside, None, "in the cache");
    let blobs = cache.join("models--owner--tiny/blobs");
    for name in names(&blobs).into_iter().filter(|name| name.len() == 64) {
        assert_eq!(digest::of_file(&blobs.join(&name)).ok().as_ref(), Some(&name));
    }
    let noted = cache.join("models--owner--tiny/refs/main").exists();
    assert_eq!(noted, fetched, "a revision leads to what is whole, and to nothing else");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage is only found behind the first look if what is whole is taken.
    #[test]
    fn what_is_whole_is_fetched_and_sent() {
        for files in corpus() {
            let dir = crate::mutate::written(&files);
            assert_eq!(ask(dir.path()), [true; 2]);
        }
    }
}
