//! One file of the hub: fetched, gone on with where it was cut, and checked.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::cache::Cache;
use crate::client::{Ask, Client, Failure, header, number};
use crate::hash::{ETag, Hasher};
use crate::{Error, Progress};

/// A try that brought this much counts as none that failed.
const PROGRESS: u64 = 64 << 10;
/// Bytes a second below which a connection counts as dead.
const SLOWEST: u64 = 1 << 10;

/// A file to fetch.
pub(crate) struct Wanted<'a> {
    pub(crate) commit: &'a str,
    /// One of the names that we ask for.
    pub(crate) file: &'a str,
    /// Model and file, for messages.
    pub(crate) what: &'a str,
    pub(crate) address: &'a str,
    /// Largest size in bytes.
    pub(crate) limit: u64,
}

/// Fetches a file into the cache and puts it into its commit's folder.
pub(crate) fn fetch(
    client: &Client,
    cache: &Cache,
    wanted: &Wanted<'_>,
    report: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let (etag, size) = client.patiently(wanted.what, || promise(client, wanted))?;
    let lock = cache.lock(&etag)?;
    let blob = cache.blob(&etag);
    // Another process may have fetched it while this one waited.
    if !fs::metadata(&blob).is_ok_and(|m| m.is_file() && m.len() == size) {
        let part = cache.part(&etag);
        let mut progress = |done| report(Progress { file: wanted.file, done, size });
        client.patiently(wanted.what, || {
            let filled = fill(client, &part, wanted, (&etag, size), &mut progress);
            filled.inspect_err(|failure| {
                // Nothing of an answer that cannot be trusted, and no full disk because of us.
                if let Failure::Final(Error::Answer { .. } | Error::File { .. }) = failure {
                    discard(&part);
                }
            })
        })?;
        fs::rename(&part, &blob).map_err(Error::file(&blob))?;
    }
    cache.place(&etag, wanted.commit, wanted.file)?;
    drop(lock);
    Ok(())
}

/// The hash and the size that the hub promises.
fn promise(client: &Client, wanted: &Wanted<'_>) -> Result<(ETag, u64), Failure> {
    let bad = |why: String| Failure::Final(Error::answer(wanted.what, why));
    let answer = client.send(Ask::Head, wanted.address, wanted.what)?;
    check_kind(&answer, wanted.what)?;
    let etag = header(&answer, "x-linked-etag").or_else(|| header(&answer, "etag"));
    let etag = etag
        .and_then(ETag::parse)
        .ok_or_else(|| bad("its ETag is neither the SHA-1 nor the SHA-256 of a file".into()))?;
    let size = number(&answer, "x-linked-size").or_else(|| {
        // The length of a redirect's own body says nothing.
        number(&answer, "content-length").filter(|_| answer.status().is_success())
    });
    let size = size.ok_or_else(|| bad("it does not say how large the file is".into()))?;
    if size > wanted.limit {
        let limit = wanted.limit;
        return Err(bad(format!(
            "it is {size} bytes, and at most {limit} are read of such a file"
        )));
    }
    if header(&answer, "x-repo-commit").is_some_and(|c| c != wanted.commit) {
        return Err(bad(format!("it is of another commit than {}", wanted.commit)));
    }
    Ok((etag, size))
}

