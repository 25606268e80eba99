//! The workspace's crates, what they depend on of ours, and what ARCHITECTURE.md allows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One crate.
pub(crate) struct Crate {
    /// The name of its folder.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Crates of ours, sorted; those for tests alone are left out.
    pub(crate) dependencies: Vec<String>,
}

/// All crates under `crates/`, sorted.
pub(crate) fn read(root: &Path) -> Vec<Crate> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root.join("crates"))
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    folders.sort();
    let one = |folder: PathBuf| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let name = folder.file_name()?.to_string_lossy().into_owned();
        Some(Crate { name, dependencies: dependencies(&manifest), folder })
    };
    folders.into_iter().filter_map(one).collect()
}

/// The crates of ours in a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some(name) = ours(line) {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// The folder's name of the crate of ours that a line of a manifest names.
fn ours(line: &str) -> Option<String> {
    let name = line.split(['.', '=', ' ']).next()?;
    match name.strip_prefix("budwood-") {
        Some(short) => Some(short.into()),
        None => (name == "budwood").then(|| name.into()),
    }
}

/// What differs between the crates and the table of ARCHITECTURE.md, whose rows begin
/// with `` | `crate` | [a, b] | ``.
pub(crate) fn compare(root: &Path, crates: &[Crate]) -> Vec<String> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let allowed: BTreeMap<String, Vec<String>> = text.lines().filter_map(row).collect();
    let mut faults = Vec::new();
    for one in crates {
        match allowed.get(&one.name) {
            None => faults.push(format!("ARCHITECTURE.md has no row for crate '{}'", one.name)),
            Some(list) if *list != one.dependencies => faults.push(format!(
                "crate '{}' depends on [{}], but ARCHITECTURE.md says [{}]",
                one.name,
                one.dependencies.join(", "),
                list.join(", ")
            )),
            Some(_) => {}
        }
    }
    let gone = allowed.keys().filter(|name| crates.iter().all(|c| c.name != **name));
    faults.extend(
        gone.map(|name| format!("ARCHITECTURE.md speaks of crate '{name}', which is not there")),
    );
    faults
}

fn row(line: &str) -> Option<(String, Vec<String>)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    let list = cells.next()?.strip_prefix('[')?.strip_suffix(']')?;
    let mut list: Vec<String> =
        list.split(',').map(str::trim).filter(|n| !n.is_empty()).map(Into::into).collect();
    list.sort();
    Some((name.into(), list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dependencies_of_ours_count() {
        let manifest = "[package]\nname = \"budwood-x\"\n[dependencies]\nbudwood-base.workspace = true\n\
                        budwood = { path = \"x\" }\nserde = \"1\"\n[dev-dependencies]\nbudwood-web = \"1\"\n";
        assert_eq!(dependencies(manifest), ["base", "budwood"]);
        assert_eq!(
            row("| `web` | [charts, board] | pages | SQL |").unwrap().1,
            ["board", "charts"]
        );
        assert!(row("| crate | may know |").is_none());
    }

    #[test]
    fn a_difference_is_said() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ARCHITECTURE.md"), "| `a` | [b] | x |\n| `c` | [] | x |\n")
            .unwrap();
        let one = |name: &str, list: &[&str]| Crate {
            name: name.into(),
            folder: PathBuf::new(),
            dependencies: list.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(compare(dir.path(), &[one("a", &["b"]), one("c", &[])]), Vec::<String>::new());
        let faults = compare(dir.path(), &[one("a", &["c"]), one("b", &[])]);
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
