//! Prints the cells of a table as JSON: `{"columns": [..], "rows": [[..], ..]}`, or `{"error":
//! ".."}`. Used by `tests/data/compare.py`.
#![allow(clippy::print_stdout)]

use std::path::Path;

use budwood_tasks::read::{ReadOptions, table};
use serde_json::json;

fn main() {
    for path in std::env::args().skip(1) {
        let read = table(Path::new(&path), ReadOptions::default());
        let bad = |t: &budwood_tasks::read::Table| t.bad.first.first().cloned();
        let value = match read {
            Err(e) => json!({ "error": e.to_string() }),
            Ok(t) => match bad(&t) {
                Some((place, fault)) => json!({ "error": format!("{place}: {fault}") }),
                None => {
                    let row =
                        |row| -> Vec<_> { (0..t.columns.len()).map(|c| t.cell(row, c)).collect() };
                    json!({ "columns": t.names(), "rows": (0..t.len()).map(row).collect::<Vec<_>>() })
                }
            },
        };
        println!("{value}");
    }
}
