//! `cargo xtask`: checks of the project's structure and prose, and recipes for what is done often.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod api;
mod circles;
mod crates;
mod files;
mod links;
mod modules;
mod prose;
mod recipes;
mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

Checks, which `.ci/run` does too:
  structure   what each crate of ours depends on, held against ARCHITECTURE.md; circles of modules;
              the library's public interface, held against crates/budwood/api.txt
  prose       comments and pages within 100 columns
  links       links of pages lead to a file, and to a heading of it

  api         writes crates/budwood/api.txt

Recipes:
";

fn main() -> ExitCode {
    let root = root();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let faults = match words.first().map(String::as_str) {
        Some("structure") => structure(&root),
        Some("api") => api::write(&root),
        Some("prose") => prose::long_lines(&root),
        Some("links") => links::broken(&root),
        Some(name) if recipes::find(name).is_some() => {
            return recipes::run(&root, name, &words[1..]);
        }
        _ => {
            print!("{HELP}{}", recipes::help());
            return ExitCode::from(2);
        }
    };
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The project's folder.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// Prints the crates' dependencies and the circles of modules; says what is wrong with them.
fn structure(root: &Path) -> Vec<String> {
    let crates = crates::read(root);
    for one in &crates {
        println!("{:<10} [{}]", one.name, one.dependencies.join(", "));
    }
    let mut faults = crates::compare(root, &crates);
    for one in &crates {
        let files = modules::read(&one.folder.join("src"));
        let found = circles::find(&modules::edges(&files));
        found.iter().for_each(|circle| println!("circle of modules in {}: {circle}", one.name));
        if !found.is_empty() {
            faults.push(format!("crate '{}' has {} circles of modules", one.name, found.len()));
        }
    }
    faults.extend(api::compare(root));
    faults
}
