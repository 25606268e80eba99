//! Readers with a fault in them, which the harness must find. `all` leaves them out.

use std::path::Path;
use std::time::Duration;

use crate::corpus::file;
use crate::mutate::Files;
use crate::targets::Target;

pub(crate) const PLANTED: &[Target] = &[
    Target { name: "planted-none", corpus, read: nothing },
    Target { name: "planted-panic", corpus, read: panics },
    Target { name: "planted-hang", corpus, read: hangs },
    Target { name: "planted-memory", corpus, read: takes_memory },
    Target { name: "planted-end", corpus, read: ends },
];

fn corpus() -> Vec<Files> {
    vec![file("x", "{\"a\": [1, 2, 3], \"b\": \"some words\"}")]
}

/// Some inputs of many are odd.
fn is_odd(folder: &Path) -> bool {
    std::fs::read(folder.join("x")).is_ok_and(|bytes| bytes.len() % 7 == 0)
}

fn nothing(folder: &Path) {
    let _ = is_odd(folder);
}

fn panics(folder: &Path) {
    assert!(!is_odd(folder), "planted");
}

fn hangs(folder: &Path) {
    while is_odd(folder) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// 150 MB, each page of them used.
fn takes_memory(folder: &Path) {
    if is_odd(folder) {
        std::hint::black_box(vec![1u8; 150_000_000]);
    }
}

/// More than the limit of the process: the allocation ends it.
fn ends(folder: &Path) {
    if is_odd(folder) {
        std::hint::black_box(vec![1u8; 3_000_000_000]);
    }
}
