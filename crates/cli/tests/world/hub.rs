//! A hub on this machine with the paths and headers of the real one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Files of a repository by their names.
type Files = Vec<(String, Vec<u8>)>;

/// A folder's files as those of a repository.
pub(crate) fn repository(name: &str, folder: &Path) -> (String, Files) {
    let entries = fs::read_dir(folder).unwrap().flatten().filter(|e| e.path().is_file());
    let files = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read(entry.path()).unwrap())
    });
    (name.into(), files.collect())
}

/// Serves repositories until the test ends; the address.
pub(crate) fn serve(repositories: Vec<(String, Files)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &repositories);
        }
    });
    address
}

fn answer(mut stream: TcpStream, repositories: &[(String, Files)]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut asked = String::new();
    reader.read_line(&mut asked)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = asked.split(' ').nth(1).unwrap_or_default();
    let (status, more, body) = match found(path, repositories) {
        Some((etag, body)) => ("200 OK", format!("etag: \"{etag}\"\r\n"), body),
        None => ("404 Not Found", String::new(), Vec::new()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{more}content-length: {length}\r\n")?;
    stream.write_all(b"connection: close\r\n\r\n")?;
    if !asked.starts_with("HEAD ") {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// The hash and the bytes of what lies at a path.
fn found(path: &str, repositories: &[(String, Files)]) -> Option<(String, Vec<u8>)> {
    let body = repositories.iter().find_map(|(name, files)| {
        if path == format!("/api/models/{name}/revision/main") {
            let names = files.iter().map(|(file, _)| serde_json::json!({ "rfilename": file }));
            let siblings: Vec<_> = names.collect();
            let info = serde_json::json!({ "siblings": siblings, "sha": COMMIT });
            return Some(info.to_string().into_bytes());
        }
        let file = path.strip_prefix(&format!("/{name}/resolve/{COMMIT}/"))?;
        Some(files.iter().find(|(there, _)| there == file)?.1.clone())
    })?;
    Some((budwood_base::digest::of_bytes(&body), body))
}
