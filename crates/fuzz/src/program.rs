//! Files that the program alone reads, as only it knows its flags. It runs in this process.

use std::path::Path;
use std::process::ExitCode;

use budwood_commands::Program;
use serde_json::json;

use crate::adapters;
use crate::corpus::file;
use crate::mutate::Files;

/// Sweep files: a grid of all that they hold, and a small one.
pub(crate) fn sweeps() -> Vec<Files> {
    let data = "text,label\na good film,yes\na bad film,no\nfine,yes\nawful,no\n";
    let whole = r#"name = "all"
about = "${HOME}"
seeds = [0, 1, 2]
ablate = true
keep-adapters = false

[train]
recipe = "paper"
base = "base"
epochs = [1, 2.5]
lr = [1e-3, 3e-4]
label-names = ["no", "yes"]

[[task]]
name = "films"
data = "x.csv"
test-share = 0.2

[[task]]
name = "few"
data = "x.csv"
train-rows = 3

[[method]]
name = "adapter"
method = ["adapter[width=4]", "lora[r=2]"]
epochs = 3
"#;
    let small = "name = \"a\"\n[train]\nbase = \"base\"\n[[task]]\nname = \"t\"\ndata = \"x.csv\"\n[[method]]\nname = \"m\"\nmethod = \"lora\"\n";
    let one = |text: &str| {
        let files = [("sweep.toml", text), ("x.csv", data)];
        files.map(|(name, text)| (name.to_string(), text.as_bytes().to_vec())).to_vec()
    };
    vec![one(whole), one(small)]
}

/// What a sweep gave to a cluster.
pub(crate) fn jobs() -> Vec<Files> {
    let jobs = json!({
        "sweep": "all", "store": "runs.db", "runs": ["0123", "4567"], "ids": ["17", "18"],
    });
    vec![file("cluster/jobs.json", jobs.to_string())]
}

fn run(words: &[&str], folder: &Path) -> ExitCode {
    let words = words.iter().map(Into::into).chain([folder.into()]).collect();
    budwood_commands::main(Program::Itself, words)
}

/// Plans a sweep.
pub(crate) fn sweep(folder: &Path) {
    plan(folder);
}

fn plan(folder: &Path) -> Option<ExitCode> {
    // Paths in a sweep file are those of the folder in which it is run.
    std::env::set_current_dir(folder).ok()?;
    adapters::copy_base(&folder.join("base")).ok()?;
    let code = run(&["sweep", "--dry-run", "--out", "out"], &folder.join("sweep.toml"));
    assert!(!folder.join("out").exists(), "a plan writes nothing");
    Some(code)
}

/// Says what became of a sweep; there is no Slurm to ask.
pub(crate) fn show_jobs(folder: &Path) {
    for what in ["status", "cancel", "logs"] {
        run(&["jobs", what], folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage is only found behind the first look if what is whole is taken.
    #[test]
    fn what_is_whole_is_planned() {
        for files in sweeps() {
            let dir = crate::mutate::written(&files);
            assert_eq!(plan(dir.path()), Some(ExitCode::SUCCESS));
        }
    }
}
