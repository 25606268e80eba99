//! A model, and what a good hub answers of it.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use crate::server::{Reply, Request, git_sha1, sha256};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const CONFIG: &[u8] = br#"{"model_type": "bert"}"#;
pub(crate) const VOCAB: &[u8] = b"[PAD]\n[UNK]\n";

pub(crate) fn weights() -> Vec<u8> {
    (0..300_000u32).map(|i| (i * 7 % 251) as u8).collect()
}

/// The files of a model with one file of weights.
pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", CONFIG.to_vec()),
        ("vocab.txt", VOCAB.to_vec()),
        ("model.safetensors", weights()),
    ]
}

/// What a good hub answers.
pub(crate) fn good(request: &Request, files: &[(&str, Vec<u8>)]) -> Reply {
    if request.path.starts_with("/api/models/owner/tiny/revision/") {
        let names: Vec<_> =
            files.iter().map(|(f, _)| serde_json::json!({ "rfilename": f })).collect();
        let body = serde_json::json!({ "sha": COMMIT, "siblings": names }).to_string();
        return Reply::ok(body.into_bytes()).with("content-type", "application/json");
    }
    let start = format!("/owner/tiny/resolve/{COMMIT}/");
    let file = request.path.strip_prefix(&start).and_then(|f| files.iter().find(|g| g.0 == f));
    let Some((name, bytes)) = file else { return Reply::status("404 Not Found") };
    let large = name.ends_with(".safetensors");
    let etag = if large { sha256(bytes) } else { git_sha1(bytes) };
    Reply::file(request, bytes)
        .with("etag", &format!("\"{etag}\""))
        .with("x-repo-commit", COMMIT)
        .with("accept-ranges", "bytes")
}
