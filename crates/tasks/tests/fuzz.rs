//! Files that nobody means: changed at random from the cases, with a fixed seed. Nothing panics, and nothing takes more
//! memory than a multiple of the file. `BUDWOOD_FUZZ_SECONDS=600 cargo test -p budwood-tasks --test fuzz -- --ignored` goes on
//! for so long.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use budwood_base::random::Key;
use budwood_tasks::read::ReadOptions;
use budwood_tasks::{ColumnChoice, DataRequest, DataSource, Split};

/// The peak of memory is that of the process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn resident(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Reads a file as `train` and as `predict` do; the memory that it took at most, where the system says.
fn memory_to_read(path: &Path) -> u64 {
    let before = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| resident("VmRSS:"));
    let source = || {
        let text = path.display().to_string();
        let mut source = DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default())?;
        source.skip_bad = true;
        Ok::<_, budwood_tasks::Error>(source)
    };
    let train = || {
        let request = DataRequest {
            train: source()?,
            dev: None,
            test: None,
            test_of_layout: false,
            dev_share: 0.1,
            dev_share_from: 0,
            test_share: 0.1,
            split_seed: 0,
            train_rows: None,
            task: None,
        };
        request.read().map(|data| data.report.lines().len())
    };
    let _ = train();
    let answer = || {
        let task = budwood_tasks::task::find("classification")?;
        let mut opened = source()?.open(Split::Test, false)?;
        opened.settle(Some(task))?;
        opened.examples(task, &["0".to_string(), "1".to_string()])
    };
    let _ = answer();
    before.and_then(|before| Some(resident("VmHWM:")?.saturating_sub(before))).unwrap_or(0)
}

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")];
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/small.parquet")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

const PIECES: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\t",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"'",
    b"\\",
    b"\\u",
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"nan",
    b"inf",
    b"1e999",
    b"-1",
    b"[1, 0]",
    b"array(",
    b"None",
    b"null",
    b"...",
    b"{\"data\": [",
    b"9223372036854775808",
    b"\xe2\x80\xa8",
    b"sep=;",
    b"PAR1",
    b"\x1f\x8b",
    b"version https://git-lfs",
];

/// One more file: a file of the corpus with some changes.
fn changed(corpus: &[(PathBuf, Vec<u8>)], key: Key) -> (String, Vec<u8>) {
    let mut n = 0;
    let mut below = |limit: usize| {
        n += 1;
        (key.uniform(n) * limit as f64) as usize % limit.max(1)
    };
    let (path, bytes) = &corpus[below(corpus.len())];
    let mut bytes = bytes.clone();
    for _ in 0..=below(8) {
        let at = below(bytes.len() + 1);
        let end = (at + below(40)).min(bytes.len());
        match below(7) {
            0 if at < bytes.len() => bytes[at] = below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let piece = bytes[at..end].to_vec();
                let place = below(bytes.len() + 1);
                drop(bytes.splice(place..place, piece));
            }
            5 => {
                let (_, other) = &corpus[below(corpus.len())];
                let from = below(other.len() + 1);
                let until = (from + below(200)).min(other.len());
                drop(bytes.splice(at..at, other[from..until].to_vec()));
            }
            _ => drop(bytes.splice(at..at, PIECES[below(PIECES.len())].to_vec())),
        }
    }
    let endings = ["csv", "tsv", "jsonl", "json", "parquet", "conll", "txt"];
    let own = path.extension().and_then(|e| e.to_str()).unwrap_or("csv");
    let ending = if below(4) == 0 { endings[below(endings.len())] } else { own };
    (format!("a.{ending}"), bytes)
}

fn fuzz(time: Duration, seed: u64) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let corpus = corpus();
    assert!(corpus.len() > 30);
    let dir = tempfile::tempdir().unwrap();
    let key = Key::new(seed).named("fuzz");
    let begin = Instant::now();
    let mut files = 0;
    while begin.elapsed() < time {
        let (name, bytes) = changed(&corpus, key.child(files));
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        let read = catch_unwind(AssertUnwindSafe(|| memory_to_read(&path)));
        let took = start.elapsed();
        let keep = || {
            let kept = std::env::temp_dir().join(format!(
                "budwood-fuzz-{seed}-{files}-{}",
                path.file_name().unwrap().display()
            ));
            fs::write(&kept, &bytes).unwrap();
            kept
        };
        assert!(read.is_ok(), "file {files} panics: {}", keep().display());
        assert!(
            took < Duration::from_secs(10),
            "file {files} takes {took:?}: {}",
            keep().display()
        );
        let (memory, limit) = (read.unwrap_or(0), 50 * bytes.len() as u64 + 100_000_000);
        assert!(memory < limit, "file {files} takes {memory} bytes: {}", keep().display());
        files += 1;
    }
    assert!(files > 50, "only {files} files");
    eprintln!("{files} files");
}

#[test]
fn files_at_random_are_read_or_refused() {
    fuzz(Duration::from_secs(4), 1);
}

#[test]
#[ignore = "minutes"]
fn many_files_at_random_are_read_or_refused() {
    let seconds = std::env::var("BUDWOOD_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    fuzz(Duration::from_secs(seconds.unwrap_or(600)), 2);
}

/// Files whose every byte asks for as much as it can.
#[test]
fn memory_is_a_multiple_of_the_file() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let many = |text: &str| text.repeat(2_000_000 / text.len());
    let keys: String = (0..200_000).map(|i| format!("{{\"k{i}\":1}}\n")).collect();
    for (name, text) in [
        ("a.csv", many(",")),
        ("b.csv", format!("a,b\n{}", many(",\n"))),
        ("c.txt", many("\n")),
        ("d.csv", format!("text,label\n{}", many("\"\n"))),
        ("e.jsonl", many("{}\n")),
        ("f.jsonl", keys),
        ("g.json", format!("[{}{{}}]", many("{},"))),
        ("h.json", format!("{{\"text\":[{}1],\"label\":[1]}}", many("1,"))),
        ("i.json", many("[")),
        ("j.csv", format!("text,label\na,\"{}\"\n", many("["))),
        ("k.csv", format!("text,label\na,\"[{}1]\"\n", many("1,"))),
        ("l.conll", many("a b\n\n")),
        ("m.csv", format!("text,label\n{}", many("a,\"\"\"\n"))),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, &text).unwrap();
        let start = Instant::now();
        let memory = memory_to_read(&path);
        let (limit, took) = (50 * text.len() as u64 + 32_000_000, start.elapsed());
        assert!(memory < limit, "{name} of {} bytes takes {memory}", text.len());
        assert!(took < Duration::from_secs(20), "{name} takes {took:?}");
    }
}
