//! This program in a process of its own, with limits on memory and time, for what strangers sent.
//!
//! The process ends with the one that began it, however that one ends: its standard input is a pipe
//! that nobody writes to, and the end of that pipe is the end of the parent.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::again;
use crate::output::note;

/// What a process may take.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    /// Memory, in GB.
    pub(crate) memory: u64,
    pub(crate) time: Duration,
    pub(crate) threads: usize,
}

/// Bytes of its output that are read.
const OUTPUT: u64 = 1 << 30;
/// Bytes of what it says of errors.
const WORDS: u64 = 1 << 16;

/// What this program prints when it is run with these words.
pub(crate) fn run(words: &[&str], allowed: Allowed) -> Result<Vec<u8>> {
    let Allowed { memory, time, threads } = allowed;
    let program = again::program().context("cannot find the program itself")?;
    // The shell sets the limit and becomes the program; nothing of a submission is among its words.
    // Whoever asks for pages comes before it.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "ulimit -v \"$0\" && exec nice -n 10 \"$@\""])
        .arg((memory * 1_000_000).to_string())
        .args(program)
        .args(["--threads", &threads.to_string()])
        .args(["--ends-with-parent", &time.as_secs().max(1).to_string()])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a process for the adapter")?;
    // Open until this function is left: its end tells the process to end.
    let _alive = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>, most: u64| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.map(|p| p.take(most).read_to_end(&mut text));
            text
        })
    };
    let out = read(out.map(|o| Box::new(o) as _), OUTPUT);
    let err = read(err.map(|e| Box::new(e) as _), WORDS);
    let end = Instant::now() + time;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} and was ended", crate::output::seconds(time.as_secs_f64()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&err);
    let last = said.trim().lines().last().unwrap_or_default().trim_start_matches("error: ");
    match status.code() {
        Some(1) => bail!("{last}"),
        _ => {
            bail!("ended with {status}; it may have needed more than {memory} GB of memory. {last}")
        }
    }
}

/// Ends this process when its standard input does, and when its time is over.
pub(crate) fn end_with_parent(seconds: u64) {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
    end_after(Duration::from_secs(seconds), "the time that its parent gave it is over".into());
}

/// Ends this process with an error after some time. Nothing that runs meanwhile can keep it.
pub(crate) fn end_after(time: Duration, message: String) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        note!("error: {message}");
        std::process::exit(1);
    });
}

/// A message for readers: of files of this machine it names the last part alone. `places` are those
/// that are known to stand in it.
pub(crate) fn without_places(message: &str, places: &[&Path]) -> String {
    let mut text = message.to_owned();
    for place in places.iter().filter(|p| p.is_absolute()) {
        let name = place.file_name().map(|n| n.to_string_lossy().into_owned());
        text = text.replace(&*place.to_string_lossy(), &name.unwrap_or_default());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('/') {
        let (before, from) = rest.split_at(at);
        let begins = before.chars().next_back().or_else(|| out.chars().next_back());
        let begins = begins.is_none_or(|c| !c.is_alphanumeric() && !"/._~-".contains(c));
        let ends = |c: char| c.is_whitespace() || "'\"`()[]{}<>,;:".contains(c);
        let path = &from[..from.find(ends).unwrap_or(from.len())];
        out += before;
        let address = path.starts_with("//");
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        out += if begins && !address { last } else { path };
        rest = &from[path.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_shown_names_and_no_places() {
        for (said, shown) in [
            ("/srv/board/scratch/1-0/check-7/adapter.json: is bad", "adapter.json: is bad"),
            (
                "the data at `--data=/home/x/test.csv --test` are",
                "the data at `--data=test.csv --test` are",
            ),
            ("cannot read '/etc/a b'", "cannot read 'a b'"),
            ("see https://example.org/a/b", "see https://example.org/a/b"),
            ("1/2 of and/or, a/b", "1/2 of and/or, a/b"),
            ("in /srv/my board/files: no", "in files: no"),
            ("(/a/b/c)", "(c)"),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(without_places(said, &[Path::new("/srv/my board/files")]), shown, "{said}");
        }
    }
}
