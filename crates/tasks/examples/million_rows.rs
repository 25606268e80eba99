//! Time and memory of reading, checking and splitting a million rows: `cargo run --release -p budwood-tasks --example
//! million_rows -- FILE...`. Without a file it writes a CSV of 300 MB to the folder for temporary files first. Each file is
//! read in a process of its own, so that memory is its own.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use budwood_tasks::read::ReadOptions;
use budwood_tasks::{ColumnChoice, DataRequest, DataSource};

const ROWS: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, path] = &arguments[..]
        && flag == "--one"
    {
        return one(path);
    }
    let mut files = arguments;
    if files.is_empty() {
        let path = std::env::temp_dir().join("budwood-million-rows.csv");
        write(&path);
        files.push(path.display().to_string());
    }
    for file in files {
        let program = std::env::current_exe().unwrap();
        Command::new(program).args(["--one", &file]).status().unwrap();
    }
}

/// Rows of about 300 bytes, some in quotes.
fn write(path: &Path) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(out, "id,text,label").unwrap();
    let words =
        ["a warm", "and funny", "evening,", "cold", "dull", "the soup", "was lovely", "\"so\""];
    let mut state = 1u64;
    for i in 0..ROWS {
        let mut text = String::with_capacity(300);
        while text.len() < 280 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text += words[(state >> 61) as usize];
            text.push(' ');
        }
        writeln!(out, "{i},\"{}\",class{}", text.replace('"', "\"\""), state >> 61).unwrap();
    }
}

fn one(path: &str) {
    let source = DataSource::parse(path, ColumnChoice::default(), ReadOptions::default()).unwrap();
    let size = std::fs::metadata(path).unwrap().len();
    let begin = Instant::now();
    let request = DataRequest {
        train: source,
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
    let data = request.read().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let peak: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
    println!(
        "{path}: {} rows, {} MB, read, checked and split in {seconds:.2} s with {} MB ({:.2} times the file)",
        data.report.rows,
        size / 1_000_000,
        peak * 1024 / 1_000_000,
        peak as f64 * 1024.0 / size as f64
    );
}
