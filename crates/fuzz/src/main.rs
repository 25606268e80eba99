//! Damaged input for every reader, from a fixed seed: `fuzz TARGET|all SECONDS [SEED]`.
//!
//! Cases run in a process of their own with a limit on its memory. A case fails if it panics, ends
//! the process, takes more than 10 seconds, or more memory than 20 times the input plus 100 MB.
//! Its input is kept in `found`; `fuzz TARGET --replay DIR` reads one again.
//!
//! `tests/planted.rs` holds the harness against faults that are planted. For it,
//! `BUDWOOD_FUZZ_FOUND` names another folder than `found`, and `BUDWOOD_FUZZ_LONGEST` other
//! seconds.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod adapters;
mod boards;
mod corpus;
mod hub;
mod mutate;
mod planted;
mod program;
mod targets;
mod torch;

use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mutate::{Dice, Files};
use planted::PLANTED;
use targets::{TARGETS, Target};

/// Cases of one process.
const BATCH: u64 = 500;
/// Seconds of a case.
const LONGEST: u64 = 10;
/// A case that waits may take so many times as long as one that computes.
const WAITS: u32 = 6;
/// Memory of a case in bytes: so many times its input, and so much.
const TIMES: u64 = 20;
const MORE: u64 = 100_000_000;
/// Limit of the process, in kB: what is above ends it.
const PROCESS: u64 = 2_000_000;

/// Files in a batch's folder: cases that failed, and what was said.
const NOTED: &str = "failed";
const SAID: &str = "said";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        [target, "--replay", folder] => replay(target, Path::new(folder)),
        ["--batch", target, seed, first, dir] => batch(target, seed, first, Path::new(dir)),
        [target, seconds] => all(target, seconds, "1"),
        [target, seconds, seed] => all(target, seconds, seed),
        _ => Err("fuzz TARGET|all SECONDS [SEED], or fuzz TARGET --replay DIR".into()),
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(found) => {
            eprintln!("{found} inputs failed; see {}", self::found().display());
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

fn find(name: &str) -> Result<&'static Target, Failure> {
    let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
    let found = TARGETS.iter().chain(PLANTED).find(|t| t.name == name);
    found.ok_or_else(|| format!("no target '{name}'; there are {}", names.join(", ")).into())
}

/// Where inputs that failed are kept.
fn found() -> PathBuf {
    let named = std::env::var_os("BUDWOOD_FUZZ_FOUND").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("found"))
}

/// The longest that a case may take.
fn longest() -> Duration {
    let named = std::env::var("BUDWOOD_FUZZ_LONGEST").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(named.unwrap_or(LONGEST))
}

fn replay(target: &str, folder: &Path) -> Result<u64, Failure> {
    (find(target)?.read)(folder);
    Ok(0)
}

fn all(target: &str, seconds: &str, seed: &str) -> Result<u64, Failure> {
    let time = Duration::from_secs(seconds.parse()?);
    if target != "all" {
        return try_target(find(target)?, time, seed.parse()?);
    }
    let mut failed = 0;
    for one in TARGETS {
        failed += try_target(one, time, seed.parse()?)?;
    }
    Ok(failed)
}

/// Tries one target for so long; returns how many cases failed.
fn try_target(target: &Target, time: Duration, seed: u64) -> Result<u64, Failure> {
    if (target.corpus)().is_empty() {
        return Err(format!("the target '{}' has no input to begin with", target.name).into());
    }
    let (end, mut case, mut failed) = (Instant::now() + time, 0, 0);
    while Instant::now() < end {
        let dir = work_folder()?;
        let mut child = start(target, seed, case, dir.path())?;
        let ended = watch(&mut child, dir.path(), end)?;
        let last = read_number(&dir.path().join("case")).unwrap_or(case);
        let noted = fs::read_to_string(dir.path().join(NOTED)).unwrap_or_default();
        let noted = noted.lines().filter_map(|l| l.split_once(' '));
        let mut found: Vec<(u64, &str)> =
            noted.filter_map(|(case, why)| Some((case.parse().ok()?, why))).collect();
        found.extend(ended.iter().map(|why| (last, why.as_str())));
        for (case, why) in &found {
            keep(target, seed, *case, why)?;
        }
        if !found.is_empty() {
            let said = fs::read(dir.path().join(SAID)).unwrap_or_default();
            eprintln!("{}", ending(&String::from_utf8_lossy(&said)));
        }
        failed += found.len() as u64;
        case = last.max(case) + 1;
    }
    println!("{}: {case} cases, {failed} failed", target.name);
    Ok(failed)
}