/// Brings the partial file to its full size, once, and checks it.
fn fill(
    client: &Client,
    path: &Path,
    wanted: &Wanted<'_>,
    (etag, size): (&ETag, u64),
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let at = |source| Error::File { path: path.into(), source };
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = file.map_err(at)?;
    let mut hasher = etag.hasher(size);
    let mut done = take_up(&mut file, size, &mut hasher).map_err(at)?;
    let resumed = done > 0;
    if done < size {
        let answer = client.send(Ask::Get(done), wanted.address, wanted.what)?;
        check_kind(&answer, wanted.what)?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            discard(path);
            return Err(Failure::again("the hub's file is shorter than what was fetched of it"));
        }
        let begin = begins_at(&answer);
        if begin != done {
            if begin != 0 {
                let why = format!("it begins at byte {begin}, not {done}");
                return Err(Error::answer(wanted.what, why).into());
            }
            // The server knows no ranges: from the beginning, then.
            (done, hasher) = (0, etag.hasher(size));
            file.set_len(0).and_then(|()| file.rewind()).map_err(at)?;
        }
        if number(&answer, "content-length").is_some_and(|n| n != size - done) {
            return Err(Error::answer(wanted.what, "its length is not the promised one").into());
        }
        let mut body = Arriving { file, path, hasher, done, size };
        body.read(answer, client, progress)?;
        if body.done < size {
            let progress = body.done - done >= PROGRESS;
            let why = format!("the connection was cut after {} of {size} bytes", body.done);
            return Err(Failure::Again { why, after: None, progress });
        }
        (file, hasher) = (body.file, body.hasher);
    }
    let found = hasher.finish();
    if found != etag.as_str() {
        if resumed {
            discard(path);
            return Err(Failure::again("what an earlier try had fetched was damaged"));
        }
        let why = format!("its hash is {found}, not the promised {}", etag.as_str());
        return Err(Error::answer(wanted.what, why).into());
    }
    file.sync_all().map_err(at)?;
    Ok(())
}

/// Hashes what an earlier try left, and goes to its end. What is too long is thrown away.
fn take_up(file: &mut File, size: u64, hasher: &mut Hasher) -> std::io::Result<u64> {
    let mut there = file.metadata()?.len();
    if there > size {
        file.set_len(0)?;
        there = 0;
    }
    let mut buffer = vec![0; 1 << 16];
    let mut left = file.take(there);
    loop {
        let n = left.read(&mut buffer)?;
        if n == 0 {
            let file = left.into_inner();
            return file.seek(SeekFrom::End(0));
        }
        hasher.update(&buffer[..n]);
    }
}

/// A file whose bytes come in.
struct Arriving<'a> {
    file: File,
    path: &'a Path,
    hasher: Hasher,
    done: u64,
    size: u64,
}

impl Arriving<'_> {
    /// Reads until the body ends, the file is whole, or too little comes.
    fn read(
        &mut self,
        answer: Response<Body>,
        client: &Client,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let stall = client.settings.patience.stall;
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let (mut since, mut before) = (Instant::now(), self.done);
        while self.done < self.size {
            let room = (self.size - self.done).min(buffer.len() as u64) as usize;
            // A cut connection is an end like another; the caller sees that bytes are missing.
            let n = body.read(&mut buffer[..room]).unwrap_or(0);
            if n == 0 {
                return Ok(());
            }
            self.file.write_all(&buffer[..n]).map_err(Error::file(self.path))?;
            self.hasher.update(&buffer[..n]);
            self.done += n as u64;
            progress(self.done);
            if since.elapsed() >= stall {
                if self.done - before < SLOWEST * stall.as_secs().max(1) {
                    return Ok(());
                }
                (since, before) = (Instant::now(), self.done);
            }
        }
        Ok(())
    }
}

/// Refuses what is not a file: a page of a proxy or of a login, or something compressed.
fn check_kind(answer: &Response<Body>, what: &str) -> Result<(), Error> {
    if header(answer, "content-encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Err(Error::answer(what, "it is compressed, though that was not asked for"));
    }
    let page = header(answer, "content-type").is_some_and(|t| t.trim().starts_with("text/html"));
    if page && answer.status().is_success() {
        let why = "it is a web page and no file. Is a proxy or a login between here and the hub?";
        return Err(Error::answer(what, why));
    }
    Ok(())
}

/// The place of the answer's first byte in the file.
fn begins_at(answer: &Response<Body>) -> u64 {
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return 0;
    }
    let range = header(answer, "content-range").and_then(|r| r.trim().strip_prefix("bytes "));
    let begin = range.and_then(|r| r.split_once('-')).and_then(|(from, _)| from.parse().ok());
    begin.unwrap_or(u64::MAX)
}

fn discard(path: &Path) {
    let _ = fs::remove_file(path);
}
