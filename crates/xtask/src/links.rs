//! Links of the pages: each must lead to a file of the repository, and to a place in it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::files;

/// Links that lead nowhere.
pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut marks = HashMap::new();
    let mut faults = Vec::new();
    for page in files::below(root, &["md"]) {
        let Ok(text) = fs::read_to_string(&page) else { continue };
        let name = page.strip_prefix(root).unwrap_or(&page).display();
        // The summary of the book names pages from the root, and those that are made with the book.
        let is_summary = page.ends_with("docs/book/SUMMARY.md");
        let folder = if is_summary { root } else { page.parent().unwrap_or(root) };
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, mark) = link.split_once('#').unwrap_or((&link, ""));
            if is_summary && file.starts_with("docs/book/reference/") {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            if !target.exists() {
                faults.push(format!("{name}: {link} is not there"));
            } else if !mark.is_empty() && !places(&mut marks, &target).contains(mark) {
                faults.push(format!("{name}: {link}: the page has no such heading"));
            }
        }
    }
    faults
}

/// The targets of links and pictures, but in code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in prose(text) {
        // What stands between grave accents is code.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push(target.split(' ').next().unwrap_or(target).to_string());
            }
        }
    }
    found
}

/// The lines of a page that are in no block of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The names by which headings of a page are linked to.
fn places<'a>(
    known: &'a mut HashMap<PathBuf, HashSet<String>>,
    page: &Path,
) -> &'a HashSet<String> {
    known.entry(page.to_path_buf()).or_insert_with(|| {
        let text = fs::read_to_string(page).unwrap_or_default();
        let headings = prose(&text).filter_map(|(_, line)| {
            let title = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
            let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
            Some(title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        });
        headings.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("docs")).unwrap();
        fs::write(root.join("docs/other.md"), "# A title, with `code`\n").unwrap();
        let page = "[a](docs/other.md) [b](docs/other.md#a-title-with-code) [c](docs/none.md)\n\
                    `[d](none)` [e](docs/other.md#nowhere) ![f](none.png) [g](https://x.org)\n\
                    ```\n[h](none)\n```\n[i](#here)\n## Here\n";
        fs::write(root.join("README.md"), page).unwrap();
        let faults = broken(root);
        let right = ["docs/none.md is", "other.md#nowhere: the page", "none.png is"];
        assert_eq!(faults.len(), right.len(), "{faults:?}");
        for (fault, right) in faults.iter().zip(right) {
            assert!(fault.starts_with("README.md: ") && fault.contains(right), "{fault}");
        }
    }
}
