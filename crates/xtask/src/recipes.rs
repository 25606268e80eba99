//! Recipes: commands that are run often, by name.

use std::path::Path;
use std::process::{Command, ExitCode};

/// A name, what it is for, and the command line of a shell; words behind the name go to its end.
pub(crate) struct Recipe {
    name: &'static str,
    about: &'static str,
    line: &'static str,
}

const RECIPES: &[Recipe] = &[
    Recipe { name: "ci", about: "all that must pass before anything lands", line: ".ci/run" },
    Recipe {
        name: "lint",
        about: "format, clippy, structure and prose",
        line: "cargo fmt --check && cargo clippy --workspace --all-targets --locked -- -D warnings \
               && cargo xtask structure && cargo xtask prose && cargo xtask links",
    },
    Recipe {
        name: "doc",
        about: "the library's pages, in which a warning is a fault",
        line: "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked",
    },
    Recipe {
        name: "book",
        about: "the pages of docs/ as a site, in target/book/html",
        line: "docs/book/build.py",
    },
    Recipe {
        name: "release",
        about: "what people install, in target/dist-VERSION",
        line: "deploy/release.sh",
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|r| r.name == name)
}

pub(crate) fn help() -> String {
    RECIPES.iter().map(|r| format!("  {:<11} {}\n", r.name, r.about)).collect()
}

/// Runs a recipe in the project's folder.
pub(crate) fn run(root: &Path, name: &str, words: &[String]) -> ExitCode {
    let Some(recipe) = find(name) else { return ExitCode::FAILURE };
    let status = Command::new("sh")
        .args(["-c", &format!("{} \"$@\"", recipe.line), name])
        .args(words)
        .current_dir(root)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("cannot start a shell: {e}");
            ExitCode::FAILURE
        }
    }
}