/// A folder in memory where the system has one: boards and files of many small cases would wait
/// for the disk most of the time.
fn work_folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// The last lines of what a batch said: a panic's message among them.
fn ending(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn start(target: &Target, seed: u64, first: u64, dir: &Path) -> Result<Child, Failure> {
    let numbers = [seed.to_string(), first.to_string()];
    Ok(Command::new("/bin/sh")
        .args(["-c", "ulimit -v \"$0\" && exec \"$@\""])
        .arg(PROCESS.to_string())
        .arg(std::env::current_exe()?)
        .args(["--batch", target.name, &numbers[0], &numbers[1]])
        .arg(dir)
        .env("TMPDIR", dir)
        // Damaged input reaches no other program, no network and no file of the user's.
        .env("PATH", dir)
        .env("HOME", dir)
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.join(SAID))?)
        .spawn()?)
}

/// Waits for a batch. Says why its last case failed, if it did not fail by itself.
fn watch(child: &mut Child, dir: &Path, end: Instant) -> Result<Option<String>, Failure> {
    let longest = longest();
    let (mut case, mut since, mut used) = (None, Instant::now(), Duration::ZERO);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!status.success()).then(|| format!("the process ended with {status}")));
        }
        let now = read_number(&dir.join("case"));
        if now != case {
            (case, since, used) = (now, Instant::now(), work(child.id()));
        }
        // What comes before the first case is the harness's own.
        // Where others work too, only the time that the process computes says something.
        let worked = work(child.id()).saturating_sub(used);
        let late = case.is_some() && (worked > longest || since.elapsed() > longest * WAITS);
        if late || Instant::now() > end && since.elapsed() < longest / 2 {
            child.kill()?;
            child.wait()?;
            return Ok(late.then(|| format!("it took more than {longest:?}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long a process has computed. Only Linux says so; elsewhere time passes alike for all.
fn work(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: state and ten numbers, then the two times.
    let numbers = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = numbers.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The input of a case.
fn input(target: &Target, corpus: &[Files], seed: u64, case: u64) -> Files {
    debug_assert!(!corpus.is_empty(), "{}", target.name);
    mutate::input(corpus, &mut Dice::new(seed, case))
}

fn write(files: &Files, folder: &Path) -> Result<u64, Failure> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, bytes)?;
    }
    Ok(files.iter().map(|(_, bytes)| bytes.len() as u64).sum())
}

fn keep(target: &Target, seed: u64, case: u64, why: &str) -> Result<(), Failure> {
    let folder = found().join(format!("{}-{seed}-{case}", target.name));
    write(&input(target, &(target.corpus)(), seed, case), &folder)?;
    println!("FAILED {}: {why}", folder.display());
    Ok(())
}

/// Runs cases one after another in this process.
fn batch(target: &str, seed: &str, first: &str, dir: &Path) -> Result<u64, Failure> {
    let target = find(target)?;
    let (seed, first): (u64, u64) = (seed.parse()?, first.parse()?);
    let corpus = (target.corpus)();
    let folder = dir.join("input");
    let mut failed = fs::File::create(dir.join(NOTED))?;
    for case in first..first + BATCH {
        fs::write(dir.join("case"), case.to_string())?;
        let bytes = write(&input(target, &corpus, seed, case), &folder)?;
        let before = reset_peak();
        let result = catch_unwind(AssertUnwindSafe(|| (target.read)(&folder)));
        let used = peak().saturating_sub(before);
        let why = match result {
            Err(_) => Some("it panicked".to_string()),
            Ok(()) if used > TIMES * bytes + MORE => {
                Some(format!("it took {} MB for {bytes} bytes", used / 1_000_000))
            }
            Ok(()) => None,
        };
        if let Some(why) = why {
            writeln!(failed, "{case} {why}")?;
        }
    }
    Ok(0)
}

/// Lets the system measure the largest memory anew; returns what is used now, in bytes.
fn reset_peak() -> u64 {
    // Linux alone has this; elsewhere the peak never falls, and nothing is found.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

/// The largest memory since [`reset_peak`], in bytes.
fn peak() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kb| kb * 1000)
}
