//! The harness finds faults that are planted, keeps their input, and finds none where there is
//! none.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output};

struct Tried {
    output: Output,
    found: tempfile::TempDir,
}

impl Tried {
    /// Tries a target for some seconds; a case may take `longest`.
    fn new(target: &str, longest: u32) -> Self {
        let found = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_budwood-fuzz"))
            .args([target, "3", "1"])
            .env("BUDWOOD_FUZZ_FOUND", found.path())
            .env("BUDWOOD_FUZZ_LONGEST", longest.to_string())
            .output()
            .unwrap();
        Self { output, found }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Checks that a fault was found for this reason, and that its input was kept.
    #[track_caller]
    fn fails(&self, why: &str) {
        let said = self.said();
        assert_eq!(self.output.status.code(), Some(1), "{said}");
        let failed: Vec<&str> = said.lines().filter(|l| l.starts_with("FAILED")).collect();
        assert!(!failed.is_empty() && failed.iter().all(|l| l.contains(why)), "{said}");
        let kept = fs::read_dir(self.found.path()).unwrap();
        for input in kept {
            let bytes = fs::read(input.unwrap().path().join("x")).unwrap();
            assert_eq!(bytes.len() % 7, 0, "an input that is not odd was kept");
        }
    }
}

#[test]
fn where_nothing_is_planted_nothing_is_found() {
    let tried = Tried::new("planted-none", 10);
    let said = tried.said();
    assert!(tried.output.status.success() && said.contains(", 0 failed"), "{said}");
    // Many inputs were tried, odd ones among them.
    let cases: u64 = said.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(cases >= 100, "{said}");
    assert_eq!(fs::read_dir(tried.found.path()).unwrap().count(), 0);
}

#[test]
fn a_panic_is_found_and_can_be_repeated() {
    let tried = Tried::new("planted-panic", 10);
    tried.fails("it panicked");
    let input = fs::read_dir(tried.found.path()).unwrap().next().unwrap().unwrap().path();
    let again = Command::new(env!("CARGO_BIN_EXE_budwood-fuzz"))
        .args(["planted-panic", "--replay"])
        .arg(&input)
        .output()
        .unwrap();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("planted"));
}

#[test]
fn a_hang_is_found() {
    Tried::new("planted-hang", 1).fails("it took more than 1s");
}

/// Only Linux measures the memory of a case.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_found() {
    Tried::new("planted-memory", 10).fails("it took 1");
    Tried::new("planted-end", 10).fails("the process ended with");
}
